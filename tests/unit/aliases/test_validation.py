"""What the checks refuse, what they only warn of, and whom an unresolved name is taken for."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from services.aliases.validation import Severity, find_violations, new_violations, with_aliases
from services.names.registry import Alias
from tests.support.registry_factories import PLAYERS, make_registry


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


# --- proposals ---------------------------------------------------------------------------------------------------------------


# --- the sandbox's own names -------------------------------------------------------------------------------------------------
