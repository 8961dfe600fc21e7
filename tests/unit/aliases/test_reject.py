"""A rejected match: recorded with its reason, not suggested again, pasted only with its name typed, and undone."""

from __future__ import annotations

import pytest

from services.actions.executor import ActionRefused
from services.actions.log_reader import ActionState
from services.actions.plan import Confirmation
from services.aliases.edits import Edit, EditKind, to_params
from services.aliases.identities.duplicates import find_duplicates
from services.aliases.reject import REJECT_MATCH, plan_rejection
from services.aliases.rejections import list_rejections
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.core.errors import InvalidInput
from services.names.registry import read_registry
from tests.unit.aliases.conftest import read_aliases

PAIR = ("alexsarr", "alexandresarr")


def rejection_args(*pair, why="Olivier Sarr plays there too"):
    return {**to_params([Edit(EditKind.DEACTIVATE, *pair)]), "why": why}


def test_a_rejection_is_recorded_with_its_reason_and_undone(alias_clients, plan_and_execute):
    before = read_aliases(alias_clients)
    action = plan_and_execute(REJECT_MATCH, **rejection_args(*PAIR))
    assert (action.state, action.message) == (ActionState.DONE, "alexsarr → alexandresarr is not suggested again.")
    registry = read_registry(alias_clients)
    (rejection,) = list_rejections(registry)
    assert ((rejection.alias, rejection.canonical), rejection.reason) == (PAIR, "Olivier Sarr plays there too")
    assert (rejection.rejected_by, rejection.action_id) == (action.actor, action.action_id)
    assert PAIR[0] not in registry.active, "it resolves nothing"
    plan_and_execute(UNDO_EDIT, action_id=action.action_id)
    assert read_aliases(alias_clients) == before


def test_a_rejected_match_is_pasted_only_with_its_name_typed(alias_clients, plan_and_execute):
    plan_and_execute(REJECT_MATCH, **rejection_args(*PAIR))
    plan = EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, *PAIR)]))
    assert (plan.confirmation, plan.confirmation_text) == (Confirmation.TYPED, "alexsarr")
    assert any("was rejected by nora on" in warning and "plays there too" in warning for warning in plan.warnings)
    other = EDIT_ALIASES.plan(alias_clients, to_params([Edit(EditKind.ADD, "alexsarr", "nahshonhyland")]))
    assert not any("rejected" in warning for warning in other.warnings), "another player may be meant"


def test_two_identities_that_were_rejected_are_no_duplicates(alias_clients, plan_and_execute):
    registry = read_registry(alias_clients)
    (pair, *others) = find_duplicates(registry)
    plan_and_execute(REJECT_MATCH, **rejection_args(pair.merge, pair.keep, why="father and son"))
    assert find_duplicates(read_registry(alias_clients)) == tuple(others)


@pytest.mark.parametrize(
    ("pair", "why", "message"),
    [(PAIR, "  ", "Enter a reason"), (("herbjones", "herbertjones"), "no", "is active or rejected already")],
)
def test_a_rejection_without_reason_or_of_an_alias_in_use_is_refused(
    alias_clients, plan_and_execute, pair, why, message
):
    before = read_aliases(alias_clients)
    with pytest.raises(ActionRefused, match=message):
        plan_and_execute(REJECT_MATCH, **rejection_args(*pair, why=why))
    assert read_aliases(alias_clients) == before


def test_one_match_is_rejected_at_a_time(alias_clients):
    for edits in ([Edit(EditKind.ADD, *PAIR)], [Edit(EditKind.DEACTIVATE, *PAIR), Edit(EditKind.DEACTIVATE, "a", "b")]):
        with pytest.raises(InvalidInput, match="One match"):
            REJECT_MATCH.plan(alias_clients, {**to_params(edits), "why": "no"})


def test_the_plan_of_the_button_is_that_of_a_fresh_read(alias_clients):
    """The dialog plans from the registry on the page; the executor compares with what it reads itself."""
    shown = plan_rejection(read_registry(alias_clients), *PAIR, "no", alias_clients.now())
    assert shown.hash == REJECT_MATCH.plan(alias_clients, rejection_args(*PAIR, why="no")).hash
