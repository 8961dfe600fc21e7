"""The states of a batch, what may be done in each, and how healthy each is."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from services.core.result import Health


class BatchState(StrEnum):
    """The state of a batch; the transitions are in services/batches/ledger.py."""

    REQUESTED = "requested"
    RUNNING = "running"
    STAGED = "staged"
    CONSOLIDATING = "consolidating"
    CONSOLIDATED = "consolidated"
    CONSOLIDATION_FAILED = "consolidation failed"
    STALLED = "stalled"
    STOPPED = "stopped"
    ABANDONED = "abandoned"  # of earlier versions
    UNVERIFIED_SUCCESS = "reported success"  # by the customer's older coordinator; unproven


IN_PROGRESS_STATES = {BatchState.REQUESTED, BatchState.RUNNING, BatchState.STAGED, BatchState.CONSOLIDATING}
STOPPABLE_STATES = {BatchState.REQUESTED, BatchState.RUNNING}  # players may still be asked
RESUMABLE_STATES = {BatchState.STAGED, BatchState.CONSOLIDATION_FAILED, BatchState.STALLED, BatchState.STOPPED}
STALL_TIMEOUT = timedelta(minutes=10)  # a batch in progress of which nothing is recorded for so long has stalled
HEALTH_BY_BATCH_STATE = {
    BatchState.REQUESTED: Health.OK,
    BatchState.RUNNING: Health.OK,
    BatchState.STAGED: Health.OK,
    BatchState.CONSOLIDATING: Health.OK,
    BatchState.CONSOLIDATED: Health.OK,
    BatchState.CONSOLIDATION_FAILED: Health.CRITICAL,
    BatchState.STALLED: Health.CRITICAL,
    BatchState.STOPPED: Health.WARNING,
    BatchState.ABANDONED: Health.WARNING,
    BatchState.UNVERIFIED_SUCCESS: Health.UNKNOWN,
}


def current_state(recorded: BatchState, recorded_at: datetime, now: datetime) -> BatchState:
    """The state of a batch whose newest record is `recorded`: stalled when it should have gone on and did not."""
    return BatchState.STALLED if recorded in IN_PROGRESS_STATES and now - recorded_at > STALL_TIMEOUT else recorded
