"""Verifies a run: did it stage, consolidate and clean up, has every player predictions, was no write rejected, do sums hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from services.batches.conservation import conservation_sums
from services.batches.ids import staging_prefix
from services.batches.ledger import BatchRecord, Ledger
from services.batches.reader import Batch
from services.batches.staging_listing import list_staging_tables
from services.batches.state import BatchState
from services.core.errors import InvalidInput
from services.gcp.clients import Clients
from services.nights.player_stages import NightStatus, read_night
from services.telemetry.dml_jobs import DmlReport, read_writes


@dataclass(frozen=True)
class VerificationCheck:
    """One check of a run. `ok` None: it could not be verified, and so it is not all right."""

    name: str
    ok: bool | None
    detail: str


def read_run_verification(clients: Clients, batch: Batch) -> tuple[VerificationCheck, ...]:
    """Every check of one batch of our ledger, read now; raises OnCallError when ledger or tables cannot be read."""
    record = Ledger(clients).latest(batch.batch_id, batch.game_date)
    if record is None or batch.started is None:
        raise InvalidInput(f"The batch log has no batch {batch.batch_id}, so its row counts are unknown.")
    writes = read_writes(clients, batch.started, (batch.ended or clients.now()) + timedelta(minutes=5))
    remaining_tables = list_staging_tables(clients, staging_prefix(batch.batch_id))
    return verify_run(record, read_night(clients, batch.game_date), writes, len(remaining_tables))


def verify_run(
    record: BatchRecord, night: NightStatus, writes: DmlReport, remaining_tables: int
) -> tuple[VerificationCheck, ...]:
    """The checks, from what was read. Pure."""
    eligible = night.eligible_players
    active = sum(bool(player.active_rows) for player in eligible)
    staged = record.staged_tables
    rejected = writes.rejected
    return (
        VerificationCheck(
            "Staging tables created",
            None if staged is None else staged > 0,
            f"{_format_count(staged)} staging tables.",
        ),
        VerificationCheck(
            "Consolidation succeeded",
            record.state is BatchState.CONSOLIDATED,
            f"The batch is {record.state}. {record.reason}".strip(),
        ),
        VerificationCheck(
            "All eligible players active",
            active == len(eligible),
            f"{active} of {len(eligible)} eligible players are active.",
        ),
        VerificationCheck(
            "Staging cleaned up", remaining_tables == 0, f"{remaining_tables} staging tables of the batch remain."
        ),
        VerificationCheck(
            "No rejected writes",
            None if rejected is None else rejected == 0,
            f"{_format_count(rejected)} writes rejected since it started.",
        ),
        *conservation_checks(record),
    )


def conservation_checks(record: BatchRecord) -> Iterator[VerificationCheck]:
    """Rows are neither lost nor made on the way: each sum with its numbers in it."""
    for entry in conservation_sums(record):
        parts = " + ".join(map(_format_count, entry.parts))
        detail = f"{_format_count(entry.total)} {entry.total_name} = {parts} {entry.parts_name}."
        yield VerificationCheck(entry.name, entry.holds, detail)
    if record.not_asked is not None:
        yield VerificationCheck(
            "Every player requested", record.not_asked == 0, f"Stopped: {record.not_asked:,} not requested."
        )


def _format_count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
