"""The ledger of batches: every change of state with its sums, every player's outcome, in a few rows per batch.

    requested ─► running ─► staged ─► consolidating ─► consolidated
        │           │          │            └────────► consolidation failed ─┐
        │           ├──────────┼─► stopped (on request) ─────────────────────┤
        └───────────┴──────────┴─► stalled (nobody wrote for a while, ───────┴─► /resume ─► running …
                                   or players gave no answer)

Rows are only ever added: the highest sequence of a batch is its state. They are inserted by jobs, never streamed, because they
are read at once. The job id of a state is batch and sequence, so a state is recorded once, by one process; that of a batch's first
state is its number among the starts of its date, so one process starts a date; the job id of outcomes is their content, so a call
repeated after a lost answer adds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from typing import Any

from services.batches.ids import make_job_id
from services.batches.state import BatchState, current_state
from services.core.clock import to_rfc3339
from services.core.errors import OnCallError
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.insert_job import insert_once
from services.gcp.retry import RetryPolicy, call_with_retry

MAX_ROWS_PER_JOB = 2_000  # about 1 MB of parameters; a request may have 10
OUTCOMES = ("staged", "not generated", "write rejected", "internal error", "no answer")
NOT_ASKED = "not asked"  # beside the outcomes of a stopped batch: its players that no worker was asked for
OUTCOME_WORDS = {NOT_ASKED: "not requested"}  # an outcome as it is shown, where that is not its recorded name
UNANSWERED_OUTCOMES = {"internal error", "no answer"}  # nothing is known of these players' rows


class StateAlreadyRecorded(OnCallError):
    """Another process has recorded a different state under this batch's next number, so this one must not go on."""


@dataclass(frozen=True)
class BatchRecord:
    """One state of a batch with the counts known then; None: not known yet.

    `details`: players (requested, by player_lookup), min_minutes, activation, outcomes (number of players by outcome),
    rejected_rows and consolidated (sums and players of the consolidations so far). Earlier versions recorded players alone.
    """

    batch_id: str
    game_date: date
    state: BatchState
    sequence: int
    holder: str
    started_by: str = ""
    reason: str = ""
    eligible: int | None = None
    requested: int | None = None
    generated: int | None = None
    produced_rows: int | None = None
    staged_rows: int | None = None
    staged_tables: int | None = None
    distinct_keys: int | None = None
    collapsed_rows: int | None = None
    inserted: int | None = None
    updated: int | None = None
    unchanged: int | None = None
    deactivated: int | None = None
    active_players: int | None = None
    active_rows: int | None = None
    merge_job_id: str | None = None
    fence: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime | None = field(default=None, compare=False)

    @property
    def players(self) -> tuple[str, ...]:
        """The requested players."""
        return tuple(self.details.get("players") or ())

    @property
    def activation(self) -> int:
        """The sequence at which the batch was requested or resumed last; no two activations of a batch have the same."""
        return int(self.details.get("activation", 1))

    @property
    def outcome_counts(self) -> Mapping[str, int] | None:
        """Players by outcome; None where an earlier version did not count them."""
        return self.details.get("outcomes")

    @property
    def rejected_rows(self) -> int | None:
        """Rows produced for players whose write was rejected; None where an earlier version did not count them."""
        return self.details.get("rejected_rows")

    @property
    def not_asked(self) -> int | None:
        """Players of a stopped batch that no worker was asked for; None where it was not stopped, or by an earlier version."""
        return (self.outcome_counts or {}).get(NOT_ASKED)


@dataclass(frozen=True)
class PlayerOutcome:
    """The result of one player: `outcome` is one of OUTCOMES."""

    player_lookup: str
    unit: str
    outcome: str
    reason: str = ""
    message: str = ""
    produced_rows: int | None = None
    staged_rows: int | None = None
    staging_table: str = ""
    load_job_id: str = ""
    attempts: int = 1

    @property
    def staged(self) -> bool:
        return self.outcome == "staged"


