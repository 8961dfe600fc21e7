"""No false alarm on fifteen December nights and a season: neither inputs, lines and rows nor the time of sources and runs.

A shrunken night is found always, and so are a source that is not refreshed and a run outside its time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest

from services.alerts.data_rules import evaluate_source_times, run_outside_its_time
from services.alerts.findings import NightContext
from services.alerts.source_times import LOOKBACK_DAYS, SourceTime, read_source_times
from services.batches.reader import Batches, read_batches
from services.core.result import Health, Result
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
from tests.support.alert_factories import make_batch, make_night_snapshot, make_snapshot
from tests.support.factories import make_night
from tests.support.seeded_nights import make_facts, move_to, seeded_project

FIRST, LAST = date(2025, 12, 16), date(2025, 12, 30)
SETTINGS = Settings.from_env({})
CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"
WORKER_RUNS = "nba_predictions.prediction_worker_runs"
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


@dataclass(frozen=True)
class Timed:
    """When a date's run must have covered it, when its first batch began, and when its sources were refreshed; None: not at all."""

    game_date: date
    deadline: Any  # datetime | None
    began: Any
    times: tuple[SourceTime, ...]

    def moved(self, by):
        times = [
            SourceTime(
                time.game_date + by, time.source, time.deadline + by, time.newest + by, time.newest_at_deadline + by
            )
            for time in self.times
        ]
        return Timed(self.game_date + by, self.deadline + by, self.began + by, tuple(times))

    def run_result(self, began, now):
        """What the rule about the time of the run finds when it began then."""
        batches = Batches(() if began is None else (make_batch(started=began),), ())
        tip_off = self.deadline + timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)
        night = make_night_snapshot(
            game_date=self.game_date, batches=Result(batches), night=Result(make_night(tip_offs=(tip_off,)))
        )
        return run_outside_its_time(NightContext(night, SETTINGS, now))


@pytest.fixture(scope="module")
def timed():
    """Every date of a season, the oldest first; those before December repeat the night before it."""
    seed, slate = build_seed(), template_slate(0)
    december = _read_timed(seed.tables, seed.log_entries, dates(FIRST, LAST))
    [template] = _read_timed(night_rows(slate, simulate_outcomes(slate)), (), [TEMPLATE_DATE])
    return [*(template.moved(timedelta(days=-n)) for n in reversed(range(Season().nights))), *december]


def _read_timed(tables, log_entries, days):
    with seeded_project({name: tables[name] for name in (CONTEXT, ODDS, WORKER_RUNS)}) as (project, clients):
        project.log.add(log_entries)
        times = {
            (time.game_date, time.source): time
            for day in (days[0], days[-1])
            for time in read_source_times(clients, day)
        }
        starts = [[batch.started for batch in read_batches(clients, day).batches if batch.started] for day in days]
    of_date = [tuple(time for time in times.values() if time.game_date == day) for day in days]
    return [
        Timed(day, found[0].deadline if found else None, min(at, default=None), found)
        for day, at, found in zip(days, starts, of_date, strict=True)
    ]


def find_stale(timed, number, now, late_h=0.0):
    """What the rule about the sources' times finds of one date when its sources were refreshed so much earlier."""
    usual = [time for earlier in timed[max(0, number - LOOKBACK_DAYS) : number] for time in earlier.times]
    tonight = [replace(time, newest=time.newest - timedelta(hours=late_h)) for time in timed[number].times]
    return evaluate_source_times(make_snapshot(source_times=Result((*usual, *tonight))), SETTINGS, now)


def test_the_sources_and_runs_of_every_night_are_in_time(timed):
    assert len(timed) == Season().dates
    assert [of_date.game_date.day for of_date in timed if of_date.deadline is None] == [24]
    assert [of_date.game_date.day for of_date in timed if of_date.began is None] == [24, 30]
    for number, of_date in enumerate(timed):
        for minutes in (0, 45, 200) if of_date.deadline is not None else ():
            now = of_date.deadline + timedelta(minutes=minutes)
            found = find_stale(timed, number, now), of_date.run_result(of_date.began, now)
            assert [result.health for result in found] == [Health.OK] * 2, (of_date.game_date, found)


def test_sources_that_were_not_refreshed_are_found_on_every_night_that_has_usual_ones_before_it(timed):
    with_games = {number: of_date for number, of_date in enumerate(timed) if of_date.deadline is not None}
    found = {n for n, of_date in with_games.items() if find_stale(timed, n, of_date.deadline, late_h=9).firing}
    assert with_games.keys() - found == {0, 1, 2}


def test_a_run_after_the_first_tip_off_or_too_early_is_found_on_every_night(timed):
    late, early = timedelta(hours=2), timedelta(hours=-SETTINGS.run_earliest_before_tipoff_h)
    for of_date in (of_date for of_date in timed if of_date.deadline is not None):
        outcomes = [of_date.run_result(of_date.deadline + by, of_date.deadline) for by in (late, early)]
        assert [outcome.health for outcome in outcomes] == [Health.WARNING] * 2, of_date.game_date


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
