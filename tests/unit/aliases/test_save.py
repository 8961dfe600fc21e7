"""Validating edits before they are saved: what is accepted never makes the registry worse."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.aliases.edits import Edit, EditKind
from services.aliases.save import EditValidation, validate
from services.aliases.validation import find_violations, violation_keys
from services.names.registry import Alias, NameRegistry
from tests.support.registry_factories import PLAYERS, make_registry, make_registry_row
from tests.unit.aliases.test_validation import EDIT_BATCHES, EDITS, REGISTRIES, STRUCTURAL_CHECKS


def is_accepted(validation: EditValidation) -> bool:
    return all(guard.ok for guard in validation.guards)


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
        if is_accepted(validated):
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
    assert is_accepted(validate(stored, [Edit(EditKind.DEACTIVATE, "herbjones", "stephencurry")]))
    assert not is_accepted(validate(stored, [Edit(EditKind.ADD, "herbjones", "sethcurry")]))


def test_reactivating_a_deactivated_alias_gives_a_warning():
    deactivated = NameRegistry((Alias("herbjones", "lebronjames", active=False),), make_registry().registered)
    validated = validate(deactivated, [Edit(EditKind.ADD, "herbjones", "herbertjones")])
    assert is_accepted(validated)
    assert "herbjones → lebronjames was deactivated." in {f.message for f in validated.warnings}


def test_a_suffix_pair_on_one_team_without_an_alias_is_a_warning():
    assert "suffix pair without alias" in {f.check for f in find_violations(make_registry())}
    assert "suffix pair without alias" not in {
        f.check for f in find_violations(make_registry(("garytrentjr", "garytrent")))
    }
    validated = validate(
        make_registry(("garytrentjr", "garytrent")), [Edit(EditKind.DEACTIVATE, "garytrentjr", "garytrent")]
    )
    assert "suffix pair without alias" in {f.check for f in validated.warnings}
