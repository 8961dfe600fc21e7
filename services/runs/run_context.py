"""What a run's plan is made from: the night, its batches, staging tables, the coordinator and the workers' capacity, read just now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from services.batches.reader import Batches, read_batches
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.judgement.facts import nights_before
from services.nights.coverage import read_history
from services.nights.missing_players import (
    LossReason,
    MissingPlayer,
    list_incomplete_players,
    list_missing_players,
    list_moved_players,
)
from services.nights.player_stages import NightStatus, read_night
from services.nights.row_counts import RowCounts, count_rows
from services.runs.coordinator_client import CoordinatorInfo, read_coordinator
from services.scaling.capacity import read_worker_capacity
from services.staging.inventory import StagingTable, read_inventory

T = TypeVar("T")

NOT_REPAIRABLE_BY_RUN = {
    LossReason.FILTERED_OUT,
    LossReason.LINE_KEPT,
    LossReason.NOT_CONSOLIDATED,
    LossReason.NOT_IN_CONTEXT,
    LossReason.NOT_IN_CONTEXT_ALIAS,
    LossReason.SHARES_LOOKUP,
}


def list_repairable(night: NightStatus, counts: RowCounts, now: datetime) -> tuple[MissingPlayer, ...]:
    """Whom a run repairs: players without active rows, then those whose rows are too few or for a line that the odds left."""
    return tuple(
        m
        for m in (*list_missing_players(night), *list_partly_there(night, counts, now))
        if m.reason not in NOT_REPAIRABLE_BY_RUN
    )


def list_partly_there(night: NightStatus, counts: RowCounts, now: datetime) -> tuple[MissingPlayer, ...]:
    """The active players who lack rows, then the others whose rows are for another line than the odds."""
    incomplete = list_incomplete_players(counts)
    lookups = {m.player.player_lookup for m in incomplete}
    moved = (m for m in list_moved_players(night, now) if m.player.player_lookup not in lookups)
    return (*incomplete, *moved)


@dataclass(frozen=True)
class RunContext:
    """Everything a run's plan is made from, read just now. What could not be read is None with its reason in `unreadable`."""

    night: NightStatus
    repairable: tuple[MissingPlayer, ...]
    batches: Batches | None
    staging_tables: tuple[StagingTable, ...] | None
    coordinator: CoordinatorInfo | None
    worker_capacity: int | None
    unreadable: dict[str, str]

    @property
    def eligible(self) -> int:
        """How many players should be predicted."""
        return len(self.night.eligible_players)

    @property
    def active(self) -> int:
        """How many of them have active rows."""
        return sum(bool(player.active_rows) for player in self.night.eligible_players)

    def supports(self, feature: str) -> bool:
        """Whether the coordinator has a feature; one that does not answer has none."""
        return self.coordinator is not None and feature in self.coordinator.supports


def load_run_context(clients: Clients, game_date: date) -> RunContext:
    """Read what a run's plan is made from; raises OnCallError when the night cannot be read."""
    unreadable: dict[str, str] = {}

    def try_read(source: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except OnCallError as error:
            unreadable[source] = str(error)
            return None

    night = read_night(clients, game_date)
    history = try_read("history", lambda: read_history(clients, *nights_before(game_date)))
    inventory = try_read("staging", lambda: read_inventory(clients))
    worker = try_read("width", lambda: read_worker_capacity(clients))
    return RunContext(
        night=night,
        repairable=list_repairable(night, count_rows(night, history, clients.settings), clients.now()),
        batches=try_read("batches", lambda: read_batches(clients, game_date)),
        staging_tables=tuple(t for t in inventory.tables if t.game_date == game_date) if inventory else None,
        coordinator=try_read("coordinator", lambda: read_coordinator(clients)),
        worker_capacity=worker.actual.capacity if worker else None,
        unreadable=unreadable,
    )
