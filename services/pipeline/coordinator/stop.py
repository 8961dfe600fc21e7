"""Stops a run in whatever process it is: a job id that is claimed once, by the request to stop or by the end of the dispatch."""

from __future__ import annotations

import logging
import threading
import time

from services.batches.ids import make_job_id
from services.batches.ledger import BatchRecord
from services.pipeline.lease import JobIds

logger = logging.getLogger("coordinator")
POLL_INTERVAL_S = 0.5
_REQUESTED, _DISPATCHED = {"by": "request"}, {"by": "dispatch"}


def request_stop(job_ids: JobIds, entry: BatchRecord) -> bool:
    """Whether the run of this activation will stop, or has; False when all its players had been asked before."""
    return job_ids.claim_job_id(_job_id(entry), _REQUESTED) or is_stop_requested(job_ids, entry)


def is_stop_requested(job_ids: JobIds, entry: BatchRecord) -> bool:
    """Whether somebody has requested to stop this activation while its players were asked."""
    return (job_ids.get_claim(_job_id(entry)) or {}).get("by") == _REQUESTED["by"]


class StopSignal:
    """Whether to stop, asked before every request to a worker: at most POLL_INTERVAL_S old, whichever process took the request."""

    def __init__(self, job_ids: JobIds, entry: BatchRecord) -> None:
        self._job_ids, self._entry = job_ids, entry
        self._lock = threading.Lock()
        self._checked_at: float | None = None
        self._requested = False

    def __call__(self) -> bool:
        """Whether to stop now."""
        with self._lock:  # whoever waits here has the answer of a check that has just ended
            if not self._requested and self._is_due():
                self._checked_at = time.monotonic()
                try:
                    self._requested = is_stop_requested(self._job_ids, self._entry)
                except Exception:  # of whatever kind: the run goes on, and the next check asks again
                    logger.exception("Whether a stop of %s was requested could not be read", self._entry.batch_id)
            return self._requested

    def _is_due(self) -> bool:
        return self._checked_at is None or time.monotonic() - self._checked_at >= POLL_INTERVAL_S

    def close(self) -> bool:
        """After the last player: whether a stop was requested. If not, a later request comes too late."""
        if not self._requested and not self._job_ids.claim_job_id(_job_id(self._entry), _DISPATCHED):
            self._requested = is_stop_requested(self._job_ids, self._entry)
        return self._requested


def _job_id(entry: BatchRecord) -> str:
    return make_job_id("stop", entry.batch_id, entry.activation)
