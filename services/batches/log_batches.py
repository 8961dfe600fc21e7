"""Batches of a coordinator that keeps no ledger: from its log, its workers' run rows and the staging tables that are there.

None of these is complete: run rows may name no batch or be missing, lines may name no batch, and a batch whose rows are
merged has no table any more. What two of them tell of one run is put together by id, else by time. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from services.batches.ids import is_batch_id, parse_staging_table_name, read_batch_date, read_batch_start
from services.batches.log_runs import MAX_START_SKEW, LogRun
from services.batches.state import STALL_TIMEOUT, BatchState
from services.core.clock import format_eastern
from services.core.text import pluralize
from services.telemetry import log_phrases

_COMPLETED = re.compile(r"(?:Batch complete! |Player \w+ completed \()(\d+)/\d+")


class RunRow(TypedDict):
    """A row of the query nights.worker_runs."""

    player_lookup: str | None
    batch_id: str | None
    success: bool | None
    run_date: datetime | None
    created_at: datetime | None


@dataclass(frozen=True)
class StagedTable:
    """A staging table by its listing."""

    name: str
    created: datetime | None


@dataclass
class LogBatch:
    """One batch put together. `batch_id` "": nothing names it."""

    batch_id: str
    run: LogRun | None = None
    rows: list[RunRow] = field(default_factory=list)
    tables: list[StagedTable] = field(default_factory=list)

    @property
    def started(self) -> datetime:
        """When its coordinator began it, else its id's own time, else its first trace."""
        first_traces = [row["run_date"] for row in self.rows] + [table.created for table in self.tables]
        begun = self.run.begun if self.run else read_batch_start(self.batch_id)
        return begun or min(at for at in first_traces if at is not None)

    @property
    def last_trace(self) -> datetime:
        """The newest line, row or table of it."""
        row_times = [row["created_at"] or row["run_date"] for row in self.rows]
        line_times = [line.at for line in self.run.lines] if self.run else []
        return max(at for at in (self.started, *row_times, *line_times, *(t.created for t in self.tables)) if at)

    @property
    def name(self) -> str:
        """Its id, or the time when it began."""
        return self.batch_id or f"batch begun {format_eastern(self.started)}"

    @property
    def requested(self) -> int | None:
        """The requests that its coordinator says to have published; without that, the players of its rows."""
        counts = [log_phrases.published_requests(line.message) for line in self.run.lines] if self.run else []
        players = {row["player_lookup"] for row in self.rows} - {None}
        return max((count for count in counts if count is not None), default=None) or len(players) or None

    @property
    def generated(self) -> int | None:
        """Players of its rows that succeeded, or that its coordinator counts; 0 only where nothing at all came of it."""
        players = {row["player_lookup"] for row in self.rows if row["success"]} - {None}
        completed = [int(match[1]) for match in map(_COMPLETED.search, self._messages) if match]
        if self.rows or completed:
            return max(len(players), *completed, 0)
        return None if self.tables or any(log_phrases.ends_consolidation(m) is not None for m in self._messages) else 0

    @property
    def status_text(self) -> str:
        """Its coordinator's last word on how it ended, else its last word."""
        for message in reversed(self._messages):
            if _claimed_state(message, recently_active=False) is not None:
                return message
        if self._messages and (len(self._messages) > 1 or self.rows):
            return self._messages[-1]
        if self.tables and self._has_no_run:
            return f"{pluralize(len(self.tables), 'staging table')} left: no coordinator consolidates a message without a run"
        if self.tables:
            return f"{pluralize(len(self.tables), 'staging table')} left, and no log line says how it ended"
        return "begun, and no request was published" if self._messages else "no status line found"

    @property
    def _has_no_run(self) -> bool:
        """Whether it is of single messages, by its id: no run that could go on, and nobody who would consolidate it."""
        return self.run is None and is_batch_id(self.batch_id) and read_batch_date(self.batch_id) is None

    @property
    def _messages(self) -> list[str]:
        return [line.message for line in self.run.lines] if self.run else []

    def state(self, now: datetime, log_read: bool = True) -> BatchState:
        """The state that the last decisive line claims; without one, a batch with a recent trace is still running.

        A batch without an end has stalled where its log was read; where it could not be read, that is not known.
        """
        recently_active = now - self.last_trace <= STALL_TIMEOUT
        for message in reversed(self._messages):
            if (state := _claimed_state(message, recently_active)) is not None:
                return state
        if not self.rows and not self.tables:
            return BatchState.REQUESTED if recently_active else BatchState.STALLED
        if recently_active:
            return BatchState.RUNNING
        silent = log_read and (self.tables or (self.run is not None and self.run.announced))
        if silent and self._has_no_run:
            return BatchState.CONSOLIDATION_FAILED
        return BatchState.STALLED if silent else BatchState.UNVERIFIED_SUCCESS


