"""Names: whether the names with odds are players in context, as on the last night with odds. Pure."""

from __future__ import annotations

from services.core.result import Health
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.statement import Statement, Subject, not_recorded, unknown
from services.names.resolution_counts import ResolutionCounts
from services.nights.player_stages import NightStatus

_PAGE = "missing_players"


def judge_names(facts: NightFacts, settings: Settings) -> Statement:
    """A warning where so many more names than on the last night with odds are unmatched, in number and in share."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.NAMES, _PAGE, facts.night)
    counts, unread = _count_names(night), [problem for problem in night.problems if problem.source == "aliases"]
    if not counts.name_count:
        statement = Statement(Subject.NAMES, Health.NONE_EXPECTED, "no names with odds", _PAGE)
        return statement.based_on(facts.night, problems=unread)
    previous = _last_night_with_odds(facts)
    text = f"{counts.unresolved} of {counts.name_count} odds names match no player in context, and no alias"
    if previous is None and facts.usual.ok:
        statement = not_recorded(Subject.NAMES, f"{text}; no earlier game date to compare with", _PAGE)
        return statement.based_on(facts.night, facts.usual, problems=unread)
    has_risen = previous is not None and _has_risen(counts, previous, settings)
    if has_risen:
        text += f"; {counts.by_alias} more would match through an alias"
    if previous is not None:
        text += f"; {previous.unresolved} of {previous.name_count} on the game date before"
    statement = Statement(
        Subject.NAMES,
        Health.WARNING if has_risen else Health.OK,
        text,
        _PAGE,
        counts.name_count - counts.unresolved,
        counts.name_count,
    )
    return statement.based_on(facts.night, facts.usual, problems=unread)


def _count_names(night: NightStatus) -> ResolutionCounts:
    named = [player for player in night.players if player.has_odds]
    exact = sum(bool(player.in_context) for player in named)
    by_alias = sum(not player.in_context and bool(player.alias_canonical) for player in named)
    return ResolutionCounts(exact, by_alias, len(named) - exact - by_alias)


def _last_night_with_odds(facts: NightFacts) -> ResolutionCounts | None:
    days = facts.usual.value.days if facts.usual.value else ()
    counts = (day.resolution_counts for day in reversed(days) if day.game_date < facts.game_date)
    return next((of_day for of_day in counts if of_day is not None and of_day.name_count), None)


def _has_risen(counts: ResolutionCounts, previous: ResolutionCounts, settings: Settings) -> bool:
    increase = counts.unresolved - previous.unresolved
    increase_pct_points = _unresolved_pct(counts) - _unresolved_pct(previous)
    return increase >= settings.unresolved_increase and increase_pct_points >= settings.unresolved_increase_pct_points


def _unresolved_pct(counts: ResolutionCounts) -> float:
    return 100 * counts.unresolved / counts.name_count
