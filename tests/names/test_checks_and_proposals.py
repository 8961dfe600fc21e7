"""What the checks refuse, what they only warn of, and whom an unresolved name is taken for."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.aliases.edits import Do, Edit, as_args, correct, edits_of, parse, turn_round, with_turns
from services.aliases.identities.duplicates import find_twins
from services.aliases.save import judge
from services.aliases.suggestions import Name, propose
from services.aliases.unresolved import read_names
from services.aliases.validation import Weight, check, faults, made_worse, with_rows
from services.core.errors import BadInput
from services.names.registry import Alias, Book, Registered, read_book
from tests.benchmarks import names

PEOPLE = {
    "stephencurry": "Stephen Curry",
    "sethcurry": "Seth Curry",
    "herbertjones": "Herbert Jones",
    "garytrent": "Gary Trent",
    "garytrentjr": "Gary Trent Jr.",
    "lebronjames": "LeBron James",
    "zionwilliamson": "Zion Williamson",
}


def registered(lookup, name, team="MIL", season="2025-26", player_id=None, **more):
    return Registered(player_id or f"{lookup}_001", name, lookup, team, season, **more)


def book(*pairs, people=PEOPLE):
    rows = tuple(registered(lookup, name) for lookup, name in people.items())
    return Book(tuple(Alias(alias, canonical, active=True) for alias, canonical in pairs), rows)


@pytest.mark.parametrize(
    ("pairs", "what", "weight"),
    [
        ([("lebronjames", "lebronjames")], "self-map", Weight.ERROR),
        ([("herbjones", "nobody")], "canonical absent", Weight.ERROR),
        ([("sethcurry", "stephencurry")], "another player's name", Weight.ERROR),
        ([("garytrentjr", "garytrent")], "twin", Weight.WARNING),
        ([("herb", "herbjones"), ("herbjones", "herbertjones")], "chain", Weight.ERROR),
        ([("herbjones", "herbertjones"), ("herbertjones", "herbjones")], "both directions", Weight.ERROR),
        ([("herbjones", "herbertjones"), ("herbjones", "lebronjames")], "two canonicals", Weight.ERROR),
        ([("curry", "stephencurry")], "bare surname", Weight.ERROR),
        ([("williamson", "zionwilliamson")], "bare surname", Weight.WARNING),
        ([("h.jones", "herbertjones")], "not a lookup", Weight.ERROR),
        ([("kingjamie", "lebronjames")], "surname differs", Weight.WARNING),
    ],
)
def test_each_check_finds_its_fault_and_weighs_it(pairs, what, weight):
    assert (what, weight) in {(finding.check, finding.weight) for finding in check(book(*pairs))}


def test_a_good_alias_is_found_to_be_nothing():
    assert check(book(("herbjones", "herbertjones"), people={"herbertjones": "Herbert Jones"})) == ()


def test_an_old_fault_stops_no_other_edit():
    before = book(("curry", "stephencurry"))
    after = with_rows(before, [Alias("herbjones", "herbertjones", active=True)])
    assert made_worse(before, after) == ()


TEAMS, NAMES = ("MIL", "DEN"), [*PEOPLE, "aa", "bb", "cc", "curry", "jones"]
PAIRS = st.tuples(st.booleans(), st.sampled_from(NAMES), st.sampled_from(NAMES))
REGISTRIES = st.lists(
    st.tuples(st.sampled_from([*PEOPLE]), st.sampled_from(TEAMS), st.integers(1, 2)), unique=True, max_size=10
)
SAVES = st.lists(st.lists(PAIRS, min_size=1, max_size=4), max_size=6)  # several edits at once, several times
STRUCTURAL = ("self-map", "chain", "both directions", "two canonicals", "canonical absent")


@given(REGISTRIES, st.lists(PAIRS, max_size=3), SAVES)
def test_no_accepted_edits_leave_a_cycle_a_chain_a_self_map_or_two_canonicals(rows, stored, saves):
    """From any registry, and from any aliases: what is accepted adds no fault, and from none it never makes one."""
    people = tuple(registered(n, PEOPLE[n], team, player_id=f"{n}_00{number}") for n, team, number in rows)
    stored = tuple({(a, c): Alias(a, c, active=active) for active, a, c in stored}.values())
    now = Book(stored, people)
    clean = not [f for f in check(now) if f.check in STRUCTURAL]
    for edits in saves:
        asked = {(a, c): Edit(Do.ADD if add else Do.DEACTIVATE, a, c) for add, a, c in edits}
        judged = judge(now, tuple(asked.values()))
        if judged.accepted:
            assert {key for key in faults(judged.after) if key.startswith(STRUCTURAL)} <= faults(now)
            now = judged.after
    if clean:
        for alias, canonicals in now.active.items():
            assert len(canonicals) == 1
            assert alias not in canonicals
            assert not canonicals & now.active.keys()
            assert canonicals <= now.lookups


def test_one_of_three_canonical_names_can_be_taken_away_and_a_fourth_cannot_be_added():
    stored = book(("herbjones", "herbertjones"), ("herbjones", "lebronjames"), ("herbjones", "stephencurry"))
    assert judge(stored, [Edit(Do.DEACTIVATE, "herbjones", "stephencurry")]).accepted
    assert not judge(stored, [Edit(Do.ADD, "herbjones", "sethcurry")]).accepted


def test_an_alias_that_was_switched_off_before_wants_a_reason_to_come_back():
    off = Book((Alias("herbjones", "lebronjames", active=False),), book().registered)
    judged = judge(off, [Edit(Do.ADD, "herbjones", "herbertjones")])
    assert judged.accepted
    assert "herbjones → lebronjames was switched off before." in {f.sentence for f in judged.warnings}


def test_a_suffix_pair_on_one_team_without_an_alias_is_a_warning():
    assert "suffix pair without alias" in {f.check for f in check(book())}
    assert "suffix pair without alias" not in {f.check for f in check(book(("garytrentjr", "garytrent")))}
    judged = judge(book(("garytrentjr", "garytrent")), [Edit(Do.DEACTIVATE, "garytrentjr", "garytrent")])
    assert "suffix pair without alias" in {f.check for f in judged.warnings}


def test_a_paste_with_one_bad_line_among_twenty_is_refused_by_its_number():
    lines = [f"alias{n},canonical{n}" for n in "abcdefghijklmnopqrst"]
    assert len(parse("\n".join(lines))) == 20
    with pytest.raises(BadInput, match="Line 13"):
        parse("\n".join([*lines[:12], "nocomma", *lines[12:]]))
    with pytest.raises(BadInput, match="No line"):
        parse(" \n ")


def test_pasted_names_are_written_as_lookups_and_keep_their_spelling():
    assert parse("Tim Hardaway Junior, Tim Hardaway") == (
        Edit(Do.ADD, "timhardawayjr", "timhardaway", "Tim Hardaway Junior"),
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
def test_edits_that_cannot_be_meant_are_refused(edits, says):
    with pytest.raises(BadInput, match=says):
        edits_of({"edits": edits})


def test_turning_round_and_correcting_take_the_old_row_away_and_add_the_new_one():
    assert edits_of(as_args(turn_round("robertwilliamsiii", "robertwilliams"))) == (
        Edit(Do.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        Edit(Do.ADD, "robertwilliams", "robertwilliamsiii"),
    )
    assert [edit.do for edit in correct("a1", "b1", "c1")] == [Do.DEACTIVATE, Do.ADD]


def test_an_addition_against_an_active_alias_becomes_a_turning_round():
    edits = parse("robertwilliams,robertwilliamsiii\nherbjones,herbertjones")
    assert with_turns(edits, {"robertwilliamsiii": {"robertwilliams"}}) == (
        Edit(Do.DEACTIVATE, "robertwilliamsiii", "robertwilliams"),
        *edits,
    )


# --- proposals ---------------------------------------------------------------------------------------------------------------


def test_the_right_player_is_the_first_proposal_for_every_listed_alias_among_five_thousand():
    """`python -m tests.benchmarks.names` prints the figures."""
    crowd = names.crowd()
    assert len(crowd.lookups) > 5_000
    told, untold = names.ranks(crowd, with_teams=True), names.ranks(crowd, with_teams=False)
    assert (told.first(), told.filled_in_wrong) == (len(names.LISTED), ())
    assert (untold.first(), untold.among_three(), untold.filled_in_wrong) == (20, len(names.LISTED), ())


def test_where_two_players_are_as_likely_a_person_has_to_choose():
    rows = (
        registered("jalenwilliams", "Jalen Williams", "OKC"),
        registered("jaylenwilliams", "Jaylen Williams", "OKC"),
        registered("garytrent", "Gary Trent", "MIL", player_id="garytrent_001"),
        registered("garytrentjr", "Gary Trent Jr.", "MIL", player_id="garytrent_001"),
    )
    asked = [Name("jawilliams", "Ja Williams", frozenset({"OKC"})), Name("garytrentsr", "Gary Trent Sr.")]
    found = propose([*asked, Name("jal", "Jal Williams", frozenset({"OKC"}))], Book((), rows))
    assert not any(proposal.likely for proposal in found["jawilliams"])
    assert [proposal.likely for proposal in found["garytrentsr"]] == [True, True], "two names of one player"


def test_a_bare_surname_that_two_players_share_is_never_likely():
    found = propose([Name("curry", "Curry", frozenset({"MIL"}))], book())["curry"]
    assert {proposal.lookup for proposal in found} >= {"stephencurry", "sethcurry"}
    assert not any(proposal.likely for proposal in found)


def test_a_name_like_nobody_is_given_no_proposal():
    assert propose([Name("qqqqqqqq", "Qqqq Qqqq")], book())["qqqqqqqq"] == ()


def test_five_thousand_players_and_five_hundred_names_are_ranked():
    rng = random.Random(7)
    name = lambda: "".join(rng.choices("abcdefghilmnoprstu", k=6)).capitalize()  # noqa: E731
    people = [f"{name()} {name()}" for _ in range(5_000)]
    crowd = Book((), tuple(registered(p.lower().replace(" ", ""), p) for p in people))
    asked = [Name(p.lower().replace(" ", "") + "jr", p + " Jr.", frozenset({"MIL"})) for p in people[:500]]
    found = propose(asked, crowd)
    assert all(found[one.lookup][0].lookup == one.lookup.removesuffix("jr") for one in asked)


# --- the sandbox's own names -------------------------------------------------------------------------------------------------


def test_the_fifteen_names_of_29_december_are_ranked_and_the_injured_cost_nothing(cloud):
    read = read_names(cloud, date(2025, 12, 29), date(2025, 12, 29))
    found = {one.lookup: one for one in read.unresolved}
    assert len(found) == 15
    assert sum(bool(one.alias_canonical) for one in read.unresolved) == 7
    assert (found["jimmybutler"].lost, found["jimmybutler"].says) == (0, "jimmybutleriii was out: nothing lost")
    assert read.unresolved[-1].lost == 0
    right = {
        "kevinporterjr": "kevinporter",
        "timhardawayjr": "timhardaway",
        "wendellcarterjr": "wendellcarter",
        "nicolasclaxton": "nicclaxton",
        "alexsarr": "alexandresarr",
        "boneshyland": "nahshonhyland",
        "robertwilliams": "robertwilliamsiii",
    }
    assert {lookup: found[lookup].proposals[0].lookup for lookup in right} == right


def test_the_twins_are_found_with_what_speaks_for_and_against_them(cloud):
    (twins, *_) = find_twins(read_book(cloud))
    assert {twins.keep, twins.merge} == {"garytrent_001", "garytrentjr_001"}
    assert "both are on MIL in 2025-26" in twins.speaks_for


def test_a_father_and_his_son_are_told_apart():
    rows = (
        registered("timhardaway", "Tim Hardaway", "MIA", "1998-99", jersey=10, position="G", games=900),
        registered("timhardawayjr", "Tim Hardaway Jr.", "DEN", "2025-26", jersey=11, position="G", games=30),
    )
    (twins,) = find_twins(Book((), rows))
    assert not twins.likely
    assert "they have no season in common, as a father and his son" in twins.speaks_against


def test_two_ids_of_one_shirt_and_surname_are_found_though_no_alias_joins_them():
    rows = (
        registered("nicclaxton", "Nic Claxton", "BKN", jersey=33),
        registered("nicolasclaxton", "Nicolas Claxton", "BKN", jersey=33),
        registered("otherclaxton", "Other Claxton", "BKN", jersey=4),
    )
    (twins,) = find_twins(Book((), rows))
    assert {twins.keep, twins.merge} == {"nicclaxton_001", "nicolasclaxton_001"}
    assert "jersey 33 and 33" in twins.speaks_for
