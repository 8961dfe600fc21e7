"""Saving alias edits: all or none are saved, no concurrent edit is overwritten, and everything can be undone."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.aliases.edits import Edit, EditKind, parse_lines, to_params
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE
from services.aliases.save import EDIT_ALIASES, validate
from services.aliases.undo import UNDO_EDIT
from services.aliases.validation import Severity, find_violations, new_violations
from services.auth.roles import InsufficientRole
from services.core.errors import InvalidInput
from services.names.registry import read_registry
from tests.support.actors import OPERATOR, VIEWER
from tests.unit.aliases.conftest import read_aliases, read_registry_rows

MISSING_ALIASES = """kevinporterjr,kevinporter
timhardawayjr,timhardaway
wendellcarterjr,wendellcarter
nicolasclaxton,nicclaxton
alexsarr,alexandresarr
boneshyland,nahshonhyland"""


def test_one_bad_alias_among_several_saves_none_of_them(alias_clients, plan_and_execute, recorded_actions):
    before = read_aliases(alias_clients)
    edits = tuple(parse_lines("kevinporterjr,kevinporter\nsomebody,nobodyatall").edits.values())
    with pytest.raises(ActionRefused, match="nobodyatall is not in the player registry"):
        plan_and_execute(EDIT_ALIASES, **to_params(edits))
    assert read_aliases(alias_clients) == before
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]


def test_a_row_changed_later_is_not_undone(alias_clients, plan_and_execute):
    saved_action = plan_and_execute(
        EDIT_ALIASES, typed="herbjones", **to_params([Edit(EditKind.DEACTIVATE, "herbjones", "herbertjones")])
    )
    plan_and_execute(EDIT_ALIASES, typed="herbjones", **to_params([Edit(EditKind.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(ActionRefused, match="0 of 1 unchanged since that action"):
        plan_and_execute(UNDO_EDIT, action_id=saved_action.action_id)


def test_a_deactivated_alias_can_be_added_again(alias_clients, plan_and_execute):
    edit = ("treymurphyiii", "treymurphy")
    assert plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, *edit)])).state is ActionState.DONE
    assert (
        plan_and_execute(EDIT_ALIASES, typed="treymurphyiii", **to_params([Edit(EditKind.ADD, *edit)])).state
        is ActionState.DONE
    )
    assert len([row for row in read_aliases(alias_clients) if row["alias_lookup"] == "treymurphyiii"]) == 1


def test_impossible_edits_are_refused_with_a_message(alias_clients, plan_and_execute):
    with pytest.raises(ActionRefused, match="doesn't exist, so it can't be deactivated"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, "nosuch", "alias")]))
    with pytest.raises(ActionRefused, match="is active already"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "herbjones", "herbertjones")]))
    with pytest.raises(ActionRefused, match="Circular alias herbertjones ↔ herbjones"):
        plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "herbertjones", "herbjones")]))
    with pytest.raises(InvalidInput, match="no alias changes to undo"):
        UNDO_EDIT.plan(alias_clients, {"action_id": "nothing"})
    plan = EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, "kevinporterjr", "kevinporter")]))
    with pytest.raises(InsufficientRole):
        execute(alias_clients, VIEWER, EDIT_ALIASES, plan)


# --- edits that meet each other ------------------------------------------------------------------------------------------------


def test_two_planned_edits_that_form_a_chain_are_not_both_saved(
    alias_clients, plan_and_execute, duplicate_identities, monkeypatch
):
    """Each plan is valid by itself; both pass the checks, as when both are carried out at once, and both write."""
    before = read_aliases(alias_clients)
    plans = [EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, *pair)])) for pair in CHAIN_EDITS]
    assert not any(plan.failed_guards for plan in plans)
    monkeypatch.setattr("services.actions.executor._reasons_to_refuse", lambda *_: "")
    first, second = (
        execute(alias_clients, OPERATOR, EDIT_ALIASES, plan, "because", plan.confirmation_text) for plan in plans
    )
    assert (first.state, second.state) == (ActionState.DONE, ActionState.FAILED), second.message
    assert not [f for f in find_violations(read_registry(alias_clients)) if f.check == "chain"]
    plan_and_execute(UNDO_EDIT, action_id=first.action_id)
    assert read_aliases(alias_clients) == before


CHAIN_EDITS = (("kporter", "kevinporterjr"), ("kevinporterjr", "kevinporter"))


def test_undo_never_creates_a_chain_from_two_valid_edits(alias_clients, plan_and_execute, duplicate_identities):
    """An alias is deactivated, and its canonical name has become an alias since: together they would be a chain."""
    first_edit = plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.ADD, "kporter", "kevinporterjr")]))
    deactivation = plan_and_execute(EDIT_ALIASES, **to_params([Edit(EditKind.DEACTIVATE, "kporter", "kevinporterjr")]))
    second_edit = plan_and_execute(
        EDIT_ALIASES, typed="kevinporterjr", **to_params([Edit(EditKind.ADD, "kevinporterjr", "kevinporter")])
    )
    assert [a.state for a in (first_edit, deactivation, second_edit)] == [ActionState.DONE] * 3
    with pytest.raises(ActionRefused, match="chained aliases aren't resolved"):
        plan_and_execute(UNDO_EDIT, action_id=deactivation.action_id)
    for action in (second_edit, deactivation, first_edit):
        assert plan_and_execute(UNDO_EDIT, action_id=action.action_id).state is ActionState.DONE
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == duplicate_identities


# --- any edits, any merge, undone ----------------------------------------------------------------------------------------------


ALIAS_NAMES = ("herbjones", "kevinporterjr", "trey", "alexsarr", "nicclaxton", "garytrentjr", "robertwilliams")
CANONICAL_NAMES = ("herbertjones", "kevinporter", "alexandresarr", "nicclaxton", "robertwilliamsiii", "garytrent")
PLAYER_IDS = ("garytrent_001", "garytrentjr_001", "kevinporter_001", "alexandresarr_001", "nicclaxton_001")


def draw_accepted_edits(registry, rng):
    """Some edits that the checks let through, drawn until they do."""
    while True:
        candidates = [
            Edit(rng.choice(list(EditKind)), rng.choice(ALIAS_NAMES), rng.choice(CANONICAL_NAMES))
            for _ in range(rng.randint(1, 4))
        ]
        edits = tuple({(edit.alias, edit.canonical): edit for edit in candidates}.values())
        if all(guard.ok for guard in validate(registry, edits).guards):
            return edits


@pytest.mark.parametrize("seed", range(3))
def test_accepted_edits_and_merges_that_are_undone_restore_both_tables_exactly(alias_clients, seed):
    """Saves and a merge drawn at random, then undone in reverse: the real statements on the real tables."""
    rng, before, completed = random.Random(seed), (read_registry_rows(alias_clients), read_aliases(alias_clients)), []
    for _ in range(2):
        registry = read_registry(alias_clients)
        plan = EDIT_ALIASES.plan(alias_clients, to_params(draw_accepted_edits(registry, rng)))
        completed.append(
            (UNDO_EDIT, execute(alias_clients, OPERATOR, EDIT_ALIASES, plan, "because", plan.confirmation_text))
        )
        assert not [f for f in new_violations(registry, read_registry(alias_clients)) if f.severity is Severity.ERROR]
    plans = (
        MERGE_IDENTITIES.plan(alias_clients, {"keep": a, "merge": b})
        for a, b in rng.sample(list(permutations(PLAYER_IDS, 2)), 20)
    )
    plan = next(plan for plan in plans if not plan.failed_guards)
    completed.append(
        (UNDO_MERGE, execute(alias_clients, OPERATOR, MERGE_IDENTITIES, plan, "because", plan.confirmation_text))
    )
    assert [action.state for _, action in completed] == [ActionState.DONE] * 3, [
        action.message for _, action in completed
    ]
    for action_type, action in reversed(completed):
        undo_action = execute(
            alias_clients, OPERATOR, action_type, action_type.plan(alias_clients, {"action_id": action.action_id})
        )
        assert undo_action.state is ActionState.DONE, undo_action.message
    assert (read_registry_rows(alias_clients), read_aliases(alias_clients)) == before
