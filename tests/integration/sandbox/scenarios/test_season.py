"""The season scenario at a small size: its totals hold and every table is listed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from services.gcp.clients import Clients, connect
from services.names.registry import read_registry
from services.nights.coverage import read_history
from services.nights.missing_players import LossReason, list_missing_players
from services.nights.player_stages import read_night
from services.sandbox.scenarios import season
from services.sandbox.server import Sandbox, start_sandbox
from services.staging.inventory import StagingTableState, read_inventory
from tests.support.sandbox import FAST, settings_as

SMALL_SEASON = season.Season(dates=20, staging_tables=215, log_lines=6_000, aliases=300)
LEFTOVER_NIGHT = season.TEMPLATE_DATE - timedelta(days=1)
ORDINARY_NIGHT = season.TEMPLATE_DATE - timedelta(days=2)


@pytest.fixture(scope="module")
def season_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(latency=FAST)
    season.load_season(sandbox, SMALL_SEASON)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def season_clients(season_sandbox: Sandbox) -> Clients:
    return connect(settings_as(season_sandbox, "read"))


def test_every_earlier_night_is_complete_except_for_unmerged_rows(season_clients):
    history = read_history(
        season_clients, season.TEMPLATE_DATE - timedelta(days=SMALL_SEASON.nights - 1), season.TEMPLATE_DATE
    )
    counts_by_date = {
        day.game_date: (day.in_context, day.eligible, day.active, day.active_rows) for day in history.days
    }
    assert len(counts_by_date) == SMALL_SEASON.nights == 5
    unmerged_count = len(range(0, 185, season.UNMERGED_ONE_IN))
    assert counts_by_date.pop(LEFTOVER_NIGHT) == (
        350,
        185,
        185 - unmerged_count,
        (185 - unmerged_count) * season.ROWS_PER_TABLE,
    )
    assert set(counts_by_date.values()) == {(350, 185, 185, 185 * season.ROWS_PER_TABLE)}
    assert {len(day.by_system) for day in history.days} == {10}


def test_the_balance_of_the_incident_holds_in_the_season(season_clients):
    night = read_night(season_clients, date(2025, 12, 29))
    lost = [player for player in list_missing_players(night) if player.reason is LossReason.WRITE_REJECTED]
    assert (len(lost), night.active_rows, night.generated_rows) == (
        90,
        68 * season.ROWS_PER_TABLE,
        158 * season.ROWS_PER_TABLE,
    )


def test_an_earlier_night_has_no_missing_players(season_clients):
    night = read_night(season_clients, ORDINARY_NIGHT)
    assert [player for player in list_missing_players(night) if not player.intentional] == []
    assert night.problems == ()


def test_the_season_has_the_requested_number_of_staging_tables(season_clients, season_sandbox):
    inventory = next(
        candidate for candidate in (read_inventory(season_clients) for _ in range(20)) if not candidate.problems
    )
    assert len(inventory.tables) == SMALL_SEASON.staging_tables
    leftover = [table for table in inventory.tables if table.game_date == LEFTOVER_NIGHT]
    assert {table.rows for table in leftover} == {season.ROWS_PER_TABLE}
    unmerged = [table for table in leftover if table.state is not StagingTableState.MERGED]
    assert {table.unmerged_rows for table in unmerged} == {season.ROWS_PER_TABLE}
    assert (
        len({table.worker for table in unmerged})
        == len({table.worker for table in leftover}) // season.UNMERGED_ONE_IN + 1
    )


def test_log_lines_and_aliases_have_the_requested_number(season_clients, season_sandbox):
    assert len(season_sandbox.state.logs._entries) == SMALL_SEASON.log_lines
    assert len(read_registry(season_clients).active) == SMALL_SEASON.aliases + 8


def test_a_listing_over_several_pages_is_complete(season_clients, season_sandbox):
    table_list = list(season_clients.bigquery.list_tables("nba_predictions", page_size=50))
    assert len({table.table_id for table in table_list}) == len(table_list) > SMALL_SEASON.staging_tables
