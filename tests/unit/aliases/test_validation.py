"""What the checks refuse, what they only warn of, and whom an unresolved name is taken for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st

from services.aliases.validation import (
    Severity,
    find_violations,
    new_violations,
    previously_deactivated,
    violation_keys,
    with_aliases,
)
from services.names.registry import Alias, NameRegistry
from tests.support.registry_factories import PLAYERS, make_registry, make_registry_row


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


def messages(registry: NameRegistry) -> dict[str, str]:
    """The sentence of each check that reports something."""
    return {violation.check: violation.message for violation in find_violations(registry)}


def test_each_violation_is_a_sentence_with_the_names_concerned():
    people = dict(PLAYERS)
    assert messages(make_registry(("h.jones", "herbertjones")))["not a lookup"] == (
        "“h.jones” isn't a valid lookup key; use hjones."
    )
    assert (
        messages(make_registry(("...", "herbertjones")))["not a lookup"]
        == "“...” isn't a valid lookup key; use letters."
    )
    assert messages(make_registry(("herb", "herbjones"), ("herbjones", "herbertjones")))["chain"] == (
        "herbjones is itself an alias of herbertjones; chained aliases aren't resolved."
    )
    two = messages(make_registry(("herbjones", "lebronjames"), ("herbjones", "herbertjones")))["two canonicals"]
    assert two == "herbjones maps to both herbertjones and lebronjames: keep one."
    bare = messages(make_registry(("curry", "stephencurry")))["bare surname"]
    assert bare == "curry is only a surname, of 2 players (sethcurry, stephencurry): ambiguous."
    people |= {f"curry{n}": f"{n.upper()} Curry" for n in "abcd"}
    bare = messages(make_registry(("curry", "stephencurry"), people=people))["bare surname"]
    assert bare.startswith("curry is only a surname, of 6 players (currya, curryb, curryc):")
    other = messages(make_registry(("sethcurry", "stephencurry")))["another player's name"]
    assert other == "sethcurry belongs to another registered player (sethcurry_001 and stephencurry_001)."
    twin = messages(make_registry(("garytrentjr", "garytrent")))["twin"]
    assert twin.startswith(
        "garytrentjr and garytrent are registered twice on the same team (garytrentjr_001 and garytrent_001)"
    )
    pair = messages(make_registry())["suffix pair without alias"]
    assert pair.startswith("garytrentjr and garytrent differ only in the suffix")


def test_a_name_that_leads_to_itself_is_that_one_violation():
    registry = make_registry(("lebronjames", "lebronjames"), people={"lebronjames": "LeBron James"})
    assert [violation.check for violation in find_violations(registry)] == ["self-map"]


def test_two_spellings_of_one_identity_shadow_nobody():
    rows = tuple(make_registry_row(n, PLAYERS[n], player_id="one") for n in ("garytrent", "garytrentjr"))
    assert find_violations(NameRegistry((Alias("garytrentjr", "garytrent", active=True),), rows)) == ()


def test_suffixes_on_different_teams_are_two_players():
    rows = (
        make_registry_row("garytrent", "Gary Trent", "MIN"),
        make_registry_row("garytrentjr", "Gary Trent Jr.", "MIL"),
    )
    assert find_violations(NameRegistry((), rows)) == ()
    checks = {v.check for v in find_violations(NameRegistry((Alias("garytrentjr", "garytrent", active=True),), rows))}
    assert checks == {"another player's name"}


def test_errors_come_first_then_by_name_and_a_sentence_is_said_once():
    registry = make_registry(
        ("williamson", "zionwilliamson"),
        ("herbjones", "lebronjames"),
        ("herbjones", "herbertjones"),
        ("curry", "nobody"),
    )
    found = find_violations(registry)
    assert [violation.severity for violation in found] == sorted(violation.severity for violation in found)
    assert [v.check for v in found if v.alias == "herbjones"] == ["two canonicals", "surname differs"]
    assert found[0].alias == "curry"


def test_the_key_of_a_violation_names_check_alias_and_canonical():
    keys = violation_keys(make_registry(("herbjones", "nobody"), people={"herbertjones": "Herbert Jones"}))
    assert keys == {"canonical absent: herbjones → nobody"}


def test_a_surname_may_begin_or_end_the_alias():
    for alias in ("jonesherb", "herbjones", "hjonesjr"):
        assert "surname differs" not in messages(make_registry((alias, "herbertjones")))
    assert messages(make_registry(("kingjamie", "lebronjames")))["surname differs"] == (
        "kingjamie: surname differs from lebronjames."
    )


def test_an_alias_switched_off_before_is_named_with_the_day():
    off = datetime(2025, 12, 3, 9, tzinfo=UTC)
    rows = (
        Alias("herbjones", "lebronjames", active=False, processed_at=off),
        Alias("herbjones", "herbertjones", active=True),
        Alias("other", "herbertjones", active=False),
    )
    found = previously_deactivated(NameRegistry(rows, ()), [("herbjones", "a"), ("herbjones", "b"), ("new", "a")])
    assert [(v.message, v.severity, v.canonical) for v in found] == [
        ("herbjones → lebronjames was deactivated on 3 Dec 2025.", Severity.WARNING, "lebronjames")
    ]


def test_rows_of_the_same_pair_are_replaced_and_others_stay():
    before = make_registry(("herbjones", "herbertjones"), ("curry", "stephencurry"))
    after = with_aliases(before, [Alias("herbjones", "herbertjones", active=False), Alias("new", "lebronjames", True)])
    assert {(row.pair, row.active) for row in after.aliases} == {
        (("herbjones", "herbertjones"), False),
        (("curry", "stephencurry"), True),
        (("new", "lebronjames"), True),
    }
    assert after.registered == before.registered
