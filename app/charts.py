"""Charts with axes: facts in, a Plotly figure out. Text takes the theme's colour; marks read in light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import plotly.graph_objects as go
import streamlit as st

from app.palette import AMBER, OF_HEALTH, RED, TRACK, ink
from services.coverage import DayCoverage
from services.foundation.reading import Health

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
    figure.update_yaxes(range=[0, 112], tickvals=[0, 50, 100], ticktext=["0 %", "50 %", "100 %"])
    figure.update_xaxes(tickformat="%-d %b", nticks=6, tickangle=0)
    return figure


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


def limit(figure: go.Figure, at: float, words: str, colour: str, beside: bool = False, axis: str = "y") -> None:
    """A dotted line across the picture, named above its left end, or beside it where bars would hide the name."""
    place = {"x": 1.005, "yanchor": "middle"} if beside else {"x": 0, "yanchor": "bottom"}
    line = {"color": colour, "width": 1, "dash": "dot"}
    figure.add_shape(x0=0, x1=1, xref="paper", y0=at, y1=at, yref=axis, line=line)
    look = {"xref": "paper", "yref": axis, "showarrow": False, "xanchor": "left"}
    figure.add_annotation(y=at, text=words, font={"color": ink(), "size": 11.5}, **look, **place)
    if beside:
        figure.update_layout(margin_r=92)
