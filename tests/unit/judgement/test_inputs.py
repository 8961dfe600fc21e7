"""Inputs: per game against the nights before; what is missing is named, and unknown or too short a history claims nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.core.result import Health, Problem, Result
from services.core.settings import Settings
from services.judgement.inputs import judge_inputs
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.game_inputs import GameInputs, list_game_inputs
from tests.support.factories import NIGHT, make_night, make_player
from tests.support.seeded_nights import make_facts

SETTINGS = Settings.from_env({})
DOWN = Problem("The coverage history", datetime(2025, 12, 30, 6, tzinfo=UTC), "BigQuery does not answer")


def make_day(days_before: int, games: int, per_game: float = 14) -> NightCoverage:
    eligible = round(games * per_game)
    return NightCoverage(
        NIGHT - timedelta(days=days_before), games, 15 * games, 32 * games, eligible, eligible, eligible, (), Health.OK
    )


USUAL = [make_day(n, 5 + n % 4, 13.5 + n % 3) for n in range(1, 21)]


def make_games(count: int, **changes: Any) -> tuple[GameInputs, ...]:
    return tuple(replace(GameInputs((f"A{n}", f"H{n}"), (16, 16), 15), **changes) for n in range(count))


def judge(eligible: int, games: tuple[GameInputs, ...], usual=USUAL, **changes: Any):
    players = [make_player(player_lookup=f"p{n}") for n in range(eligible)]
    return judge_inputs(make_facts(make_night(*players, game_inputs=games, **changes), usual), SETTINGS)


def test_a_night_as_usual_is_in_order_with_its_numbers():
    statement = judge(126, make_games(9))
    assert (statement.health, statement.text) == (Health.OK, "126 eligible in 9 games: 14 a game, usually 14")
    assert (statement.part, statement.recorded) == (126, True)


@pytest.mark.parametrize(
    ("was_run", "health"), [(False, Health.WARNING), (True, Health.CRITICAL), (None, Health.CRITICAL)]
)
def test_few_eligible_players_warn_before_the_run_and_are_critical_after_it(was_run, health):
    statement = judge(36, make_games(9), was_run=was_run)
    assert (statement.health, statement.text) == (health, "36 eligible in 9 games: 4 a game, usually 14")


def test_context_and_odds_are_compared_too_and_missing_odds_alone_are_a_warning():
    context = judge(126, make_games(9, in_context=(4, 4)))
    assert (context.health, context.text) == (Health.CRITICAL, "72 in context in 9 games: 8 a game, usually 32")
    odds = judge(126, make_games(9, with_odds=5))
    assert (odds.health, odds.text) == (Health.WARNING, "45 with odds in 9 games: 5 a game, usually 15")
    none = judge(126, make_games(9, with_odds=0))
    assert (none.health, none.text) == (Health.WARNING, "0 with odds in 9 games: 0 a game, usually 15")


def test_games_and_teams_without_context_or_odds_are_named():
    games = list(make_games(9))
    games[1], games[2], games[3] = (
        replace(games[1], in_context=(0, 0)),
        replace(games[2], in_context=(0, 16)),
        replace(games[3], with_odds=0),
    )
    statement = judge(126, tuple(games))
    assert statement.text == "no context for A1@H1; no context for 1 team: A2; no odds for A3@H3"
    assert statement.health is Health.CRITICAL
    assert judge(126, tuple(games), was_run=False).health is Health.WARNING
    assert judge(126, (*games[:1], *games[3:])).health is Health.WARNING
    assert judge(126, (games[0], *games[2:])).health is Health.CRITICAL  # a team without context


def test_one_game_may_have_four_players_fewer_by_chance():
    usual = [make_day(n, 9) for n in range(1, 21)]
    assert judge(10, make_games(1), usual).health is Health.OK
    assert judge(9, make_games(1), usual).health is Health.CRITICAL


def test_nights_that_vary_by_themselves_allow_as_much():
    varied = [make_day(n, 8, 14 + (-1) ** n * 2 * (n % 3)) for n in range(1, 21)]
    assert judge(9 * 8, make_games(8), varied).health is Health.OK
    assert judge(9 * 8, make_games(8), [make_day(n, 8) for n in range(1, 21)]).health is Health.CRITICAL


def test_the_nights_nearest_in_size_are_compared():
    usual = [*(make_day(n, 2, 10) for n in range(1, 10)), *(make_day(n, 12, 15) for n in range(10, 19))]
    assert judge(20, make_games(2), usual).text == "20 eligible in 2 games: 10 a game, usually 10"
    assert judge(120, make_games(12), usual).text == "120 eligible in 12 games: 10 a game, usually 15"


def test_a_night_of_the_bad_kind_among_the_usual_ones_does_not_become_usual():
    usual = [make_day(n, 9, 4 if n <= 3 else 14) for n in range(1, 10)]
    assert judge(36, make_games(9), usual).health is Health.CRITICAL


def test_the_first_week_of_an_installation_is_not_recorded_but_its_gaps_are_named():
    first_week = [make_day(n, 9) for n in range(1, 5)]
    statement = judge(36, make_games(9), first_week)
    assert (statement.health, statement.recorded) == (Health.NONE_EXPECTED, False)
    assert statement.text == "4 earlier game dates to compare with, 5 required"
    night = make_night(*[make_player(player_lookup=f"p{n}") for n in range(126)], game_inputs=make_games(9))
    four = Settings.from_env({"INPUTS_MIN_NIGHTS": "4"})
    assert judge_inputs(make_facts(night, first_week), four).health is Health.OK
    gap = judge(36, (*make_games(8), GameInputs(("NYK", "NOP"), (0, 0), 12)), first_week)
    assert (gap.health, gap.text, gap.recorded) == (Health.CRITICAL, "no context for NYK@NOP", True)


def test_without_the_history_they_are_unknown_and_a_gap_is_critical_all_the_same():
    night = make_night(*(make_player(player_lookup=f"p{n}") for n in range(126)), game_inputs=make_games(9))
    unread = replace(make_facts(night, USUAL), usual=Result(None, DOWN))
    statement = judge_inputs(unread, SETTINGS)
    assert (statement.health, statement.problems, statement.recorded) == (Health.UNKNOWN, (DOWN,), True)
    assert statement.text == "126 eligible in 9 games; the usual number is unknown"
    old = judge_inputs(replace(make_facts(night, USUAL), night=Result(night, outdated=DOWN)), SETTINGS)
    assert old.health is Health.UNKNOWN
    gap = Result(replace(night, game_inputs=(*make_games(8), GameInputs(("NYK", "NOP"), (0, 0), 12))))
    assert judge_inputs(replace(unread, night=gap), SETTINGS).health is Health.CRITICAL


def test_a_day_without_games_has_no_inputs():
    assert judge(0, ()).health is Health.NONE_EXPECTED


def test_the_number_that_is_usual_is_expected_of_the_night():
    usual = [make_day(n, 10) for n in range(1, 10)]
    statement = judge(126, make_games(9), usual)
    assert (statement.part, statement.whole, statement.page) == (126, 126, "coverage")
    assert judge(126, make_games(9), []).whole is None


def test_only_earlier_nights_with_games_are_compared():
    usual = [make_day(n, 9) for n in range(1, 6)]
    later_or_empty = [make_day(0, 9, 40), make_day(-1, 9, 40), *(make_day(n, 0) for n in range(6, 15))]
    night = make_night(*[make_player(player_lookup=f"p{n}") for n in range(126)], game_inputs=make_games(9))
    facts = replace(make_facts(night, ()), usual=Result(CoverageHistory((*usual, *later_or_empty), ())))
    statement = judge_inputs(facts, Settings.from_env({"INPUTS_MIN_NIGHTS": "5"}))
    assert (statement.text, statement.whole) == ("126 eligible in 9 games: 14 a game, usually 14", 126)
    assert judge_inputs(facts, Settings.from_env({"INPUTS_MIN_NIGHTS": "6"})).text.startswith("5 earlier game dates")


def test_of_nights_equally_near_in_size_the_nine_latest_are_compared():
    usual = [make_day(n, 9, 14 if n <= 5 else 30) for n in range(1, 21)]
    assert judge(126, make_games(9), usual).text.endswith("usually 14")
    assert judge(
        126, make_games(9), [day for day in usual if day.eligible != 126 or day.game_date != NIGHT - timedelta(days=1)]
    ).text.endswith("usually 30")


@pytest.mark.parametrize(("eligible", "health"), [(1120, Health.OK), (1119, Health.CRITICAL)])
def test_exactly_the_share_of_the_usual_number_is_enough(eligible, health):
    usual = [make_day(n, 10, 140) for n in range(1, 10)]
    day_in_context = [replace(day, in_context=320, with_odds=150) for day in usual]
    assert judge(eligible, make_games(10), day_in_context).health is health


def test_a_spread_of_three_standard_deviations_is_allowed():
    """Medians: 100 a game, and 10 from it, which is a standard deviation of 14.8; three of them are 44.5."""
    usual = [make_day(n, 10, per_game) for n, per_game in enumerate((90, 110, 90, 110, 100, 90, 110, 100, 110), 1)]
    assert judge(560, make_games(10), usual).health is Health.OK
    assert judge(550, make_games(10), usual).health is Health.CRITICAL


def test_games_and_teams_are_listed_with_commas():
    games = list(make_games(9))
    for n in (1, 2):
        games[n] = replace(games[n], in_context=(0, 0))
    for n in (3, 4):
        games[n] = replace(games[n], in_context=(0, 16))
    for n in (5, 6):
        games[n] = replace(games[n], with_odds=0)
    text = "no context for A1@H1, A2@H2; no context for 2 teams: A3, A4; no odds for A5@H5, A6@H6"
    assert text in judge(126, tuple(games)).text
    unlisted = judge(126, make_games(9), unlisted_games=("g1", "g2"))
    assert unlisted.text == "active rows for 2 games without context: g1, g2"


def test_an_outdated_reading_leaves_a_day_without_games_and_a_first_week_unknown():
    no_games = make_facts(make_night(), ())
    old_night = replace(no_games.night, outdated=DOWN)
    assert judge_inputs(replace(no_games, night=old_night), SETTINGS).health is Health.UNKNOWN
    first_week = make_facts(make_night(make_player(), game_inputs=make_games(1)), ())
    for reading in ("night", "usual"):
        old = replace(first_week, **{reading: replace(getattr(first_week, reading), outdated=DOWN)})
        assert judge_inputs(old, SETTINGS).health is Health.UNKNOWN


def odds(name: str | None, away: str | None = "NYK", home: str | None = "NOP"):
    return {"player_lookup": name, "away_team_abbr": away, "home_team_abbr": home, "game_id": "0022500123"}


def context(player: str | None, team: str | None = "NOP", opponent: str | None = "NYK"):
    return {"player_lookup": player, "team_abbr": team, "opponent_team_abbr": opponent, "game_id": "20251229_NYK_NOP"}


def test_a_game_is_known_by_its_teams_whatever_its_ids_and_rows_without_them_count_for_none():
    rows = [
        context("a"),
        context("a"),
        context("b"),
        context("c", "NYK", "NOP"),
        context("d", "BOS", "LAL"),
        context("e", None),
        context("f", "SAC", None),
    ]
    names = [odds("a"), odds("a"), odds("x"), odds("y", None, None), odds(None), odds("z", "DEN", "MIA")]
    assert list_game_inputs(rows, names) == (
        GameInputs(("BOS", "LAL"), (1, 0), 0),
        GameInputs(("DEN", "MIA"), (0, 0), 1),
        GameInputs(("NYK", "NOP"), (1, 2), 2),
    )


def test_active_rows_for_a_game_that_neither_context_nor_odds_have_are_named():
    """A game that both lost after the run: its players count nowhere, and coverage is whole without them."""
    statement = judge(126, make_games(9), unlisted_games=("20251229_NYK_NOP",))
    assert (statement.health, statement.text) == (
        Health.WARNING,
        "active rows for 1 game without context: 20251229_NYK_NOP",
    )
    assert judge(0, (), unlisted_games=("20251229_NYK_NOP",)).health is Health.WARNING
