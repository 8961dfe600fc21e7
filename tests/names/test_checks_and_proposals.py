"""What the checks refuse, what they only warn of, and whom an unresolved name is taken for."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aliases.edits import (
    Edit,
    EditKind,
    from_params,
    parse,
    replace_canonical,
    reverse,
    reverse_conflicting,
    to_params,
)
from services.aliases.identities.duplicates import find_duplicates
from services.aliases.save import validate
from services.aliases.suggestions import UnresolvedName, suggest
from services.aliases.unresolved import read_names
from services.aliases.validation import Severity, find_violations, new_violations, violation_keys, with_aliases
from services.core.errors import InvalidInput
from services.names.registry import Alias, NameRegistry, RegistryRow, read_registry
from tests.benchmarks import names

PLAYERS = {
    "stephencurry": "Stephen Curry",
    "sethcurry": "Seth Curry",
    "herbertjones": "Herbert Jones",
    "garytrent": "Gary Trent",
    "garytrentjr": "Gary Trent Jr.",
    "lebronjames": "LeBron James",
    "zionwilliamson": "Zion Williamson",
}


def make_registry_row(lookup, name, team="MIL", season="2025-26", player_id=None, **fields):
    return RegistryRow(player_id or f"{lookup}_001", name, lookup, team, season, **fields)


def make_registry(*pairs, people=PLAYERS):
    rows = tuple(make_registry_row(lookup, name) for lookup, name in people.items())
    return NameRegistry(tuple(Alias(alias, canonical, active=True) for alias, canonical in pairs), rows)


@pytest.mark.parametrize(
    ("pairs", "what", "weight"),
    [
        ([("lebronjames", "lebronjames")], "self-map", Severity.ERROR),
        ([("herbjones", "nobody")], "canonical absent", Severity.ERROR),
        ([("sethcurry", "stephencurry")], "another player's name", Severity.ERROR),
        ([("garytrentjr", "garytrent")], "twin", Severity.WARNING),
        ([("herb", "herbjones"), ("herbjones", "herbertjones")], "chain", Severity.ERROR),
        ([("herbjones", "herbertjones"), ("herbertjones", "herbjones")], "both directions", Severity.ERROR),
        ([("herbjones", "herbertjones"), ("herbjones", "lebronjames")], "two canonicals", Severity.ERROR),
        ([("curry", "stephencurry")], "bare surname", Severity.ERROR),
        ([("williamson", "zionwilliamson")], "bare surname", Severity.WARNING),
        ([("h.jones", "herbertjones")], "not a lookup", Severity.ERROR),
        ([("kingjamie", "lebronjames")], "surname differs", Severity.WARNING),
    ],
)
def test_each_check_reports_its_violation_with_its_severity(pairs, what, weight):
    assert (what, weight) in {(finding.check, finding.severity) for finding in find_violations(make_registry(*pairs))}


def test_a_valid_alias_has_no_violation():
    assert find_violations(make_registry(("herbjones", "herbertjones"), people={"herbertjones": "Herbert Jones"})) == ()


def test_an_existing_violation_blocks_no_other_edit():
    before = make_registry(("curry", "stephencurry"))
    after = with_aliases(before, [Alias("herbjones", "herbertjones", active=True)])
    assert new_violations(before, after) == ()


TEAMS, NAMES = ("MIL", "DEN"), [*PLAYERS, "aa", "bb", "cc", "curry", "jones"]
EDITS = st.tuples(st.booleans(), st.sampled_from(NAMES), st.sampled_from(NAMES))
REGISTRIES = st.lists(
    st.tuples(st.sampled_from([*PLAYERS]), st.sampled_from(TEAMS), st.integers(1, 2)), unique=True, max_size=10
)
EDIT_BATCHES = st.lists(st.lists(EDITS, min_size=1, max_size=4), max_size=6)  # several edits at once, several times
STRUCTURAL_CHECKS = ("self-map", "chain", "both directions", "two canonicals", "canonical absent")


@given(REGISTRIES, st.lists(EDITS, max_size=3), EDIT_BATCHES)
def test_no_accepted_edits_leave_a_cycle_a_chain_a_self_map_or_two_canonicals(rows, stored, saves):
    """From any registry, and from any aliases: what is accepted adds no fault, and from none it never makes one."""
    people = tuple(make_registry_row(n, PLAYERS[n], team, player_id=f"{n}_00{number}") for n, team, number in rows)
    stored = tuple({(a, c): Alias(a, c, active=active) for active, a, c in stored}.values())
    current = NameRegistry(stored, people)
    started_clean = not [f for f in find_violations(current) if f.check in STRUCTURAL_CHECKS]
    for edits in saves:
        unique_edits = {(a, c): Edit(EditKind.ADD if add else EditKind.DEACTIVATE, a, c) for add, a, c in edits}
        validated = validate(current, tuple(unique_edits.values()))
        if validated.accepted:
            assert {
                key for key in violation_keys(validated.after) if key.startswith(STRUCTURAL_CHECKS)
            } <= violation_keys(current)
            current = validated.after
    if started_clean:
        for alias, canonicals in current.active.items():
            assert len(canonicals) == 1
            assert alias not in canonicals
            assert not canonicals & current.active.keys()
            assert canonicals <= current.lookups


def test_one_of_three_canonical_names_can_be_removed_and_a_fourth_cannot_be_added():
    stored = make_registry(("herbjones", "herbertjones"), ("herbjones", "lebronjames"), ("herbjones", "stephencurry"))
    assert validate(stored, [Edit(EditKind.DEACTIVATE, "herbjones", "stephencurry")]).accepted
    assert not validate(stored, [Edit(EditKind.ADD, "herbjones", "sethcurry")]).accepted


def test_reactivating_a_deactivated_alias_gives_a_warning():
    deactivated = NameRegistry((Alias("herbjones", "lebronjames", active=False),), make_registry().registered)
    validated = validate(deactivated, [Edit(EditKind.ADD, "herbjones", "herbertjones")])
    assert validated.accepted
    assert "herbjones → lebronjames was switched off before." in {f.message for f in validated.warnings}


def test_a_suffix_pair_on_one_team_without_an_alias_is_a_warning():
    assert "suffix pair without alias" in {f.check for f in find_violations(make_registry())}
    assert "suffix pair without alias" not in {
        f.check for f in find_violations(make_registry(("garytrentjr", "garytrent")))
    }
    validated = validate(
        make_registry(("garytrentjr", "garytrent")), [Edit(EditKind.DEACTIVATE, "garytrentjr", "garytrent")]
    )
    assert "suffix pair without alias" in {f.check for f in validated.warnings}


def test_a_pasted_malformed_line_is_refused_by_its_number():
    lines = [f"alias{n},canonical{n}" for n in "abcdefghijklmnopqrst"]
    assert len(parse("\n".join(lines))) == 20
    with pytest.raises(InvalidInput, match="Line 13"):
        parse("\n".join([*lines[:12], "nocomma", *lines[12:]]))
    with pytest.raises(InvalidInput, match="No line"):
        parse(" \n ")


def test_pasted_names_are_normalized_and_keep_their_display_name():
    assert parse("Tim Hardaway Junior, Tim Hardaway") == (
        Edit(EditKind.ADD, "timhardawayjr", "timhardaway", "Tim Hardaway Junior"),
    )


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([], "never means all"),
        ([{"do": "drop", "alias": "a", "canonical": "b"}], "not written"),
        ([{"do": "add", "alias": "x'); DROP TABLE", "canonical": "bb"}], "not both lookups"),
        ([{"do": "add", "alias": "aa", "canonical": "bb"}] * 2, "stands twice"),
        ([{"do": "add", "alias": f"alias{n}", "canonical": "bb"} for n in range(201)], "at most"),
    ],
)
def test_invalid_edits_are_refused(edits, says):
    with pytest.raises(InvalidInput, match=says):
        from_params({"edits": edits})


def test_reversing_and_correcting_deactivate_the_old_row_and_add_the_new_one():
    assert from_params(to_params(reverse("robertwilliamsiii", "robertwilliams"))) == (
        Edit(EditKind.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        Edit(EditKind.ADD, "robertwilliams", "robertwilliamsiii"),
    )
    assert [edit.do for edit in replace_canonical("a1", "b1", "c1")] == [EditKind.DEACTIVATE, EditKind.ADD]


def test_adding_the_reverse_of_an_active_alias_deactivates_that_alias():
    edits = parse("robertwilliams,robertwilliamsiii\nherbjones,herbertjones")
    assert reverse_conflicting(edits, {"robertwilliamsiii": {"robertwilliams"}}) == (
        Edit(EditKind.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        *edits,
    )


# --- proposals ---------------------------------------------------------------------------------------------------------------


def test_the_right_player_is_the_first_suggestion_for_every_listed_alias():
    """`python -m tests.benchmarks.names` prints the figures."""
    crowd = names.build_registry()
    assert len(crowd.lookups) > 5_000
    with_team_ranks, without_team_ranks = (
        names.rank_suggestions(crowd, with_teams=True),
        names.rank_suggestions(crowd, with_teams=False),
    )
    assert (with_team_ranks.count_first(), with_team_ranks.wrong_prefills) == (len(names.LISTED_ALIASES), ())
    assert (
        without_team_ranks.count_first(),
        without_team_ranks.count_top_three(),
        without_team_ranks.wrong_prefills,
    ) == (20, len(names.LISTED_ALIASES), ())


def test_two_equally_likely_players_are_left_to_a_person():
    rows = (
        make_registry_row("jalenwilliams", "Jalen Williams", "OKC"),
        make_registry_row("jaylenwilliams", "Jaylen Williams", "OKC"),
        make_registry_row("garytrent", "Gary Trent", "MIL", player_id="garytrent_001"),
        make_registry_row("garytrentjr", "Gary Trent Jr.", "MIL", player_id="garytrent_001"),
    )
    unresolved = [
        UnresolvedName("jawilliams", "Ja Williams", frozenset({"OKC"})),
        UnresolvedName("garytrentsr", "Gary Trent Sr."),
    ]
    suggestions = suggest(
        [*unresolved, UnresolvedName("jal", "Jal Williams", frozenset({"OKC"}))], NameRegistry((), rows)
    )
    assert not any(proposal.is_likely for proposal in suggestions["jawilliams"])
    assert [proposal.is_likely for proposal in suggestions["garytrentsr"]] == [True, True], "two names of one player"


def test_a_shared_surname_is_never_a_likely_suggestion():
    suggestions = suggest([UnresolvedName("curry", "Curry", frozenset({"MIL"}))], make_registry())["curry"]
    assert {proposal.lookup for proposal in suggestions} >= {"stephencurry", "sethcurry"}
    assert not any(proposal.is_likely for proposal in suggestions)


def test_a_name_like_no_player_gets_no_suggestion():
    assert suggest([UnresolvedName("qqqqqqqq", "Qqqq Qqqq")], make_registry())["qqqqqqqq"] == ()


def test_five_thousand_players_and_five_hundred_names_are_ranked():
    rng = random.Random(7)
    random_name = lambda: "".join(rng.choices("abcdefghilmnoprstu", k=6)).capitalize()  # noqa: E731
    people = [f"{random_name()} {random_name()}" for _ in range(5_000)]
    crowd = NameRegistry((), tuple(make_registry_row(p.lower().replace(" ", ""), p) for p in people))
    unresolved = [
        UnresolvedName(p.lower().replace(" ", "") + "jr", p + " Jr.", frozenset({"MIL"})) for p in people[:500]
    ]
    suggestions = suggest(unresolved, crowd)
    assert all(
        suggestions[unresolved_name.lookup][0].lookup == unresolved_name.lookup.removesuffix("jr")
        for unresolved_name in unresolved
    )


# --- the sandbox's own names -------------------------------------------------------------------------------------------------


def test_the_15_names_of_29_december_are_ranked_and_injured_players_cost_nothing(clients):
    read = read_names(clients, date(2025, 12, 29), date(2025, 12, 29))
    name_by_lookup = {unresolved_name.lookup: unresolved_name for unresolved_name in read.unresolved}
    assert len(name_by_lookup) == 15
    assert sum(bool(unresolved_name.alias_canonical) for unresolved_name in read.unresolved) == 7
    assert (name_by_lookup["jimmybutler"].nights_lost, name_by_lookup["jimmybutler"].summary) == (
        0,
        "jimmybutleriii was out: nothing lost",
    )
    assert read.unresolved[-1].nights_lost == 0
    expected = {
        "kevinporterjr": "kevinporter",
        "timhardawayjr": "timhardaway",
        "wendellcarterjr": "wendellcarter",
        "nicolasclaxton": "nicclaxton",
        "alexsarr": "alexandresarr",
        "boneshyland": "nahshonhyland",
        "robertwilliams": "robertwilliamsiii",
    }
    assert {lookup: name_by_lookup[lookup].suggestions[0].lookup for lookup in expected} == expected


def test_the_duplicate_identities_are_found_with_their_evidence(clients):
    (twins, *_) = find_duplicates(read_registry(clients))
    assert {twins.keep, twins.merge} == {"garytrent_001", "garytrentjr_001"}
    assert "both are on MIL in 2025-26" in twins.evidence_for


def test_a_father_and_his_son_are_not_likely_duplicates():
    rows = (
        make_registry_row("timhardaway", "Tim Hardaway", "MIA", "1998-99", jersey=10, position="G", games=900),
        make_registry_row("timhardawayjr", "Tim Hardaway Jr.", "DEN", "2025-26", jersey=11, position="G", games=30),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert not twins.is_likely
    assert "they have no season in common, as a father and his son" in twins.evidence_against


def test_two_ids_with_one_jersey_and_surname_are_duplicate_candidates():
    rows = (
        make_registry_row("nicclaxton", "Nic Claxton", "BKN", jersey=33),
        make_registry_row("nicolasclaxton", "Nicolas Claxton", "BKN", jersey=33),
        make_registry_row("otherclaxton", "Other Claxton", "BKN", jersey=4),
    )
    (twins,) = find_duplicates(NameRegistry((), rows))
    assert {twins.keep, twins.merge} == {"nicclaxton_001", "nicolasclaxton_001"}
    assert "jersey 33 and 33" in twins.evidence_for
