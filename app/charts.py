"""Pictures: facts in, a Plotly figure out. Text takes the theme's colour; marks read in light and dark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import accumulate

import plotly.graph_objects as go
import streamlit as st

from services.concurrency import DML_RUNNING, DML_WAITING, Widths
from services.coverage import DayCoverage
from services.dml_errors import DmlReport, WriteAttempt
from services.foundation.clock import ET
from services.foundation.reading import Health
from services.missing_players import Missing
from services.night import STAGES, Stage

BLUE, RED, AMBER, GREEN, GREY, VIOLET = "#3a74a8", "#bd493b", "#ab7116", "#3d8259", "#7f878d", "#7a5ca3"
TRACK = "rgba(138,146,152,0.18)"
_INK = {"light": "#4f565b", "dark": "#b4bcc1"}
OF_HEALTH = {
    Health.OK: GREEN,
    Health.WARNING: AMBER,
    Health.CRITICAL: RED,
    Health.UNKNOWN: VIOLET,
    Health.NONE_EXPECTED: GREY,
}
ADMITTED = DML_RUNNING + DML_WAITING
_STILL = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "responsive": True}


def show(figure: go.Figure, key: str, alt: str) -> None:
    """Put a figure on the page, with the sentence that says what it shows."""
    st.plotly_chart(figure, key=key, alt=alt, config=_STILL)


def nights(figure: go.Figure, key: str, alt: str, on_pick: Callable[[date], None]) -> None:
    """A figure with one bar a night; choosing a bar tells `on_pick` its date."""

    def picked() -> None:
        points = st.session_state[key].selection.points
        if points:
            on_pick(date.fromisoformat(str(points[0]["x"])[:10]))

    st.plotly_chart(figure, key=key, alt=alt, config=_STILL, on_select=picked, selection_mode="points")


def funnel(players: Mapping[Stage, int | None], missing: Iterable[Missing]) -> go.Figure:
    """Players at each stage; beside a bar, how many were lost on the way to it, and how many stay out on purpose."""
    gone = tuple(missing)
    lost = Counter(each.lost_at for each in gone if not each.expected)
    on_purpose = Counter(each.lost_at for each in gone if each.expected)
    names = [str(stage) for stage in STAGES]
    figure = _blank(34 * len(STAGES) + 16)
    parts = (
        (BLUE, [players.get(stage) for stage in STAGES], "players"),
        (RED, [lost[stage] for stage in STAGES], "lost here"),
        (TRACK, [on_purpose[stage] for stage in STAGES], "out on purpose"),
    )
    for colour, counts, meaning in parts:
        hover = f"%{{y}}: %{{x:,}} {meaning}<extra></extra>"
        figure.add_bar(y=names, x=counts, orientation="h", marker_color=colour, hovertemplate=hover)
    widest = max(sum(part[1][i] or 0 for part in parts) for i in range(len(STAGES))) or 1
    for stage in STAGES:
        words = _beside(players.get(stage), lost[stage], on_purpose[stage])
        figure.add_annotation(
            x=widest * 1.03,
            y=str(stage),
            xanchor="left",
            showarrow=False,
            text=words,
            font={"size": 13, "color": ink()},
        )
    figure.update_layout(barmode="stack", bargap=0.32)
    figure.update_xaxes(visible=False, range=[0, widest * 1.7])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _beside(count: int | None, lost: int, on_purpose: int) -> str:
    words = f"<b>{count:,}</b>" if count is not None else "<b>unknown</b>"
    if lost:
        words += f"  <span style='color:{RED}'><b>−{lost:,} lost here</b></span>"
    if on_purpose:
        words += f"  <span style='color:{GREY}'>−{on_purpose:,} on purpose</span>"
    return words


def share(day: DayCoverage, denominator: str) -> float | None:
    """A night's percentage of one denominator; None while the night is not judged (not run yet, not readable)."""
    return None if day.health is Health.UNKNOWN else day.pct_of(getattr(day, denominator))


def coverage_by_date(
    days: Sequence[DayCoverage], denominator: str, warning_pct: float, critical_pct: float
) -> go.Figure:
    """Active players as a share of one denominator, a bar a night, with both thresholds."""
    figure = _blank(250)
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
            why = "no games" if day.health is Health.NONE_EXPECTED else "not known"
            figure.add_annotation(x=day.game_date, y=0, text=why, textangle=-90, yanchor="bottom", showarrow=False)
    if denominator == "eligible":
        _limit(figure, warning_pct, f"warning {warning_pct:g} %", AMBER)
        _limit(figure, critical_pct, f"critical {critical_pct:g} %", RED, below=True)
    figure.update_layout(bargap=0.35)
    figure.update_yaxes(range=[0, 112], tickvals=[0, 25, 50, 75, 100], ticksuffix=" %")
    figure.update_xaxes(tickformat="%-d %b", dtick=86_400_000 * max(1, len(days) // 9), tickangle=0)
    return figure


def rejections_by_minute(report: DmlReport) -> go.Figure:
    """Writes by minute, accepted and rejected stacked, with the instant the alert rule would have fired."""
    figure = _blank(240)
    minutes = [_there(minute) for minute, _, _ in report.by_minute]
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
    figure.update_layout(barmode="stack", showlegend=True)
    figure.update_xaxes(tickformat="%H:%M")
    if minutes:
        figure.update_xaxes(range=[min(minutes) - timedelta(minutes=3), max(minutes) + timedelta(minutes=3)])
    return figure


def outstanding(attempts: Iterable[WriteAttempt]) -> go.Figure:
    """Statements running or waiting at once, second by second, against the 2 + 20 that the table admits."""
    figure = _blank(240)
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
    _limit(figure, ADMITTED, f"{DML_RUNNING} running + {DML_WAITING} waiting = {ADMITTED}", RED)
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
    figure = _blank(52 * len(facts.services) + 56)
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


def ink() -> str:
    """The colour of words in a picture; Plotly draws them itself and cannot follow the page's theme."""
    return _INK.get(st.context.theme.type or "", GREY)


def _blank(height: int) -> go.Figure:
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


def _limit(figure: go.Figure, at: float, words: str, colour: str, below: bool = False) -> None:
    figure.add_hline(y=at, line_color=colour, line_width=1, line_dash="dot")
    figure.add_annotation(
        x=0,
        xref="paper",
        y=at,
        text=words,
        showarrow=False,
        xanchor="left",
        yanchor="top" if below else "bottom",
        font_color=colour,
        font_size=11,
    )


def _mark(figure: go.Figure, at: datetime, words: str) -> None:
    figure.add_vline(x=_there(at), line_color=AMBER, line_width=1.5)
    figure.add_annotation(
        x=_there(at), y=1, yref="paper", yanchor="bottom", xanchor="left", text=words, showarrow=False, font_color=AMBER
    )


def _there(at: datetime) -> datetime:
    """Wall time in New York, without the zone: Plotly draws the digits it is given."""
    return at.astimezone(ET).replace(tzinfo=None)
