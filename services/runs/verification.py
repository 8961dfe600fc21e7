"""After a run: did it stage, consolidate and clean up, has everybody predictions, was no write refused, do the sums hold?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from services.batches.ids import DATASET, staging_prefix
from services.batches.ledger import Entry, Ledger
from services.batches.reader import Batch
from services.batches.state import BatchState
from services.core.errors import BadInput
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.nights.player_stages import Night, read_night
from services.telemetry.dml_jobs import DmlReport, read_writes


@dataclass(frozen=True)
class Check:
    """One question about a run. `ok` None: it could not be found out, and so it is not all right."""

    question: str
    ok: bool | None
    sentence: str


def read_checks(cloud: Cloud, batch: Batch) -> tuple[Check, ...]:
    """Every question about one batch of our ledger, asked now; raises OnCallError when the ledger or the tables cannot be read."""
    entry = Ledger(cloud).newest(batch.batch_id, batch.game_date)
    if entry is None or batch.started is None:
        raise BadInput(f"The ledger has no batch {batch.batch_id}, so its sums are not known.")
    writes = read_writes(cloud, batch.started, (batch.ended or cloud.now()) + timedelta(minutes=5))
    with reading_from("BigQuery tables.list"):
        left = [t.table_id for t in cloud.bigquery.list_tables(DATASET, page_size=1000, timeout=20)]
    prefix = staging_prefix(batch.batch_id)
    return checks(entry, read_night(cloud, batch.game_date), writes, sum(name.startswith(prefix) for name in left))


def checks(entry: Entry, night: Night, writes: DmlReport, tables_left: int) -> tuple[Check, ...]:
    """The answers, from what was read. Pure."""
    eligible = [player for player in night.players if player.eligible]
    active = sum(bool(player.active_rows) for player in eligible)
    staged = entry.staged_tables
    refused = writes.rejected
    return (
        Check("staging tables appeared", None if staged is None else staged > 0, f"{_told(staged)} staging tables."),
        Check(
            "consolidation succeeded",
            entry.state is BatchState.CONSOLIDATED,
            f"The batch is {entry.state}. {entry.reason}".strip(),
        ),
        Check(
            "everybody has predictions",
            active == len(eligible),
            f"{active} of {len(eligible)} eligible players are active.",
        ),
        Check("staging is clean", tables_left == 0, f"{tables_left} staging tables of the batch are left."),
        Check(
            "no write was rejected",
            None if refused is None else refused == 0,
            f"{_told(refused)} writes rejected since it began.",
        ),
        *sums(entry),
    )


def sums(entry: Entry) -> Iterator[Check]:
    """Rows are neither lost nor made on the way: each sum with its numbers in it."""
    merged = (entry.inserted, entry.updated, entry.unchanged)
    yield _sum("what was produced was staged", entry.produced_rows, "produced", (entry.staged_rows,), "staged")
    yield _sum(
        "what was staged is distinct or collapsed",
        entry.staged_rows,
        "staged",
        (entry.distinct_keys, entry.collapsed_rows),
        "distinct + collapsed",
    )
    yield _sum(
        "each distinct row was merged", entry.distinct_keys, "distinct", merged, "inserted + updated + unchanged"
    )


def _sum(question: str, left: int | None, left_name: str, right: tuple[int | None, ...], right_name: str) -> Check:
    known = [part for part in right if part is not None]
    ok = left == sum(known) if left is not None and len(known) == len(right) else None
    return Check(question, ok, f"{_told(left)} {left_name} = {' + '.join(map(_told, right))} {right_name}.")


def _told(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"
