"""The ledger of batches: every change of state with its sums, every player's outcome, in a few streamed rows per batch.

    requested ─► running ─► staged ─► consolidating ─► consolidated
        │           │          │            └────────► consolidation failed ─┐
        └───────────┴──────────┴─► stalled (nobody wrote for a while) ───────┴─► /resume ─► running …
    abandoned: an operator gave it up

Rows are only ever added: the highest sequence of a batch is its state. A row is streamed under the insertId batch/sequence, so a
call repeated after a lost answer adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any

from services.batches.state import BatchState
from services.core.clock import to_rfc3339
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy, call_with_retry
from services.gcp.streaming_insert import insert_rows

BATCHES_TABLE = "prediction_on_call.batches"
BATCH_PLAYERS_TABLE = "prediction_on_call.batch_players"
ROWS_PER_CALL = 500


@dataclass(frozen=True)
class BatchRecord:
    """One state of a batch with the counts known then; None: not known yet."""

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


@dataclass(frozen=True)
class PlayerOutcome:
    """The result of one player: `outcome` is staged, not generated, write rejected or no answer."""

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
        """Add a state; raises when it could not be recorded, and then what depends on it must not be done."""
        row = {**asdict(record), "game_date": record.game_date.isoformat(), "state": record.state.value}
        row |= {
            "recorded_at": to_rfc3339(self._clients.now()),
            "details": json.dumps(dict(record.details), default=str),
        }
        self._insert(BATCHES_TABLE, [row], [f"{record.batch_id}/{record.sequence}"])

    def append_outcomes(self, batch_id: str, game_date: date, outcomes: Sequence[PlayerOutcome]) -> None:
        """Add players' outcomes, in calls of up to 500 rows."""
        at = to_rfc3339(self._clients.now())
        for i in range(0, len(outcomes), ROWS_PER_CALL):
            chunk = outcomes[i : i + ROWS_PER_CALL]
            rows = [
                {"batch_id": batch_id, "game_date": game_date.isoformat(), "recorded_at": at, **asdict(o)}
                for o in chunk
            ]
            self._insert(BATCH_PLAYERS_TABLE, rows, [f"{batch_id}/{o.player_lookup}/{at}" for o in chunk])

    def latest(self, batch_id: str, game_date: date) -> BatchRecord | None:
        """The batch's state now, or None when there is no such batch."""
        rows = query_catalog.run_query(
            self._clients, "batches.states_by_id", batch_id=batch_id, game_date=game_date
        ).rows
        return _to_record(rows[0]) if rows else None

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

    def _insert(self, table: str, rows: list[dict[str, Any]], ids: list[str]) -> None:
        call_with_retry(self._retry, lambda: insert_rows(self._clients, table, rows, ids))


def _to_record(row: Mapping[str, Any]) -> BatchRecord:
    values = {f.name: row[f.name] for f in fields(BatchRecord) if f.name in row and row[f.name] is not None}
    details = values.get("details") or {}
    values["details"] = json.loads(details) if isinstance(details, str) else details
    return BatchRecord(**{**values, "state": BatchState(row["state"])})
