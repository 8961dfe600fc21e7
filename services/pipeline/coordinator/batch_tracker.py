"""The newest record of a batch that this process runs: kept in memory, advanced in the ledger, with its progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from services.batches.ledger import BatchRecord, Ledger, StateAlreadyRecorded
from services.core.errors import OnCallError
from services.gcp.clients import Clients

logger = logging.getLogger("coordinator")
PROGRESS_INTERVAL = timedelta(seconds=60)


class BatchTracker:
    """One activation of a batch. `superseded`: another process has recorded a state of the batch, so this one must end."""

    def __init__(self, clients: Clients, ledger: Ledger, holder: str, entry: BatchRecord) -> None:
        self._clients, self._ledger, self._holder = clients, ledger, holder
        self.entry = entry
        self.superseded: StateAlreadyRecorded | None = None
        self._recorded_at = clients.now()

    def advance(self, record: BatchRecord) -> None:
        """Record the next state; raises when it could not be recorded, StateAlreadyRecorded when another process has its own."""
        record = replace(record, sequence=self.entry.sequence + 1, holder=self._holder)
        self._ledger.append_state(record)
        self.entry, self._recorded_at = record, self._clients.now()

    def record_progress(self, outcomes: Mapping[str, int], reason: str) -> None:
        """Record the same state again, at most once in PROGRESS_INTERVAL, so that it is known to go on. Raises nothing."""
        if self.superseded or self._clients.now() - self._recorded_at < PROGRESS_INTERVAL:
            return
        self._recorded_at = self._clients.now()
        details = {**self.entry.details, "outcomes": dict(outcomes)}
        try:
            self.advance(replace(self.entry, reason=reason, details=details))
        except StateAlreadyRecorded as error:
            self.superseded = error
        except OnCallError:
            logger.exception("The progress of batch %s could not be recorded", self.entry.batch_id)

    def reread(self) -> None:
        """Take over a record of this activation whose answer was lost, so that the next one has the next number."""
        latest = self._ledger.latest(self.entry.batch_id, self.entry.game_date)
        if latest is not None and (latest.holder, latest.activation) == (self._holder, self.entry.activation):
            self.entry = max(self.entry, latest, key=lambda record: record.sequence)
