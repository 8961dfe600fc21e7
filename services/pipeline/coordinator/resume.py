"""Plans the rest of a batch that stopped: what is staged or recorded is adopted, everything else is requested again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from google.api_core.exceptions import NotFound

from services.batches import ids
from services.batches.business_key import RowVersion
from services.batches.ledger import BatchRecord, PlayerOutcome
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.pipeline.coordinator.run_request import EligiblePlayer, NoEligiblePlayers, Run, plan_run
from services.pipeline.warehouse import Warehouse
from services.policy.eligibility import MIN_AVERAGE_MINUTES


class WrongBatchState(OnCallError):
    """The batch is not in a state in which this can be done."""

    def __init__(self, entry: BatchRecord, message: str, hint: str = "") -> None:
        self.entry = entry
        super().__init__(message, hint)


@dataclass(frozen=True)
class Activation:
    """A batch that this process may run: the players to ask, its newest record, and the outcomes of its other players."""

    run: Run
    entry: BatchRecord
    known: Mapping[str, PlayerOutcome] = field(default_factory=dict)
    unrecorded: tuple[PlayerOutcome, ...] = ()  # of `known`, those that the ledger does not have yet


def plan_resume(
    clients: Clients, warehouse: Warehouse, entry: BatchRecord, outcomes: Mapping[str, PlayerOutcome]
) -> Activation:
    """The rest of a batch, from its newest record and its recorded outcomes.

    A staged player whose table is gone is asked again, unless a recorded consolidation merged it: nothing else proves that it was.
    A player who is not eligible any more is not generated, so that each player has an outcome.
    """
    players = entry.players or tuple(outcomes)
    run, eligible = _plan_eligible(clients, entry)
    adopted = {o.player_lookup: o for o in adopt_staged(warehouse, entry.batch_id, players)}
    merged = set((entry.details.get("consolidated") or {}).get("players", ()))
    recorded = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome.outcome == "not generated" or (outcome.staged and (name in merged or name in adopted))
    }
    ineligible = {
        name: PlayerOutcome(name, ids.work_unit_id(name), "not generated", reason="no longer eligible", attempts=0)
        for name in players
        if name not in eligible and name not in adopted and name not in recorded
    }
    known = {**ineligible, **adopted, **recorded}
    return Activation(
        replace(run, players=tuple(eligible[name] for name in players if name not in known)),
        entry,
        known,
        unrecorded=tuple(outcome for name, outcome in known.items() if name not in recorded),
    )


def _plan_eligible(clients: Clients, entry: BatchRecord) -> tuple[Run, Mapping[str, EligiblePlayer]]:
    """The batch as a run, and the players who are eligible now, by the minutes it was started with."""
    min_minutes = entry.details.get("min_minutes", MIN_AVERAGE_MINUTES)
    try:
        run = plan_run(clients, entry.game_date, min_minutes=min_minutes)
    except NoEligiblePlayers:
        run = None
    eligible = {row["player_lookup"]: row for row in (run.players if run else ())}
    games = run.games if run else 0
    count = entry.eligible or len(eligible)
    return Run(entry.batch_id, entry.game_date, games, count, (), entry.started_by, min_minutes), eligible


def adopt_staged(warehouse: Warehouse, batch_id: str, players: Iterable[str]) -> Iterator[PlayerOutcome]:
    """The outcome of each of these players who has rows in staging tables of the batch: they count as produced and staged.

    Where he is in several tables, the rows of the newest one count: it replaces the others (services/pipeline/older_runs.py).
    """
    newest: dict[str, tuple[RowVersion, str, int]] = {}  # of a player: his newest row, its table, and his rows there
    for table in warehouse.list_staging_tables(ids.staging_prefix(batch_id)):
        if not ids.is_unit_table(table, batch_id):
            continue
        rows_by_player = defaultdict[str, list[RowVersion]](list)
        with suppress(NotFound):  # consolidated or swept since it was listed
            for key, row in list(warehouse.read_rows(table)):  # all of its rows, or none
                rows_by_player[key.player_lookup].append(row)
        for name, rows in rows_by_player.items():
            found = (max(rows), table, len(rows))
            newest[name] = max(found, newest.get(name, found))
    for player_lookup in players:
        if player_lookup in newest:
            _, table, count = newest[player_lookup]
            unit = ids.work_unit_id(player_lookup)
            yield PlayerOutcome(
                player_lookup, unit, "staged", "adopted", produced_rows=count, staged_rows=count, staging_table=table
            )
