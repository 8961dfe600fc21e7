"""No false alarm: the inputs, lines and rows of fifteen December nights and of a season raise nothing, and a shrunken night always does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.core.result import Health
from services.core.settings import Settings
from services.judgement.inputs import judge_inputs
from services.judgement.lines import judge_lines
from services.judgement.names import judge_names
from services.judgement.rows import judge_rows
from services.nights.coverage import read_history
from services.nights.player_stages import read_night
from services.sandbox.scenarios.december import build_seed, night_rows
from services.sandbox.scenarios.player_outcomes import simulate_outcomes
from services.sandbox.scenarios.season import TEMPLATE_DATE, Season, template_slate
from tests.support.seeded_nights import make_facts, move_to, seeded_project

FIRST, LAST = date(2025, 12, 16), date(2025, 12, 30)
SETTINGS = Settings.from_env({})
CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"
PROVEN = {Health.OK, Health.NONE_EXPECTED}


def dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.fixture(scope="module")
def december():
    with seeded_project(build_seed().tables) as (_project, clients):
        days = read_history(clients, FIRST, LAST).days
        return [read_night(clients, day) for day in dates(FIRST, LAST)], days


@pytest.fixture(scope="module")
def season(december):
    """Every night of a season: the night before December on each date before it, as the scenario has them."""
    slate = template_slate(0)
    with seeded_project(night_rows(slate, simulate_outcomes(slate))) as (_project, clients):
        night, (coverage,) = (
            read_night(clients, TEMPLATE_DATE),
            read_history(clients, TEMPLATE_DATE, TEMPLATE_DATE).days,
        )
    first = TEMPLATE_DATE - timedelta(days=Season().nights - 1)
    repeated = [move_to(day, night, coverage) for day in dates(first, TEMPLATE_DATE)]
    nights, days = december
    return [night for night, _ in repeated] + nights, [*(day for _, day in repeated), *days]


def judge_all(nights_and_days):
    nights, days = nights_and_days
    facts = [make_facts(night, days) for night in nights]
    return [(f, judge_inputs(f, SETTINGS), judge_lines(f), judge_rows(f, SETTINGS)) for f in facts]


def list_alarms(nights_and_days):
    """The statements about inputs, lines, rows and names that are not in order, and their dates."""
    judged = [(f, *statements, judge_names(f, SETTINGS)) for f, *statements in judge_all(nights_and_days)]
    return [(s.text, f.game_date) for f, *statements in judged for s in statements if s.health not in PROVEN]


def test_fifteen_december_nights_raise_nothing(december):
    judged = judge_all(december)
    assert len(judged) == 15
    assert list_alarms(december) == []
    compared = {f.game_date.day for f, inputs, *_ in judged if inputs.health is Health.OK}
    assert compared == {21, 22, 23, 25, 26, 27, 28, 29, 30}  # the first five have too few nights before them
    assert {f.game_date.day for f, *_, rows in judged if rows.health is Health.OK} == set(range(16, 30)) - {24}
    assert {f.game_date.day for f, _, lines, _ in judged if lines.health is Health.OK} == set(range(16, 30)) - {24}


def test_a_season_of_nights_raises_nothing(season):
    judged = judge_all(season)
    assert len(judged) == Season().dates
    assert list_alarms(season) == []
    assert (
        sum(inputs.health is Health.OK for _, inputs, *_ in judged) == Season().dates - 5 - 1
    )  # the first week, the 24th
    assert (
        sum(lines.health is Health.OK for _, _, lines, _ in judged) == Season().dates - 2
    )  # the 24th, and the 30th's run is to come


@pytest.fixture
def shrunken():
    """December with three quarters of the 26th's context marked as not production-ready."""
    tables = dict(build_seed().tables)
    of_night = [row for row in tables[CONTEXT] if row["game_date"] == "2025-12-26"]
    players = sorted({row["player_lookup"] for row in of_night if _is_eligible(row)})
    kept = set(players[:36])
    tables[CONTEXT] = [
        {**row, "is_production_ready": False} if row in of_night and row["player_lookup"] not in kept else row
        for row in tables[CONTEXT]
    ]
    with seeded_project(tables) as (_project, clients):
        yield clients


def _is_eligible(row):
    return (
        row["is_production_ready"]
        and float(row["avg_minutes_per_game_last_7"]) >= 15
        and row["player_status"] not in ("out", "doubtful")
    )


def test_a_night_with_three_quarters_of_its_context_not_ready_is_critical_after_the_run_and_a_warning_before(shrunken):
    night, days = read_night(shrunken, date(2025, 12, 26)), read_history(shrunken, FIRST, LAST).days
    assert len(night.eligible_players) == sum(bool(p.active_rows) for p in night.eligible_players) == 36
    statement = judge_inputs(make_facts(night, days), SETTINGS)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 36, 129)
    assert statement.text == "36 eligible in 9 games: 4 a game, usually 14"
    before = judge_inputs(make_facts(replace(night, was_run=False), days), SETTINGS)
    assert (before.health, before.text) == (Health.WARNING, statement.text)


def test_every_night_that_loses_a_third_of_its_eligible_players_is_found(season):
    nights, days = season
    for night in nights[5:]:
        eligible = {player.player_lookup for player in night.eligible_players}
        lost = set(sorted(eligible)[: -(-len(eligible) // 3)])
        players = tuple(replace(p, eligible=False) if p.player_lookup in lost else p for p in night.players)
        statement = judge_inputs(make_facts(replace(night, players=players, was_run=True), days), SETTINGS)
        assert statement.health is (Health.CRITICAL if eligible else Health.NONE_EXPECTED), night.game_date
