"""Pictures: facts in, a Plotly figure out. Text takes the theme's colour; marks read in light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise

import plotly.graph_objects as go
import streamlit as st

from services.coverage import DayCoverage
from services.foundation.reading import Health
from services.missing_players import Missing, Why
from services.night import STAGES, Stage

BLUE, RED, AMBER, GREEN, GREY, VIOLET = "#3a74a8", "#bd493b", "#a3690f", "#3d8259", "#70777d", "#7a5ca3"
TRACK = "rgba(138,146,152,0.18)"
FLOW = "rgba(86,140,190,0.17)"
INK = {"light": "#4f565b", "dark": "#b4bcc1"}
_GONE = {"lost here": RED, "unexplained": VIOLET, "not run yet": TRACK, "on purpose": TRACK}
_LOST = ("lost here", "unexplained")
ALARM = {"light": "#b3372a", "dark": "#ee8d80"}
OF_HEALTH = {
    Health.OK: GREEN,
    Health.WARNING: AMBER,
    Health.CRITICAL: RED,
    Health.UNKNOWN: VIOLET,
    Health.NONE_EXPECTED: GREY,
}
_STILL = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "responsive": True}


def show(figure: go.Figure, key: str, alt: str, on_select: Callable[[], None] | None = None) -> None:
    """Put a figure on the page, with the sentence that says what it shows; choosing a mark may lead somewhere."""
    if on_select is None:
        st.plotly_chart(figure, key=key, alt=alt, config=_STILL)
    else:
        st.plotly_chart(figure, key=key, alt=alt, config=_STILL, on_select=on_select, selection_mode="points")


def nights(figure: go.Figure, key: str, alt: str, on_pick: Callable[[date], None]) -> None:
    """A figure with one bar a night; choosing a bar tells `on_pick` its date."""

    def picked() -> None:
        points = st.session_state[key].selection.points
        if points:
            on_pick(date.fromisoformat(str(points[0]["x"])[:10]))

    show(figure, key, alt, picked)


def funnel(players: Mapping[Stage, int | None], missing: Iterable[Missing]) -> go.Figure:
    """Players flowing from stage to stage; beside a bar, how many were lost on the way to it, the greatest loss largest."""
    gone = Counter((each.lost_at, _kind(each)) for each in missing)
    figure = blank(36 * len(STAGES) + 16)
    parts = [(BLUE, [players.get(stage) for stage in STAGES], "players")]
    parts += [(colour, [gone[stage, kind] for stage in STAGES], kind) for kind, colour in _GONE.items()]
    rows = [*range(len(STAGES))]
    for colour, counts, meaning in parts:
        hover = f"%{{customdata}}: %{{x:,}} {meaning}<extra></extra>"
        names = [str(stage) for stage in STAGES]
        figure.add_bar(
            y=rows, x=counts, customdata=names, orientation="h", width=0.62, marker_color=colour, hovertemplate=hover
        )
    widest = max(sum(part[1][row] or 0 for part in parts) for row in rows) or 1
    most = max((number for (_, kind), number in gone.items() if kind in _LOST), default=0)
    for row, stage in enumerate(STAGES):
        words = _beside(players.get(stage), {kind: gone[stage, kind] for kind in _GONE}, most)
        figure.add_annotation(
            x=widest * 1.03, y=row, xanchor="left", showarrow=False, text=words, font={"size": 13, "color": ink()}
        )
    _flow(figure, [players.get(stage) for stage in STAGES])
    figure.update_layout(barmode="stack")
    figure.update_xaxes(visible=False, range=[0, widest * 1.75])
    figure.update_yaxes(
        tickvals=rows, ticktext=[str(stage) for stage in STAGES], range=[len(STAGES) - 0.5, -0.5], showgrid=False
    )
    return figure


def _flow(figure: go.Figure, counts: Sequence[int | None]) -> None:
    """A pale band from each stage to the next known one, so that the eye follows the players down."""
    known = [(row, count) for row, count in enumerate(counts) if count is not None]
    for (above, before), (below, after) in pairwise(known):
        path = f"M 0,{above + 0.31} L {before},{above + 0.31} L {after},{below - 0.31} L 0,{below - 0.31} Z"
        figure.add_shape(type="path", path=path, fillcolor=FLOW, line_width=0, layer="below")


def _kind(each: Missing) -> str:
    """How a picture tells a missing player: lost, not explained, or not there for a good reason."""
    if each.why is Why.UNEXPLAINED:
        return "unexplained"
    if each.why is Why.NOT_RUN_YET:
        return "not run yet"
    return "on purpose" if each.expected else "lost here"


def _beside(count: int | None, gone: Mapping[str, int], most: int) -> str:
    words = [f"<b>{count:,}</b>" if count is not None else "<b>unknown</b>"]
    for kind, number in gone.items():
        if number and kind in _LOST:
            size = 16 if number == most else 13
            look = f"color:{ALARM.get(_theme(), RED)};font-size:{size}px"
            words.append(f"<span style='{look}'><b>−{number:,} {kind}</b></span>")
        elif number:
            words.append(f"−{number:,} {kind}")
    return "  ".join(words)


def share(day: DayCoverage, denominator: str) -> float | None:
    """A night's percentage of one denominator; None while the night is not judged (not run yet, not readable)."""
    return None if day.health is Health.UNKNOWN else day.pct_of(getattr(day, denominator))


