"""Charts of the write limit: who was rejected when, how many statements stood at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import accumulate

import plotly.graph_objects as go

from app.charts import blank, limit
from app.palette import AMBER, BLUE, RED
from services.concurrency import ADMITTED, DML_RUNNING, DML_WAITING
from services.dml_errors import DmlReport, WriteAttempt
from services.foundation.clock import ET


def of_night(report: DmlReport) -> go.Figure:
    """Writes by minute, and below them on the same line of time how many statements stood at once against what is admitted."""
    figure = blank(400)
    figure.update_layout(
        xaxis={"tickformat": "%H:%M", "anchor": "y2"},
        yaxis={"domain": [0.56, 1]},
        yaxis2={**figure.layout.yaxis.to_plotly_json(), "domain": [0, 0.38]},
        barmode="stack",
        showlegend=True,
        margin_t=46,
        legend_y=1.08,
    )
    _by_minute(figure, report)
    _outstanding(figure, report.attempts)
    if report.alert_at is not None:
        _mark(figure, report.alert_at, f"alert {report.alert_at.astimezone(ET):%H:%M:%S}")
    return figure


def _by_minute(figure: go.Figure, report: DmlReport) -> None:
    minutes = [_there(minute) + timedelta(seconds=30) for minute, _, _ in report.by_minute]
    kinds = (
        ("accepted", [attempted - rejected for _, attempted, rejected in report.by_minute], BLUE),
        ("rejected", [rejected for _, _, rejected in report.by_minute], RED),
    )
    for name, counts, colour in kinds:
        figure.add_bar(
            x=minutes,
            y=counts,
            name=name,
            marker_color=colour,
            width=40_000,
            text=[n or "" for n in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate="%{x|%H:%M} ET: %{y} " + name + "<extra></extra>",
        )
    if minutes:
        ended = [_there(each.ended) for each in report.attempts if each.ok is not False and each.ended is not None]
        figure.update_xaxes(range=[min(minutes) - timedelta(minutes=3), max([*minutes, *ended]) + timedelta(minutes=3)])


def _outstanding(figure: go.Figure, attempts: Iterable[WriteAttempt]) -> None:
    times, counts = at_once(attempts)
    figure.add_scatter(
        x=[_there(at) for at in times],
        y=counts,
        yaxis="y2",
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        fill="tozeroy",
        fillcolor="rgba(61,122,176,0.22)",
        name="running or waiting",
        showlegend=False,
        hovertemplate="%{x|%H:%M:%S} ET: %{y} running or waiting<extra></extra>",
    )
    figure.update_layout(yaxis2_range=[0, max([ADMITTED, *counts]) * 1.35])
    words = f"running or waiting at once; {DML_RUNNING} running + {DML_WAITING} waiting = {ADMITTED} are admitted"
    limit(figure, ADMITTED, words, RED, axis="y2")


def at_once(attempts: Iterable[WriteAttempt]) -> tuple[list[datetime], list[int]]:
    """Every instant at which the number of admitted, unfinished statements changed, and the number after it."""
    admitted = [attempt for attempt in attempts if attempt.ok is not False]
    steps = [(attempt.at, 1) for attempt in admitted] + [(a.ended, -1) for a in admitted if a.ended is not None]
    steps.sort()
    return [at for at, _ in steps], list(accumulate(change for _, change in steps))


def _mark(figure: go.Figure, at: datetime, words: str) -> None:
    figure.add_shape(x0=_there(at), x1=_there(at), y0=0, y1=1, yref="paper", line={"color": AMBER, "width": 1.5})
    figure.add_annotation(
        x=_there(at), y=1, yref="paper", yanchor="bottom", xanchor="left", text=words, showarrow=False
    )


def _there(at: datetime) -> datetime:
    """Wall time in New York, without the zone: Plotly draws the digits it is given."""
    return at.astimezone(ET).replace(tzinfo=None)
