"""The aliases, the registry, and the odds and context of 28–30 December in memory, and actions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from services.actions.action_type import ActionType
from services.actions.executor import execute
from services.actions.log_reader import Action, read_action_log
from services.auth.roles import Actor
from services.core.clock import OffsetClock, night_window
from services.gcp.clients import Clients
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import SCENARIO_START
from tests.support.actors import OPERATOR
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import memory_clients
from tests.support.memory_tables import parse_value, read_schemas

ALIASES, REGISTRY = "nba_reference.player_aliases", "nba_reference.nba_players_registry"
DATES = ("2025-12-28", "2025-12-29", "2025-12-30")


@cache
def _seed_rows(table: str) -> tuple[dict[str, Any], ...]:
    """The December seed's rows of a table; of those with a game date, the ones of DATES."""
    fields = {field.name: field for field in read_schemas()[table][0]}
    return tuple(
        {name: parse_value(fields[name], value) for name, value in row.items()}
        for row in build_seed().tables[table]
        if row.get("game_date", DATES[0]) in DATES
    )


@pytest.fixture
def memory_project() -> Iterator[MemoryProject]:
    project = MemoryProject(OffsetClock.starting_at(SCENARIO_START))
    for table in (
        ALIASES,
        REGISTRY,
        "nba_raw.odds_api_player_points_props",
        "nba_analytics.upcoming_player_game_context",
    ):
        project.insert(table, _seed_rows(table))
    yield project
    project.close()


@pytest.fixture
def alias_clients(memory_project: MemoryProject) -> Clients:
    """Real clients of the account that acts, on a BigQuery in memory."""
    return memory_clients(memory_project)


@pytest.fixture
def recorded_actions(alias_clients: Clients) -> Callable[[], list[Action]]:
    """The actions that the log has since this test began, oldest first."""
    start = alias_clients.now()
    return lambda: list(reversed(read_action_log(alias_clients, start, night_window(start.date())[1]).actions))


@pytest.fixture
def plan_and_execute(alias_clients: Clients) -> Callable[..., Action]:
    """Plan an action and execute the plan, by default as an operator."""

    def run(verb: ActionType, reason: str = "because", typed: str = "", actor: Actor = OPERATOR, **args: Any) -> Action:
        return execute(alias_clients, actor, verb, verb.plan(alias_clients, args), reason, typed)

    return run


def read_aliases(clients: Clients) -> list[dict[str, Any]]:
    rows = clients.bigquery.query(f"SELECT * FROM {ALIASES} ORDER BY alias_lookup, nba_canonical_lookup")
    return [dict(row) for row in rows.result()]


def read_registry_rows(clients: Clients) -> list[dict[str, Any]]:
    rows = clients.bigquery.query(f"SELECT * FROM {REGISTRY} ORDER BY player_lookup, team_abbr")
    return [dict(row) for row in rows.result()]


@pytest.fixture
def duplicate_identities(alias_clients: Clients, memory_project: MemoryProject) -> tuple[list[Any], list[Any]]:
    """A second pair of twins, whose names no alias joins yet; both tables then."""
    columns = ("universal_player_id", "player_name", "player_lookup", "team_abbr", "season", "games_played")
    row = ("kevinporterjr_001", "Kevin Porter Jr.", "kevinporterjr", "MIL", "2025-26", 3)
    memory_project.insert(REGISTRY, [dict(zip(columns, row, strict=True))])
    return read_registry_rows(alias_clients), read_aliases(alias_clients)