def _claimed_state(message: str, recently_active: bool) -> BatchState | None:
    upper_case = message.upper()
    if "STALLED" in upper_case or "TIMED OUT" in upper_case:
        return BatchState.STALLED
    merged = log_phrases.ends_consolidation(message)
    if merged is not None:
        return BatchState.UNVERIFIED_SUCCESS if merged else BatchState.CONSOLIDATION_FAILED
    if "COMPLETE! " in upper_case:
        merging = "TRIGGERING CONSOLIDATION" in upper_case and recently_active
        return BatchState.CONSOLIDATING if merging else BatchState.UNVERIFIED_SUCCESS
    return None


def collect_log_batches(
    runs: Sequence[LogRun], rows: Iterable[RunRow], tables: Iterable[StagedTable], recorded_ids: set[str]
) -> list[LogBatch]:
    """The batches of one game date that the ledger does not have; runs, rows and tables are those of this date."""
    batches = [LogBatch(run.batch_id, run) for run in runs if run.batch_id not in recorded_ids]
    loose_rows: list[RunRow] = []
    for row in rows:
        if row["batch_id"] is None:
            loose_rows.append(row)
        elif row["batch_id"] not in recorded_ids and row["run_date"] is not None:
            _find(batches, row["batch_id"], row["run_date"]).rows.append(row)
    for table in tables:
        batch_id = parse_staging_table_name(table.name)[0]
        if batch_id not in recorded_ids:
            _find(batches, batch_id, table.created).tables.append(table)
    for row in loose_rows:
        if row["run_date"] is not None:
            _find_at(batches, row["run_date"]).rows.append(row)
    return batches


def _find(batches: list[LogBatch], batch_id: str, at: datetime | None) -> LogBatch:
    """The batch of an id: by the id, else the unnamed one that had begun last; a new one where there is none."""
    if (batch := next((b for b in batches if b.batch_id == batch_id), None)) is not None:
        return batch
    begun = read_batch_start(batch_id)
    unnamed = [b for b in batches if not b.batch_id and _may_be(b, begun, at)]
    if unnamed:
        batch = max(unnamed, key=_by_start)
        batch.batch_id = batch_id
        return batch
    batches.append(LogBatch(batch_id))
    return batches[-1]


def _may_be(batch: LogBatch, begun: datetime | None, seen: datetime | None) -> bool:
    """Whether an unnamed batch may be the one that began, by its id, at `begun`, or of which a trace was `seen`."""
    if begun is not None:
        return abs(batch.started - begun) <= MAX_START_SKEW
    return seen is not None and batch.started <= seen + MAX_START_SKEW


def _find_at(batches: list[LogBatch], at: datetime) -> LogBatch:
    """The batch that had begun last at the time of a row without an id; a new one without a name where there is none."""
    begun = [b for b in batches if b.started <= at + MAX_START_SKEW]
    if not begun:
        batches.append(LogBatch(""))
        return batches[-1]
    return max(begun, key=_by_start)


def _by_start(batch: LogBatch) -> datetime:
    return batch.started
