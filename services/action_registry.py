"""Everything the desk can do, by name: what a button offers, and what a record needs to be finished or taken back."""

from __future__ import annotations

from services.actions.log_reader import ActionState
from services.actions.verb import ActionType
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, TEST_NOTIFICATION
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import UNDO_MERGE, UNDOABLE_STATES
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.core.errors import InvalidInput
from services.runs.actions import RESUME_BATCH, START_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.restore_dropped import UNDO_DROP

UNDO_ACTION_OF = {  # which verb takes an ended action back, and in which states there may be something to take back
    EDIT_ALIASES.name: (UNDO_EDIT, (ActionState.DONE,)),
    MERGE_IDENTITIES.name: (UNDO_MERGE, UNDOABLE_STATES),
}
ACTION_TYPES = {
    verb.name: verb
    for verb in (
        ACKNOWLEDGE,
        SILENCE,
        RESOLVE,
        REOPEN,
        TEST_NOTIFICATION,
        START_RUN,
        RESUME_BATCH,
        CONSOLIDATE_BATCH,
        DROP_MERGED,
        DROP_ORPHAN,
        UNDO_DROP,
        SCALE_DOWN,
        RESTORE_CAPACITY,
        SET_CAPACITY,
        EDIT_ALIASES,
        UNDO_EDIT,
        MERGE_IDENTITIES,
        UNDO_MERGE,
    )
}


def get_action_type(name: str) -> ActionType:
    """The verb of this name; raises BadInput for one that this desk does not know."""
    if name not in ACTION_TYPES:
        raise InvalidInput(f"This desk knows no action {name!r}.", "It may be of a newer version.")
    return ACTION_TYPES[name]