class Ledger:
    """Writes and reads the ledger of one project."""

    def __init__(self, clients: Clients, retry: RetryPolicy | None = None) -> None:
        self._clients, self._retry = clients, retry or RetryPolicy()

    def append_state(self, record: BatchRecord) -> None:
        """Add a state; raises when it could not be recorded, and then what depends on it must not be done.

        Raises StateAlreadyRecorded when the batch has another state of that sequence.
        """
        self._append(record, make_job_id("state", record.batch_id, record.sequence))

    def append_start(self, record: BatchRecord, number: int) -> bool:
        """Add a batch's first state as the start `number` of its date; False when another batch has that number."""
        try:
            self._append(record, make_job_id("start", record.game_date, number))
        except StateAlreadyRecorded:
            return False
        return True

    def append_outcomes(self, batch_id: str, game_date: date, outcomes: Sequence[PlayerOutcome]) -> None:
        """Add players' outcomes, up to 2,000 in one job; raises when they could not be recorded."""
        at = to_rfc3339(self._clients.now())
        for i in range(0, len(outcomes), MAX_ROWS_PER_JOB):
            rows = [json.dumps(asdict(outcome) | {"recorded_at": at}) for outcome in outcomes[i : i + MAX_ROWS_PER_JOB]]
            digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()[:32]
            params = {"batch_id": batch_id, "game_date": game_date, "rows": rows}
            self._insert("batches.append_outcomes", make_job_id("outcomes", batch_id, digest), params)

    def latest(self, batch_id: str, game_date: date) -> BatchRecord | None:
        """The batch's state now, or None when there is no such batch."""
        rows = self._state_rows(batch_id, game_date)
        return _to_record(rows[0], self._clients.now()) if rows else None

    def states(self, batch_id: str, game_date: date) -> tuple[BatchRecord, ...]:
        """Every state of a batch as it was recorded, oldest first."""
        rows = reversed(self._state_rows(batch_id, game_date))
        return tuple(_to_record(row, row["recorded_at"]) for row in rows)

    def batches_of(self, game_date: date) -> tuple[BatchRecord, ...]:
        """The state now of every batch of a date, without its details; raises when the ledger cannot be read."""
        rows = query_catalog.run_query(self._clients, "batches.states_by_date", game_date=game_date).rows
        newest = {row["batch_id"]: row for row in sorted(rows, key=lambda row: row["sequence"])}
        return tuple(_to_record(row, self._clients.now()) for row in newest.values())

    def player_outcomes(self, batch_id: str, game_date: date) -> dict[str, PlayerOutcome]:
        """The newest outcome of each player of a batch."""
        rows = query_catalog.run_query(
            self._clients, "batches.player_outcomes_by_id", batch_id=batch_id, game_date=game_date
        ).rows
        field_names = {f.name for f in fields(PlayerOutcome)}
        return {
            r["player_lookup"]: PlayerOutcome(**{k: v for k, v in r.items() if k in field_names and v is not None})
            for r in rows
        }

    def _append(self, record: BatchRecord, job_id: str) -> None:
        row = {
            **asdict(record),
            "state": record.state.value,
            "recorded_at": self._clients.now(),
            "details": json.dumps(dict(record.details)),
        }
        if not self._insert("batches.append_state", job_id, row):
            self._check_recorded(record, row["recorded_at"])

    def _state_rows(self, batch_id: str, game_date: date) -> tuple[dict[str, Any], ...]:
        """Every state of a batch, newest first."""
        return query_catalog.run_query(
            self._clients, "batches.states_by_id", batch_id=batch_id, game_date=game_date
        ).rows

    def _check_recorded(self, record: BatchRecord, at: datetime) -> None:
        """After a job of this id has run: raises StateAlreadyRecorded unless it was the one of this call, whose answer was lost."""
        rows = self._state_rows(record.batch_id, record.game_date)
        recorded = next((row for row in rows if row["sequence"] == record.sequence), None)
        if recorded is None or (recorded["recorded_at"], recorded["holder"]) != (at, record.holder):
            by = (
                f"{recorded['holder']} recorded “{recorded['state']}”"
                if recorded
                else "another process recorded its own"
            )
            raise StateAlreadyRecorded(
                f"{record.batch_id} is not {record.state}: {by} first, as its state {record.sequence}.",
                "Look at the batch again.",
            )

    def _insert(self, query_name: str, job_id: str, params: Mapping[str, Any]) -> bool:
        return call_with_retry(self._retry, lambda: insert_once(self._clients, query_name, job_id, params))


def count_outcomes(outcomes: Iterable[PlayerOutcome]) -> dict[str, int]:
    """Players by outcome, every outcome of OUTCOMES included."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    return {name: counts[name] for name in OUTCOMES}


def rows_by_table(outcomes: Iterable[PlayerOutcome]) -> dict[str, int]:
    """Rows of the staging tables that load jobs wrote for which workers have answered; not of those that were adopted."""
    rows: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.staged and outcome.load_job_id:
            rows[outcome.staging_table] += outcome.staged_rows or 0
    return dict(rows)


def _to_record(row: Mapping[str, Any], now: datetime) -> BatchRecord:
    values = {f.name: row[f.name] for f in fields(BatchRecord) if f.name in row and row[f.name] is not None}
    details = values.get("details") or {}
    values["details"] = json.loads(details) if isinstance(details, str) else details
    return BatchRecord(**{**values, "state": current_state(BatchState(row["state"]), row["recorded_at"], now)})
