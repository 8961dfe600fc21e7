"""The interactive chart of a night's writes, by Plotly: to zoom into what app/charts/dml_chart.py draws at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import plotly.graph_objects as go
import streamlit as st

from app.charts.dml_chart import LIMIT_TEXT, outstanding_over_time
from app.charts.palette import AMBER, BLUE, NEUTRAL_FILL, RED, text_color
from app.charts.time_axis import round_ticks, tick_label
from services.core.clock import format_eastern
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.job_history import WriteAttempt

KEPT_FIGURES = 8  # nights and themes whose figure is kept; a refresh mostly shows the same writes
_CONFIG = {"displaylogo": False, "scrollZoom": False, "doubleClick": "reset", "responsive": True}


def show_figure(figure: go.Figure, key: str, alt: str) -> None:
    """Put a figure on the page, with its text alternative."""
    st.plotly_chart(figure, key=key, alt=alt, config=_CONFIG)


def dml_figure(report: DmlReport) -> go.Figure:
    """Writes by minute, and below them, on the same time axis, the number of concurrent statements and the limit."""
    return _draw_writes(report.by_minute, report.attempts, report.alert_at, text_color())


@lru_cache(maxsize=KEPT_FIGURES)
def _draw_writes(
    by_minute: tuple[tuple[datetime, int, int], ...],
    attempts: tuple[WriteAttempt, ...],
    alert_at: datetime | None,
    color: str,
) -> go.Figure:
    """The figure of these writes in this theme's colour of text: drawing it takes longer than all else on its page."""
    figure = _base_figure(400, color)
    figure.update_layout(
        xaxis={"anchor": "y2"},
        yaxis={"domain": [0.56, 1]},
        yaxis2={**figure.layout.yaxis.to_plotly_json(), "domain": [0, 0.38]},
        barmode="stack",
        showlegend=True,
        margin_t=46,
        legend_y=1.08,
    )
    _add_writes_by_minute(figure, by_minute, attempts)
    _add_outstanding(figure, attempts, color)
    if alert_at is not None:
        _add_marker(figure, alert_at, f"alert {format_eastern(alert_at, '%H:%M:%S')}")
    return figure


def _add_writes_by_minute(
    figure: go.Figure, by_minute: Sequence[tuple[datetime, int, int]], attempts: Iterable[WriteAttempt]
) -> None:
    minutes = [minute for minute, _, _ in by_minute]
    kinds = (
        ("accepted", [attempted - rejected for _, attempted, rejected in by_minute], BLUE),
        ("rejected", [rejected for _, _, rejected in by_minute], RED),
    )
    for name, counts, color in kinds:
        figure.add_bar(
            x=[_to_place(minute + timedelta(seconds=30)) for minute in minutes],
            y=counts,
            name=name,
            marker_color=color,
            width=40_000,
            text=[n or "" for n in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            customdata=[format_eastern(minute) for minute in minutes],
            hovertemplate="%{customdata}: %{y} " + name + "<extra></extra>",
        )
    if minutes:
        ended = [a.ended for a in attempts if a.ok is not False and a.ended is not None]
        _set_time_axis(figure, min(minutes) - timedelta(minutes=3), max([*minutes, *ended]) + timedelta(minutes=3))


def _set_time_axis(figure: go.Figure, start: datetime, end: datetime) -> None:
    ticks, pattern = round_ticks(start, end), "%H:%M" if end - start < timedelta(hours=20) else "%-d %b %H:%M"
    figure.update_xaxes(
        range=[_to_place(start), _to_place(end)],
        tickvals=[_to_place(tick) for tick in ticks],
        ticktext=[tick_label(tick, pattern) for tick in ticks],
    )


def _add_outstanding(figure: go.Figure, attempts: Iterable[WriteAttempt], color: str) -> None:
    times, counts = outstanding_over_time(attempts)
    figure.add_scatter(
        x=[_to_place(at) for at in times],
        y=counts,
        yaxis="y2",
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        fill="tozeroy",
        fillcolor="rgba(61,122,176,0.22)",
        name="running or queued",
        showlegend=False,
        customdata=[format_eastern(at, "%H:%M:%S") for at in times],
        hovertemplate="%{customdata}: %{y} running or queued<extra></extra>",
    )
    figure.update_layout(yaxis2_range=[0, max([MAX_OUTSTANDING_DML, *counts]) * 1.35])
    _add_limit_line(figure, MAX_OUTSTANDING_DML, LIMIT_TEXT, color)


def _add_limit_line(figure: go.Figure, limit: float, text: str, color: str) -> None:
    """A dotted line across the lower chart, labelled above its left end."""
    line = {"color": RED, "width": 1, "dash": "dot"}
    figure.add_shape(x0=0, x1=1, xref="paper", y0=limit, y1=limit, yref="y2", line=line)
    placement = {"xref": "paper", "yref": "y2", "showarrow": False, "xanchor": "left", "yanchor": "bottom"}
    figure.add_annotation(x=0, y=limit, text=text, font={"color": color, "size": 11.5}, **placement)


def _add_marker(figure: go.Figure, at: datetime, text: str) -> None:
    figure.add_shape(
        x0=_to_place(at),
        x1=_to_place(at),
        y0=0,
        y1=1,
        yref="paper",
        line={"color": AMBER, "width": 1.5},
    )
    figure.add_annotation(
        x=_to_place(at), y=1, yref="paper", yanchor="bottom", xanchor="left", text=text, showarrow=False
    )


def _to_place(at: datetime) -> datetime:
    """UTC without the zone: Plotly draws the digits it is given, and New York's repeat an hour each November."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _base_figure(height: int, color: str) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        showlegend=False,
        dragmode="zoom",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        uniformtext={"minsize": 10, "mode": "show"},
        font={"size": 13, "color": color},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(tickfont={"size": 12, "color": color}, showgrid=False, zeroline=False, automargin=True)
    figure.update_yaxes(
        tickfont={"size": 12.5, "color": color},
        fixedrange=True,
        gridcolor=NEUTRAL_FILL,
        zeroline=False,
        automargin=True,
    )
    return figure
