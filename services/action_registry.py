"""Every kind of action by its name: what a button offers, and what finishes or undoes a recorded action."""

from __future__ import annotations

from collections.abc import Iterable

from services.actions.action_type import ActionType
from services.actions.log_reader import Action, ActionState
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE, UNDOABLE_STATES
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.core.errors import InvalidInput
from services.core.sources import ALL, Sources
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.stop import STOP_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.move_traffic import MOVE_TRAFFIC, UNDO_MOVE_TRAFFIC
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.remove_duplicates import REMOVE_DUPLICATES
from services.staging.restore_dropped import UNDO_DROP
from services.staging.restore_duplicates import RESTORE_DUPLICATES

UNDO_ACTIONS = {  # which action undoes an ended one, and in which states there may be something to undo
    EDIT_ALIASES.name: (UNDO_EDIT, (ActionState.DONE,)),
    MERGE_IDENTITIES.name: (UNDO_MERGE, UNDOABLE_STATES),
    MOVE_TRAFFIC.name: (UNDO_MOVE_TRAFFIC, (ActionState.DONE, ActionState.UNVERIFIED)),
    REMOVE_DUPLICATES.name: (RESTORE_DUPLICATES, (ActionState.DONE, ActionState.UNVERIFIED)),
}
ACTION_TYPES = {
    action_type.name: action_type
    for action_type in (
        ACKNOWLEDGE,
        SILENCE,
        RESOLVE,
        REOPEN,
        TEST_NOTIFICATION,
        TEST_ESCALATION,
        START_RUN,
        RESUME_BATCH,
        STOP_RUN,
        CONSOLIDATE_BATCH,
        DROP_MERGED,
        DROP_ORPHAN,
        UNDO_DROP,
        REMOVE_DUPLICATES,
        RESTORE_DUPLICATES,
        SCALE_DOWN,
        RESTORE_CAPACITY,
        SET_CAPACITY,
        MOVE_TRAFFIC,
        UNDO_MOVE_TRAFFIC,
        EDIT_ALIASES,
        UNDO_EDIT,
        MERGE_IDENTITIES,
        UNDO_MERGE,
    )
}


def find_undo(action: Action, actions: Iterable[Action]) -> ActionType | None:
    """The kind of action that undoes this one; None where none does, or where one of `actions` has done so."""
    undo, states = UNDO_ACTIONS.get(action.action_name, (UNDO_DROP, tuple(ActionState)))
    if action.state not in states or (undo is UNDO_DROP and "dropped_from_ms" not in action.facts):
        return None
    is_undone = any(
        (other.action_name, other.target, other.state) == (undo.name, action.action_id, ActionState.DONE)
        for other in actions
    )
    return None if is_undone else undo


def changed_sources(name: str) -> Sources:
    """What an action of this name changes; one that is not known here may be of a newer version, and change anything."""
    return ACTION_TYPES[name].changes if name in ACTION_TYPES else ALL


def get_action_type(name: str) -> ActionType:
    """The kind of action of this name, as recorded; raises InvalidInput for one that is not known."""
    if name not in ACTION_TYPES:
        raise InvalidInput(f"This desk knows no action {name!r}.", "It may be of a newer version.")
    return ACTION_TYPES[name]
