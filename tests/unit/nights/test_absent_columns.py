"""Columns that the tables of an installation do not have: what they would show is not recorded, and the night is read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest

from services.core.errors import SourceUnavailable, TableNotFound
from services.core.result import Health
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.judgement.lines import judge_lines
from services.judgement.rows import judge_rows
from services.nights.player_stages import read_night
from services.sandbox.scenarios.december import build_seed
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import memory_clients
from tests.support.seeded_nights import make_facts, seeded_project

NIGHT = date(2025, 12, 28)
SETTINGS = Settings.from_env({})
CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"
TABLES = {
    name: [row for row in rows if row.get("game_date") == NIGHT.isoformat()]
    for name, rows in build_seed().tables.items()
}


@contextmanager
def night_without(table: str, column: str) -> Iterator[tuple[MemoryProject, Clients]]:
    """The project of one night, whose `table` was declared without `column`."""
    with seeded_project(TABLES) as (project, clients):
        declared = project.tables[table]
        rows = [{name: value for name, value in row.items() if name != column} for row in declared.rows]
        fields = [field for field in declared.fields if field.name != column]
        project.create_table(table, fields, declared.partition_field)
        project.insert(table, rows)
        yield project, clients


@pytest.mark.parametrize(
    ("table", "column", "recorded", "text"),
    [
        (PREDICTIONS_TABLE, "created_at", True, "when rows were made is not recorded"),
        (PREDICTIONS_TABLE, "updated_at", True, "when rows were changed is not recorded"),
        (PREDICTIONS_TABLE, "current_points_line", False, "the predictions have no column current_points_line"),
        (ODDS, "points_line", False, "the odds have no column points_line"),
        (ODDS, "bookmaker", False, "the odds have no column bookmaker"),
        (CONTEXT, "current_points_line", True, "are predicted for their newest line"),
    ],
)
def test_lines_that_a_column_is_missing_for_are_not_recorded_and_do_not_block(table, column, recorded, text):
    with night_without(table, column) as (_project, clients):
        night = read_night(clients, NIGHT)
    lines = judge_lines(make_facts(night, ()))
    assert lines.is_proven, lines.text
    assert (lines.recorded, text in lines.text) == (recorded, True), lines.text
    assert [problem.message for problem in night.not_recorded] == [f"Table {table} has no column {column}."]
    assert night.problems == ()


def test_rows_without_a_line_are_counted_and_their_doubles_are_not_recorded():
    with night_without(PREDICTIONS_TABLE, "current_points_line") as (_project, clients):
        night = read_night(clients, NIGHT)
    rows = judge_rows(make_facts(night, ()), SETTINGS)
    assert rows.part == rows.whole == night.active_rows
    assert "duplicate keys are not recorded" in rows.text
    assert "no duplicate keys" not in rows.text


def test_a_column_that_is_there_and_cannot_be_read_leaves_the_night_unread():
    def refuse_listing(call: str, *_: object) -> None:
        if call == "tabledata.list":
            raise ConnectionError("no answer")

    with night_without(ODDS, "bookmaker") as (project, _clients):
        clients = memory_clients(project, refuse_listing)
        with pytest.raises(SourceUnavailable, match="no answer"):
            read_night(clients, NIGHT)


def test_a_column_that_every_installation_needs_is_an_error_in_one_sentence():
    with (
        night_without(ODDS, "player_lookup") as (_project, clients),
        pytest.raises(TableNotFound, match="column player_lookup is not in the table"),
    ):
        read_night(clients, NIGHT)


def test_every_column_there_is_judged_by():
    with seeded_project(TABLES) as (_project, clients):
        night = read_night(clients, NIGHT)
    assert (night.not_recorded, night.absent_columns) == ((), frozenset())
    assert judge_lines(make_facts(night, ())).health is Health.OK
