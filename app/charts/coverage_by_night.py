"""Coverage by game date as HTML: a bar for each date, which leads to that date, over an axis in per cent.

Below a date are the deploys and the actions of its night.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import streamlit as st

from app.charts import palette
from app.charts.html_parts import icon, percent
from app.components import widgets
from app.state import session
from services.core.clock import format_day, format_eastern
from services.core.result import Health
from services.core.text import pluralize, to_printable
from services.nights.coverage import NightCoverage
from services.reports.dated_changes import DatedChanges
from services.reports.event import Event

_AXIS_MAX_PCT = 112.0  # per cent; leaves room above a full bar
_AXIS_PCTS = (0, 50, 100)
_KINDS = {"config change": "action"}
_SYMBOLS = {"deploy": "change_history", "action": "bolt"}


def coverage_pct(day: NightCoverage, denominator: str) -> float | None:
    """A date's percentage of one denominator; None while it has no classification (not run yet, not readable)."""
    return None if day.health is Health.UNKNOWN else day.active_pct(getattr(day, denominator))


def render(
    days: Sequence[NightCoverage],
    denominator: str,
    population: str,
    thresholds: Sequence[tuple[str, float]],
    changes: DatedChanges,
) -> None:
    """Active players as a share of one denominator, a bar per date, with thresholds; a bar sets the date of all pages."""
    with st.container(key="coverage by night"):
        st.html(to_html(days, denominator, population, thresholds, changes))


def to_html(
    days: Sequence[NightCoverage],
    denominator: str,
    population: str,
    thresholds: Sequence[tuple[str, float]],
    changes: DatedChanges,
) -> str:
    """A bar for each date in the colour of its health, and a line for each threshold in per cent."""
    bars = "".join(_bar(day, denominator, changes.by_date.get(day.game_date, ())) for day in days)
    axis = "".join(f'<i class="axis" style="bottom:{_height(pct)}"><span>{pct}%</span></i>' for pct in _AXIS_PCTS)
    lines = "".join(
        f'<i class="at" style="bottom:{_height(pct)}"><span>{escape(name)} {pct:g}%</span></i>'
        for name, pct in thresholds
    )
    alt = escape(f"Active players by game date as a share of the players {population}")
    scale = f'<div class="scale" aria-hidden="true">{axis}{lines}</div>'
    return f'<div class="by-date">{scale}<ol aria-label="{alt}">{bars}</ol>{_key_html(changes.gaps)}</div>'


def _key_html(gaps: Sequence[str]) -> str:
    """What the marks mean, and of which dates or kinds they are not known."""
    kinds = "".join(f"<span>{icon(symbol, '')} {name}s</span>" for name, symbol in _SYMBOLS.items())
    return (
        f'<p class="marks-key">{kinds}{"".join(f"<span>{escape(gap[0].upper() + gap[1:])}</span>" for gap in gaps)}</p>'
    )


def _height(pct: float) -> str:
    return percent(pct / _AXIS_MAX_PCT)


def _bar(day: NightCoverage, denominator: str, changes: Sequence[Event]) -> str:
    counts = Counter(_KINDS.get(change.kind, change.kind) for change in changes)
    pct, title = coverage_pct(day, denominator), escape("; ".join([_bar_title(day, denominator), *_describe(counts)]))
    tooltip = escape("\n".join([_bar_title(day, denominator), *(_describe_change(change) for change in changes)]))
    href = escape(
        widgets.page_href("coverage", {**session.link_params(), session.DATE_PARAM: day.game_date.isoformat()})
    )
    current = ' aria-current="date"' if day.game_date == session.game_date() else ""
    mark = (
        f"<em>{_no_value_label(day)}</em>"
        if pct is None
        else f'<i style="height:{_height(pct)};background:{palette.COLOR_BY_HEALTH[day.health]}">{pct:.0f}</i>'
    )
    label = f"<b>{day.game_date.day}<small>{day.game_date:%b}</small></b>"
    marks = "".join(
        f"<s>{icon(_SYMBOLS[kind], '')}{counts[kind] if counts[kind] > 1 else ''}</s>"
        for kind in _SYMBOLS
        if counts[kind]
    )
    return (
        f'<li><a href="{href}" title="{tooltip}" aria-label="{title}"{current}><span>{mark}</span>{label}'
        f'<small class="marks" aria-hidden="true">{marks}</small></a></li>'
    )


def _describe(counts: Counter[str]) -> list[str]:
    return [", ".join(pluralize(counts[kind], kind) for kind in _SYMBOLS if counts[kind])] if counts else []


def _describe_change(change: Event) -> str:
    return to_printable(f"{format_eastern(change.at)} {change.summary}, by {change.actor or 'unknown'}")


def _bar_title(day: NightCoverage, denominator: str) -> str:
    """Mon 29 Dec 2025 critical: 43.0%, 68 of 158."""
    pct = coverage_pct(day, denominator)
    if pct is None:
        return f"{format_day(day.game_date)}: {_no_value_label(day)}"
    return f"{format_day(day.game_date)} {day.health}: {pct:.1f}%, {day.active:,} of {getattr(day, denominator):,}"


def _no_value_label(day: NightCoverage) -> str:
    if day.health is Health.NONE_EXPECTED:
        return "no games"
    return day.state
