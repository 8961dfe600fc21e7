"""Every kind of action by its name: what a button offers, and what finishes or undoes a recorded action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.actions.action_type import ActionType
from services.actions.log_reader import Action, ActionState
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE, UNDOABLE_STATES
from services.aliases.reject import REJECT_MATCH
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.core.errors import InvalidInput
from services.core.sources import ALL, Sources
from services.notes.add import ADD_NOTE
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB, RUN_JOB
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.range_actions import RUN_RANGE, STOP_RANGE
from services.runs.stop import STOP_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.move_traffic import MOVE_TRAFFIC, UNDO_MOVE_TRAFFIC
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.remove_duplicates import REMOVE_DUPLICATES
from services.staging.restore_dropped import UNDO_DROP, is_restorable
from services.staging.restore_duplicates import RESTORE_DUPLICATES

_ANY_OUTCOME = (ActionState.DONE, ActionState.UNVERIFIED, ActionState.FAILED)
_UNDO_ACTIONS = {  # which action undoes an ended one, and in which states there may be something to undo
    EDIT_ALIASES.name: (UNDO_EDIT, (ActionState.DONE,)),
    REJECT_MATCH.name: (UNDO_EDIT, (ActionState.DONE,)),
    MERGE_IDENTITIES.name: (UNDO_MERGE, UNDOABLE_STATES),
    MOVE_TRAFFIC.name: (UNDO_MOVE_TRAFFIC, (ActionState.DONE, ActionState.UNVERIFIED)),
    REMOVE_DUPLICATES.name: (RESTORE_DUPLICATES, (ActionState.DONE, ActionState.UNVERIFIED)),
    DROP_MERGED.name: (UNDO_DROP, _ANY_OUTCOME),
    DROP_ORPHAN.name: (UNDO_DROP, _ANY_OUTCOME),
    SCALE_DOWN.name: (RESTORE_CAPACITY, (ActionState.DONE,)),
    SET_CAPACITY.name: (RESTORE_CAPACITY, (ActionState.DONE,)),
    PAUSE_JOB.name: (RESUME_JOB, (ActionState.DONE, ActionState.UNVERIFIED)),
    RESUME_JOB.name: (PAUSE_JOB, (ActionState.DONE, ActionState.UNVERIFIED)),
}
_CAPACITY_ACTIONS = (SCALE_DOWN.name, SET_CAPACITY.name, RESTORE_CAPACITY.name)
_JOB_ACTIONS = (PAUSE_JOB.name, RESUME_JOB.name)  # of one job, of which each undoes the other
_DROP_ACTIONS = (DROP_MERGED.name, DROP_ORPHAN.name)
ACTION_TYPES = {
    action_type.name: action_type
    for action_type in (
        ACKNOWLEDGE,
        SILENCE,
        RESOLVE,
        REOPEN,
        TEST_NOTIFICATION,
        TEST_ESCALATION,
        ADD_NOTE,
        START_RUN,
        RESUME_BATCH,
        STOP_RUN,
        RUN_RANGE,
        STOP_RANGE,
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
        REJECT_MATCH,
        UNDO_EDIT,
        MERGE_IDENTITIES,
        UNDO_MERGE,
        RUN_JOB,
        PAUSE_JOB,
        RESUME_JOB,
    )
}


@dataclass(frozen=True)
class Undo:
    """What undoes an action: the kind of action, and its parameters."""

    action_type: ActionType
    args: Mapping[str, Any]


def find_undo(action: Action, actions: Iterable[Action], now: datetime) -> Undo | None:
    """What undoes an ended action of the log; None when it was undone, or when nothing can undo it (any more). Pure.

    `actions` are those of the log, newest first. The undo's own plan checks again what it finds.
    """
    undo_type, states = _UNDO_ACTIONS.get(action.action_name, (None, ()))
    if undo_type is None or action.state not in states or action.ended_at is None:
        return None
    if action.action_name in _CAPACITY_ACTIONS:
        changes = (a for a in actions if a.action_name in _CAPACITY_ACTIONS and a.state is ActionState.DONE)
        is_newest = next(changes, action).action_id == action.action_id
        return Undo(undo_type, {}) if is_newest else None
    if action.action_name in _DROP_ACTIONS and not is_restorable(action.facts, now):
        return None
    if find_undone_by(action, actions) is not None:
        return None
    if action.action_name in _JOB_ACTIONS:
        return Undo(undo_type, {"job": action.target})
    return Undo(undo_type, {"action_id": action.action_id})


def find_undone_by(action: Action, actions: Iterable[Action]) -> Action | None:
    """The action of the log that undid this one; None when none did. Pure."""
    undo_type, _ = _UNDO_ACTIONS.get(action.action_name, (None, ()))
    if undo_type is None:
        return None
    done = (a for a in actions if a.action_name == undo_type.name and a.state is ActionState.DONE)
    if action.action_name in _CAPACITY_ACTIONS:
        return next((a for a in done if a.started_at > action.started_at), None)
    if action.action_name in _JOB_ACTIONS:
        return next((a for a in done if a.target == action.target and a.started_at > action.started_at), None)
    return next((a for a in done if action.action_id in (a.target, a.undoes)), None)


def changed_sources(name: str) -> Sources:
    """What an action of this name changes; one that is not known here may be of a newer version, and change anything."""
    return ACTION_TYPES[name].changes if name in ACTION_TYPES else ALL


def get_action_type(name: str) -> ActionType:
    """The kind of action of this name, as recorded; raises InvalidInput for one that is not known."""
    if name not in ACTION_TYPES:
        raise InvalidInput(f"Unknown action {name!r}.", "It may be of a newer version of the dashboard.")
    return ACTION_TYPES[name]
