"""Inputs: what a night has to be predicted from, per game, against the nights before. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from services.core.result import Health, worst
from services.core.settings import Settings
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Statement, Subject, not_recorded, unknown
from services.nights.coverage import NightCoverage
from services.nights.game_inputs import GameInputs
from services.nights.player_stages import NightStatus

NIGHTS_COMPARED = 9  # those whose number of games is nearest
CHANCE_PLAYERS = 4  # so many fewer on a slate are chance, which counts where it has one game or two
_SIGMA_OF_MAD, _SIGMAS = 1.4826, 3.0  # the median deviation of a normal distribution is σ / 1.4826
_PAGE = "coverage"
_QUANTITIES: tuple[tuple[str, Callable[[NightStatus], int], Callable[[NightCoverage], int], bool], ...] = (
    ("eligible", lambda night: len(night.eligible_players), lambda day: day.eligible, True),
    ("in context", lambda night: sum(sum(g.in_context) for g in night.game_inputs), lambda day: day.in_context, True),
    ("with odds", lambda night: sum(g.with_odds for g in night.game_inputs), lambda day: day.with_odds, False),
)  # name, of this night, of another, whether players are lost by it


def judge_inputs(facts: NightFacts, settings: Settings) -> Statement:
    """Whether context and odds are there for every game, as many as usual: a warning before the run, critical after it.

    What is missing of the odds alone is a warning: their lines are then estimated.
    """
    night = facts.night.value
    if night is None:
        return unknown(Subject.INPUTS, _PAGE, facts.night)
    games = night.game_inputs
    if not games and not night.unlisted_games:
        return Statement(Subject.INPUTS, Health.NONE_EXPECTED, "no games, no inputs", _PAGE).based_on(facts.night)
    losing = Health.WARNING if night.was_run is False else Health.CRITICAL
    usual = _nearest_nights(facts, len(games))
    found = [*_gaps(games, losing), *_unlisted(night), *_shortfalls(night, usual, losing, settings)]
    if not found and facts.usual.ok and len(usual) < settings.inputs_min_nights:
        text = f"{pluralize(len(usual), 'earlier game date')} to compare with, {settings.inputs_min_nights} required"
        return not_recorded(Subject.INPUTS, text, _PAGE).based_on(facts.night, facts.usual)
    expected = round(median(day.eligible / day.games for day in usual) * len(games)) if usual else None
    step = facts.failed_step(settings) if found else None
    because = (f"predictions short because {step.problem}",) if step is not None else ()
    statement = Statement(
        Subject.INPUTS,
        worst(health for health, _ in found) if found else Health.OK,
        "; ".join((*because, *(text for _, text in found))) if found else _text(night, usual),
        _PAGE,
        len(night.eligible_players),
        expected,
        since=step.since if step is not None else None,
    )
    return statement.based_on(facts.night, facts.usual)


def _nearest_nights(facts: NightFacts, games: int) -> list[NightCoverage]:
    """The earlier nights with games whose slate is nearest in size, of those the latest."""
    days = facts.usual.value.days if facts.usual.value else ()
    earlier = [day for day in days if day.games and day.game_date < facts.game_date]
    return sorted(earlier, key=lambda day: (abs(day.games - games), -day.game_date.toordinal()))[:NIGHTS_COMPARED]


def _shortfalls(
    night: NightStatus, usual: Sequence[NightCoverage], losing: Health, settings: Settings
) -> Iterator[tuple[Health, str]]:
    """Each quantity that is below what is usual per game by more than the setting, the nights' own spread and chance allow."""
    games = len(night.game_inputs)
    if not games or len(usual) < settings.inputs_min_nights:
        return
    for name, count, count_of_day, loses_players in _QUANTITIES:
        ratios = [count_of_day(day) / day.games for day in usual]
        middle = median(ratios)
        spread = _SIGMA_OF_MAD * median(abs(ratio - middle) for ratio in ratios)
        allowed = max(middle * (1 - settings.inputs_usual_pct / 100), _SIGMAS * spread, CHANCE_PLAYERS / games)
        if count(night) / games < middle - allowed:
            yield (losing if loses_players else Health.WARNING), _describe(name, count(night), games, middle)


def _describe(name: str, count: int, games: int, usual: float) -> str:
    return f"{count} {name} in {pluralize(games, 'game')}: {count / games:.0f} a game, usually {usual:.0f}"


def _gaps(games: Sequence[GameInputs], losing: Health) -> Iterator[tuple[Health, str]]:
    """Games and teams that lack context or odds, named. Where no game has any, the count says so."""
    without_context = [game.name for game in games if not any(game.in_context)]
    teams = [team for game in games for team in game.teams_without_context]
    without_odds = [game.name for game in games if not game.with_odds]
    if without_context:
        yield losing, f"no context for {', '.join(without_context)}"
    if teams:
        yield losing, f"no context for {pluralize(len(teams), 'team')}: {', '.join(teams)}"
    if without_odds and len(without_odds) < len(games):
        yield Health.WARNING, f"no odds for {', '.join(without_odds)}"


def _unlisted(night: NightStatus) -> Iterator[tuple[Health, str]]:
    if night.unlisted_games:
        count = pluralize(len(night.unlisted_games), "game")
        yield Health.WARNING, f"active rows for {count} without context: {', '.join(night.unlisted_games)}"


def _text(night: NightStatus, usual: Sequence[NightCoverage]) -> str:
    eligible, games = len(night.eligible_players), len(night.game_inputs)
    if not usual:
        return f"{eligible} eligible in {pluralize(games, 'game')}; the usual number is unknown"
    return _describe("eligible", eligible, games, median(day.eligible / day.games for day in usual))
