"""One bar a night as HTML, and under each the way to that night."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.charts import palette
from app.state import session
from services.core.result import Health
from services.nights.coverage import DayCoverage

_TOP = 112.0  # per cent; air above a full night


def share(day: DayCoverage, denominator: str) -> float | None:
    """A night's percentage of one denominator; None while the night is not judged (not run yet, not readable)."""
    return None if day.health is Health.UNKNOWN else day.pct_of(getattr(day, denominator))


def panel(days: Sequence[DayCoverage], denominator: str, of: str, limits: Sequence[tuple[str, float]]) -> None:
    """Active players as a share of one denominator, a bar a night, with thresholds; a night's name turns every page to it."""
    st.html(picture(days, denominator, of, limits))
    with st.container(horizontal=True, gap=None, key="every night"):
        for day in days:
            on = day.game_date
            name = f"**{on.day}**" if on == session.game_date() else f"{on.day}"
            st.button(name, key=f"to {on}", on_click=session.go_to, args=(on,), type="tertiary", width="stretch")


def picture(days: Sequence[DayCoverage], denominator: str, of: str, limits: Sequence[tuple[str, float]]) -> str:
    """A bar for each night in the colour of its health word, and a line for each limit in per cent."""
    bars = "".join(_bar(day, denominator) for day in days)
    lines = "".join(
        f'<div class="at" style="bottom:{100 * pct / _TOP:.2f}%"><span>{escape(name)} {pct:g} %</span></div>'
        for name, pct in limits
    )
    told = "; ".join(_told(day, denominator) for day in days)
    alt = escape(f"Active players by night as a share of the players {of}: {told}.")
    return f'<div class="nights" role="img" aria-label="{alt}">{bars}{lines}</div>'


def _bar(day: DayCoverage, denominator: str) -> str:
    pct, title = share(day, denominator), escape(_told(day, denominator))
    if pct is None:
        return f'<span title="{title}"><em>{_why(day)}</em></span>'
    look = f"height:{100 * pct / _TOP:.2f}%;background:{palette.OF_HEALTH[day.health]}"
    return f'<span title="{title}"><i style="{look}">{pct:.0f}</i></span>'


def _told(day: DayCoverage, denominator: str) -> str:
    """Mon 29 Dec 2025 critical: 43.0 %, 68 of 158."""
    pct = share(day, denominator)
    if pct is None:
        return f"{session.day(day.game_date)}: {_why(day)}"
    return f"{session.day(day.game_date)} {day.health}: {pct:.1f} %, {day.active:,} of {getattr(day, denominator):,}"


def _why(day: DayCoverage) -> str:
    if day.health is Health.NONE_EXPECTED:
        return "no games"
    return "unknown" if day.active else "none yet"
