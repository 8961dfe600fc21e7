"""Plans the rest of a batch that stopped: what is staged or recorded is adopted, everything else is requested again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from services.batches import ids
from services.batches.ledger import BatchRecord, Ledger, PlayerOutcome
from services.core.errors import InvalidInput
from services.gcp.clients import Clients
from services.pipeline.coordinator.run_request import Run, plan_run
from services.pipeline.warehouse import StagingTableInfo, Warehouse


@dataclass(frozen=True)
class ResumePlan:
    """A batch's last ledger entry, the run of its remaining players, and the staged players that are not requested again."""

    entry: BatchRecord
    run: Run
    adopted: tuple[PlayerOutcome, ...]
    unrecorded: tuple[PlayerOutcome, ...]  # adopted players whose outcome the ledger does not have yet


def plan_resume(clients: Clients, ledger: Ledger, warehouse: Warehouse, batch_id: str) -> ResumePlan:
    """Raises InvalidInput for a batch id that is none, or that the ledger does not know."""
    game_date = _parse_date(batch_id)
    entry = ledger.latest(batch_id, game_date)
    if entry is None:
        raise InvalidInput(
            f"The ledger has no batch {batch_id}.", "A batch of another coordinator cannot be resumed here."
        )
    outcomes = ledger.player_outcomes(batch_id, game_date)
    player_lookups = entry.details.get("players") or list(outcomes)
    run = plan_run(clients, game_date)
    eligible = {row["player_lookup"]: row for row in (run.players if run else ())}
    staging_tables = {table.table: table for table in warehouse.list_staging_tables(ids.staging_prefix(batch_id))}
    adopted = tuple(_adopt_staged(batch_id, player_lookups, staging_tables))
    finished = {outcome.player_lookup for outcome in adopted}
    finished |= {name for name, outcome in outcomes.items() if outcome.outcome == "not generated" or outcome.staged}
    remaining = tuple(eligible[name] for name in player_lookups if name not in finished and name in eligible)
    return ResumePlan(
        entry,
        Run(batch_id, game_date, run.games if run else 0, entry.eligible or len(eligible), remaining, entry.started_by),
        adopted,
        unrecorded=tuple(outcome for outcome in adopted if outcome.player_lookup not in outcomes),
    )


def _parse_date(batch_id: str) -> date:
    try:
        return ids.parse_batch_date(batch_id)
    except ValueError as error:
        raise InvalidInput(f"{error}.", "Take it from the runs page.") from None


def _adopt_staged(
    batch_id: str, player_lookups: Iterable[str], staging_tables: Mapping[str, StagingTableInfo]
) -> Iterator[PlayerOutcome]:
    """The outcome of each player whose staging table is there: its rows count as produced and staged."""
    for player_lookup in player_lookups:
        unit = ids.work_unit_id(player_lookup)
        if table := staging_tables.get(ids.staging_table(batch_id, unit)):
            yield PlayerOutcome(
                player_lookup,
                unit,
                "staged",
                reason="adopted",
                produced_rows=table.rows,
                staged_rows=table.rows,
                staging_table=table.table,
            )