def coverage_by_date(
    days: Sequence[DayCoverage], denominator: str, warning_pct: float, critical_pct: float
) -> go.Figure:
    """Active players as a share of one denominator, a bar a night, with both thresholds."""
    figure = blank(250)
    shares = [share(day, denominator) for day in days]
    figure.add_bar(
        x=[day.game_date for day in days],
        y=shares,
        marker_color=[OF_HEALTH[day.health] for day in days],
        text=[f"{pct:.0f}" if pct is not None else "" for pct in shares],
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont_color="white",
        customdata=[(day.active, getattr(day, denominator)) for day in days],
        hovertemplate="%{x|%a %-d %b}: %{y:.1f} % — %{customdata[0]} of %{customdata[1]}<extra></extra>",
    )
    for day in days:
        if share(day, denominator) is None:
            why = "no games" if day.health is Health.NONE_EXPECTED else "none yet" if not day.active else "unknown"
            figure.add_annotation(x=day.game_date, y=0, text=why, textangle=-90, yanchor="bottom", showarrow=False)
    if denominator == "eligible":
        limit(figure, warning_pct, f"warning {warning_pct:g} %", AMBER, beside=True)
        limit(figure, critical_pct, f"critical {critical_pct:g} %", RED, beside=True)
    figure.update_layout(bargap=0.35)
    figure.update_yaxes(range=[0, 112], tickvals=[0, 25, 50, 75, 100], ticksuffix=" %")
    figure.update_xaxes(tickformat="%-d %b", dtick=86_400_000 * max(1, len(days) // 9), tickangle=0)
    return figure


def ink() -> str:
    """The colour of words in a picture; Plotly draws them itself and cannot follow the page's theme."""
    return INK.get(_theme(), GREY)


def _theme() -> str:
    return st.context.theme.type or ""


def blank(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uniformtext={"minsize": 10, "mode": "show"},
        font={"size": 13, "color": ink()},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(
        tickfont={"size": 12, "color": ink()}, fixedrange=True, showgrid=False, zeroline=False, automargin=True
    )
    figure.update_yaxes(
        tickfont={"size": 12.5, "color": ink()}, fixedrange=True, gridcolor=TRACK, zeroline=False, automargin=True
    )
    return figure


def limit(figure: go.Figure, at: float, words: str, colour: str, beside: bool = False) -> None:
    """A dotted line across the picture, named above its left end, or beside it where bars would hide the name."""
    place = {"x": 1.005, "yanchor": "middle"} if beside else {"x": 0, "yanchor": "bottom"}
    figure.add_hline(y=at, line_color=colour, line_width=1, line_dash="dot")
    figure.add_annotation(
        xref="paper", y=at, text=words, showarrow=False, xanchor="left", font={"color": ink(), "size": 11.5}, **place
    )
    if beside:
        figure.update_layout(margin_r=92)
