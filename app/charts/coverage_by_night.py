"""One bar per night as HTML, with a link to that night below each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.charts import palette
from app.state import session
from services.core.result import Health
from services.nights.coverage import NightCoverage

_AXIS_MAX_PCT = 112.0  # per cent; leaves room above a full bar


def coverage_pct(day: NightCoverage, denominator: str) -> float | None:
    """A night's percentage of one denominator; None while the night has no classification (not run yet, not readable)."""
    return None if day.health is Health.UNKNOWN else day.active_pct(getattr(day, denominator))


def render(
    days: Sequence[NightCoverage], denominator: str, population: str, thresholds: Sequence[tuple[str, float]]
) -> None:
    """Active players as a share of one denominator, a bar per night, with thresholds; a night's name sets the date of all pages."""
    with st.container(key="coverage by night"):
        st.html(to_html(days, denominator, population, thresholds))
    with st.container(horizontal=True, gap=None, key="every night"):
        for day in days:
            game_date = day.game_date
            label = f"**{game_date.day}**" if game_date == session.game_date() else f"{game_date.day}"
            st.button(
                label,
                key=f"to {game_date}",
                on_click=session.set_night,
                args=(game_date,),
                type="tertiary",
                width="stretch",
            )


def to_html(
    days: Sequence[NightCoverage], denominator: str, population: str, thresholds: Sequence[tuple[str, float]]
) -> str:
    """A bar for each night in the colour of its health, and a line for each threshold in per cent."""
    bars = "".join(_bar(day, denominator) for day in days)
    lines = "".join(
        f'<div class="at" style="bottom:{100 * pct / _AXIS_MAX_PCT:.2f}%"><span>{escape(name)} {pct:g} %</span></div>'
        for name, pct in thresholds
    )
    titles = "; ".join(_bar_title(day, denominator) for day in days)
    alt = escape(f"Active players by night as a share of the players {population}: {titles}.")
    return f'<div class="nights" role="img" aria-label="{alt}">{bars}{lines}</div>'


def _bar(day: NightCoverage, denominator: str) -> str:
    pct, title = coverage_pct(day, denominator), escape(_bar_title(day, denominator))
    if pct is None:
        return f'<span title="{title}"><em>{_no_value_label(day)}</em></span>'
    style = f"height:{100 * pct / _AXIS_MAX_PCT:.2f}%;background:{palette.COLOR_BY_HEALTH[day.health]}"
    return f'<span title="{title}"><i style="{style}">{pct:.0f}</i></span>'


def _bar_title(day: NightCoverage, denominator: str) -> str:
    """Mon 29 Dec 2025 critical: 43.0 %, 68 of 158."""
    pct = coverage_pct(day, denominator)
    if pct is None:
        return f"{session.format_day(day.game_date)}: {_no_value_label(day)}"
    return f"{session.format_day(day.game_date)} {day.health}: {pct:.1f} %, {day.active:,} of {getattr(day, denominator):,}"


def _no_value_label(day: NightCoverage) -> str:
    if day.health is Health.NONE_EXPECTED:
        return "no games"
    return day.state
