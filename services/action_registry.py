"""Everything the desk can do, by name: what a button offers, and what a record needs to be finished or taken back."""

from __future__ import annotations

from services.actions.log_reader import State
from services.actions.verb import Verb
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, TEST
from services.aliases.identities.merge import MERGE_IDENTITIES
from services.aliases.identities.split import MAY_BE_HALF, UNDO_MERGE
from services.aliases.save import EDIT
from services.aliases.undo import UNDO_EDIT
from services.core.errors import BadInput
from services.runs.actions import RESUME, START
from services.scaling.actions import NARROW, RESTORE, SET
from services.staging.consolidate import CONSOLIDATE
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.restore_dropped import UNDO_DROP

TAKEN_BACK_BY = {  # which verb takes an ended action back, and in which states there may be something to take back
    EDIT.name: (UNDO_EDIT, (State.DONE,)),
    MERGE_IDENTITIES.name: (UNDO_MERGE, MAY_BE_HALF),
}
VERBS = {
    verb.name: verb
    for verb in (
        ACKNOWLEDGE,
        SILENCE,
        RESOLVE,
        REOPEN,
        TEST,
        START,
        RESUME,
        CONSOLIDATE,
        DROP_MERGED,
        DROP_ORPHAN,
        UNDO_DROP,
        NARROW,
        RESTORE,
        SET,
        EDIT,
        UNDO_EDIT,
        MERGE_IDENTITIES,
        UNDO_MERGE,
    )
}


def verb_of(name: str) -> Verb:
    """The verb of this name; raises BadInput for one that this desk does not know."""
    if name not in VERBS:
        raise BadInput(f"This desk knows no action {name!r}.", "It may be of a newer version.")
    return VERBS[name]
