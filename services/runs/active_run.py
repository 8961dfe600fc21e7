"""The run of a game date that is under way, from its beginning until its outcome is recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.actions.background import ActionHandle
from services.actions.log_reader import Action
from services.batches.reader import Batches
from services.batches.state import STOPPABLE_STATES
from services.runs.actions import RESUME_BATCH, START_RUN

SETTLING = timedelta(seconds=20)  # for which the head waits for the night that a run has changed
_RUN_ACTIONS = (START_RUN.name, RESUME_BATCH.name)


@dataclass(frozen=True)
class ActiveRun:
    """`batch_id` is "" until a coordinator has accepted the run; `repeats` whether the date has been run before.

    `settling_id` is the action that has ended, while what it changed is not read anew; else "".
    """

    batch_id: str
    started: datetime | None
    requested: int | None
    stoppable: bool
    repeats: bool
    settling_id: str = ""


def find_active_run(
    game_date: date,
    batches: Batches | None,
    actions: Iterable[Action],
    pending: Iterable[ActionHandle],
    now: datetime,
    is_night_read: bool = True,
) -> ActiveRun | None:
    """The newest batch of our own coordinator that is in progress, or the run that an open action has begun or follows.

    While an action has no outcome the run counts as under way though its batch has ended: it is being verified. So it does just
    after its end while the night is not read anew, so that its outcome and the night's verdict change together.
    """
    known = batches.batches if batches else ()
    running = next((b for b in (batches.running if batches else ()) if b.record_source == "ledger"), None)
    if running is not None:
        repeats = any(b is not running for b in known)
        return ActiveRun(
            running.batch_id, running.started, running.requested, running.state in STOPPABLE_STATES, repeats
        )
    target = game_date.isoformat()
    for action in actions:
        if action.action_name in _RUN_ACTIONS and action.target == target and _is_open(action, now, is_night_read):
            batch_id = str(action.facts.get("batch_id") or "")
            requested = next((b.requested for b in known if b.batch_id == batch_id), None)
            repeats = _is_rerun(action.title) or any(b.batch_id != batch_id for b in known)
            settling_id = action.action_id if action.ended_at else ""
            return ActiveRun(batch_id, action.started_at, requested, False, repeats, settling_id)
    for handle in pending:
        if handle.action_name in _RUN_ACTIONS and handle.target == target and not handle.ended:
            return ActiveRun("", handle.started_at, None, False, _is_rerun(handle.title) or bool(known))
    return None


def _is_rerun(title: str) -> bool:
    """By the action's title, which is there while the list of batches is not."""
    return title.startswith("Re-run")


def _is_open(action: Action, now: datetime, is_night_read: bool) -> bool:
    if action.ended_at is None:
        return not action.is_abandoned(now)
    return not is_night_read and now - action.ended_at < SETTLING
