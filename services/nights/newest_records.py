"""What the newest batch that asked for a player recorded of him: what an earlier batch recorded is history. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from services.batches.ids import read_batch_start
from services.batches.reader import WINDOW_LEAD
from services.nights.rows import OutcomeRow, WorkerRunRow
from services.nights.sources import NightData
from services.nights.worker_log import Generation, Rejection, WorkerLog
from services.telemetry.log_reader import LogLine

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PlayerRecords:
    """The records of one player's newest batch; None where it left none of that kind."""

    ledger_row: OutcomeRow | None
    run_row: WorkerRunRow | None
    generation: Generation | None
    not_generated: LogLine | None
    rejection: Rejection | None

    @property
    def generated_rows(self) -> int | None:
        """How many rows the ledger, else the run row, else the log says were generated."""
        recorded = (
            self.ledger_row["produced_rows"] if self.ledger_row else None,
            self.run_row["predictions_generated"] if self.run_row else None,
            self.generation.rows if self.generation else None,
        )
        return next((int(count) for count in recorded if count is not None), None)

    @property
    def generated_at(self) -> datetime | None:
        """When the rows were generated, by the log, else by the run row; None where neither says so."""
        if self.generation is not None:
            return self.generation.line.at
        return self.run_row["created_at"] if self.run_row and self.run_row["predictions_generated"] else None

    @property
    def staged_at(self) -> datetime | None:
        """When the ledger recorded the rows as staged; None where it did not."""
        return self.ledger_row["recorded_at"] if self.ledger_row and self.ledger_row["outcome"] == "staged" else None

    @property
    def batch_id(self) -> str:
        """The batch; "" where no record names it."""
        newest_row = self.ledger_row or self.run_row
        return (newest_row["batch_id"] if newest_row else None) or ""


def newest_records(player: str, data: NightData) -> PlayerRecords:
    """The records since that batch began, by the time in its id. A record that names no batch is placed by its own time."""
    log = data.worker_log or WorkerLog()
    run_row, ledger_row = (data.worker_runs or {}).get(player), (data.ledger_rows or {}).get(player)
    begun = max(_starts(run_row, ledger_row), default=_NEVER)

    def is_since(at: datetime | None) -> bool:
        return begun == _NEVER or (at is not None and at >= begun - WINDOW_LEAD)

    generation, not_generated = log.generated_rows.get(player), log.not_generated.get(player)
    rejection = log.rejected.get(player)
    return PlayerRecords(
        ledger_row if ledger_row and is_since(_begun(ledger_row) or ledger_row["recorded_at"]) else None,
        run_row if run_row and is_since(_begun(run_row) or run_row["run_date"]) else None,
        generation if generation and is_since(generation.line.at) else None,
        not_generated if not_generated and is_since(not_generated.at) else None,
        rejection if rejection and is_since(rejection.line.at) else None,
    )


def _starts(*rows: OutcomeRow | WorkerRunRow | None) -> Iterator[datetime]:
    for row in rows:
        if row is not None and (begun := _begun(row)) is not None:
            yield begun


def _begun(row: OutcomeRow | WorkerRunRow) -> datetime | None:
    return read_batch_start(row["batch_id"] or "")
