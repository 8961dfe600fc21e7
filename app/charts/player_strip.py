"""How far a player came on each of the last game dates, as HTML: a cell for each, which leads to that date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape

from app.charts.html_parts import health_icon
from app.components import widgets
from app.state import session
from services.core.clock import format_day
from services.core.result import Health
from services.core.text import pluralize
from services.nights.player_history import PlayerDay
from services.nights.player_stages import Stage

_WORDS = {
    Stage.ACTIVE: "active",
    Stage.WRITTEN: "written, not active",
    Stage.ELIGIBLE: "eligible, not written",
    Stage.IN_CONTEXT: "ineligible",
    None: "not in context",
}


def to_html(days: Sequence[PlayerDay], player_lookup: str, pending: Mapping[date, str]) -> str:
    """The cells, oldest first; `pending` has the dates whose missing rows may still come, and why."""
    cells = "".join(_cell(day, player_lookup, pending.get(day.game_date, "")) for day in days)
    return f'<ol class="player-strip" aria-label="Last {pluralize(len(days), "game date")}">{cells}</ol>'


def _cell(day: PlayerDay, player_lookup: str, pending: str) -> str:
    health, word = _judge(day, pending)
    rows = f", {pluralize(day.rows_active, 'row')}" if day.rows_active else ""
    title = escape(f"{format_day(day.game_date)}: {word}{rows}")
    params = {session.DATE_PARAM: day.game_date.isoformat(), "player": player_lookup}
    current = ' aria-current="date"' if day.game_date == session.game_date() else ""
    return (
        f'<li><a href="{escape(widgets.page_href("player", params))}" title="{title}" aria-label="{title}"{current}>'
        f"{health_icon(health)}<b>{day.game_date.day}</b><small>{day.game_date:%b}</small></a></li>"
    )


def _judge(day: PlayerDay, pending: str) -> tuple[Health, str]:
    if day.reached is Stage.ACTIVE:
        return Health.OK, _WORDS[day.reached]
    if day.reached in (Stage.WRITTEN, Stage.ELIGIBLE) and day.eligible:
        return (Health.UNKNOWN, pending) if pending else (Health.CRITICAL, _WORDS[day.reached])
    return Health.NONE_EXPECTED, _WORDS[day.reached]
