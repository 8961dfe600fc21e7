"""The season, made small: however many nights there are, their sums hold and every table can be found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.names.registry import read_book
from services.nights.coverage import read_history
from services.nights.missing_players import Why, missing
from services.nights.player_stages import read_night
from services.sandbox.scenarios import season
from services.sandbox.server import Sandbox, start_sandbox
from services.staging.inventory import TableClass, read_inventory
from tests.conftest import FAST

SMALL = season.Season(dates=20, staging_tables=215, log_lines=6_000, aliases=300)
FIRST_LEFT = season.PATTERN - timedelta(days=1)
AN_ORDINARY_NIGHT = season.PATTERN - timedelta(days=2)


@pytest.fixture(scope="module")
def grown() -> Iterator[Sandbox]:
    sandbox = start_sandbox(speed=FAST)
    season.plant_season(sandbox, SMALL)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def seen(grown: Sandbox) -> Cloud:
    return connect(Settings.from_env({"SANDBOX_URL": grown.address}))


def test_every_earlier_night_is_whole_but_for_what_is_left_in_staging(seen):
    history = read_history(seen, season.PATTERN - timedelta(days=SMALL.nights - 1), season.PATTERN)
    told = {day.game_date: (day.in_context, day.eligible, day.active, day.rows_active) for day in history.days}
    assert len(told) == SMALL.nights == 5
    waiting = len(range(0, 185, season.UNMERGED_OF))
    assert told.pop(FIRST_LEFT) == (350, 185, 185 - waiting, (185 - waiting) * season.ROWS_EACH)
    assert set(told.values()) == {(350, 185, 185, 185 * season.ROWS_EACH)}
    assert {len(day.by_system) for day in history.days} == {10}


def test_the_sum_of_the_incident_holds_in_the_season_too(seen):
    night = read_night(seen, date(2025, 12, 29))
    lost = [each for each in missing(night) if each.why is Why.WRITE_REJECTED]
    assert (len(lost), night.active_rows, night.generated_rows) == (90, 68 * season.ROWS_EACH, 158 * season.ROWS_EACH)


def test_an_earlier_night_misses_nobody(seen):
    night = read_night(seen, AN_ORDINARY_NIGHT)
    assert [each for each in missing(night) if not each.expected] == []
    assert night.problems == ()


def test_there_are_as_many_staging_tables_as_asked_and_each_is_described(seen, grown):
    inventory = next(found for found in (read_inventory(seen) for _ in range(20)) if not found.problems)
    assert len(inventory.tables) == SMALL.staging_tables
    left = [table for table in inventory.tables if table.game_date == FIRST_LEFT]
    assert {table.rows for table in left} == {season.ROWS_EACH}
    unmerged = [table for table in left if table.table_class is not TableClass.MERGED]
    assert {table.unmerged_rows for table in unmerged} == {season.ROWS_EACH}
    assert len({table.worker for table in unmerged}) == len({table.worker for table in left}) // season.UNMERGED_OF + 1


def test_log_and_names_have_the_size_that_was_asked_for(seen, grown):
    assert len(grown.world.logs._entries) == SMALL.log_lines
    assert len(read_book(seen).active) == SMALL.aliases + 8


def test_more_than_a_page_of_tables_is_listed_whole(seen, grown):
    listed = list(seen.bigquery.list_tables("nba_predictions", page_size=50))
    assert len({table.table_id for table in listed}) == len(listed) > SMALL.staging_tables


def test_a_scenario_nobody_knows_is_refused_in_a_sentence():
    with pytest.raises(SystemExit, match="december or season"):
        season.named("spring")
