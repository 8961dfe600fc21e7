"""Pictures of the write limit: who was rejected when, how many statements stood at once, how wide the services are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import accumulate

import plotly.graph_objects as go

from app.charts import AMBER, BLUE, OF_HEALTH, RED, blank, limit
from services.concurrency import DML_RUNNING, DML_WAITING, Widths
from services.dml_errors import DmlReport, WriteAttempt
from services.foundation.clock import ET

ADMITTED = DML_RUNNING + DML_WAITING


def rejections_by_minute(report: DmlReport) -> go.Figure:
    """Writes by minute, accepted and rejected stacked, with the instant the alert rule would have fired."""
    figure = blank(240)
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
    if report.alert_at is not None:
        _mark(figure, report.alert_at, f"alert {report.alert_at.astimezone(ET):%H:%M:%S}")
    figure.update_layout(barmode="stack", showlegend=True, margin_t=46, legend_y=1.13)
    figure.update_xaxes(tickformat="%H:%M")
    if minutes:
        figure.update_xaxes(range=[min(minutes) - timedelta(minutes=3), max(minutes) + timedelta(minutes=3)])
    return figure


def outstanding(attempts: Iterable[WriteAttempt]) -> go.Figure:
    """Statements running or waiting at once, second by second, against the 2 + 20 that the table admits."""
    figure = blank(240)
    times, counts = at_once(attempts)
    figure.add_scatter(
        x=[_there(at) for at in times],
        y=counts,
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        fill="tozeroy",
        fillcolor="rgba(61,122,176,0.22)",
        hovertemplate="%{x|%H:%M:%S} ET: %{y}<extra></extra>",
    )
    limit(figure, ADMITTED, f"{DML_RUNNING} running + {DML_WAITING} waiting = {ADMITTED}", RED)
    figure.update_yaxes(range=[0, max([ADMITTED, *counts]) * 1.25])
    figure.update_xaxes(tickformat="%H:%M:%S", nticks=6)
    return figure


def at_once(attempts: Iterable[WriteAttempt]) -> tuple[list[datetime], list[int]]:
    """Every instant at which the number of admitted, unfinished statements changed, and the number after it."""
    admitted = [attempt for attempt in attempts if attempt.ok is not False]
    steps = [(attempt.at, 1) for attempt in admitted] + [(a.ended, -1) for a in admitted if a.ended is not None]
    steps.sort()
    return [at for at, _ in steps], list(accumulate(change for _, change in steps))


def widths(facts: Widths) -> go.Figure:
    """Each service's widest: instances × concurrent requests, against the statements the table admits."""
    figure = blank(52 * len(facts.services) + 56)
    products = [service.product for service in facts.services]
    figure.add_bar(
        y=[service.service for service in facts.services],
        x=products,
        orientation="h",
        marker_color=[OF_HEALTH[service.health] for service in facts.services],
        text=[
            f" {s.max_instances} × {s.request_concurrency} = {s.product}" if s.product else " no maximum is set"
            for s in facts.services
        ],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure.add_vline(x=ADMITTED, line_color=RED, line_width=1, line_dash="dot")
    figure.add_annotation(
        x=ADMITTED, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"the table admits {ADMITTED}"
    )
    figure.update_layout(margin_t=24, bargap=0.4)
    figure.update_xaxes(range=[0, max([ADMITTED, *(p for p in products if p)]) * 1.45], nticks=6)
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    return figure


def _mark(figure: go.Figure, at: datetime, words: str) -> None:
    figure.add_vline(x=_there(at), line_color=AMBER, line_width=1.5)
    figure.add_annotation(
        x=_there(at), y=1, yref="paper", yanchor="bottom", xanchor="left", text=words, showarrow=False
    )


def _there(at: datetime) -> datetime:
    """Wall time in New York, without the zone: Plotly draws the digits it is given."""
    return at.astimezone(ET).replace(tzinfo=None)
