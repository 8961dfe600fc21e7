"""The timeline of a night: batches, rejected writes, scale changes, alerts and actions, a lane for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from html import escape

import streamlit as st

from app.charts import palette, time_axis
from app.charts.time_axis import AxisSegment, broken_axis, gaps, position
from app.components import text_format, widgets
from app.state import reads, session
from services.batches.reader import Batches
from services.core.clock import night_window
from services.core.result import SEVERITY_ORDER, Health, Result, worst
from services.reports.events import (
    ACTIONS,
    ALERTS,
    BATCHES,
    LANES,
    REJECTED,
    SCALED,
    Event,
    NightEvents,
    night_events,
)
from services.telemetry.dml_jobs import DmlReport

PAGE_OF_LANE = {
    BATCHES: "runs",
    REJECTED: "dml_errors",
    SCALED: "worker_capacity",
    ALERTS: "alerts",
    ACTIONS: "action_log",
}
_SHAPE_BY_HEALTH = {
    Health.OK: "circle",
    Health.WARNING: "triangle",
    Health.CRITICAL: "cross",
    Health.UNKNOWN: "diamond",
    Health.NONE_EXPECTED: "ring",
}
_MIN_DISTANCE = 0.015  # points closer than this share of the axis are one mark with all their messages
_MIN_COLUMN_DISTANCE = 0.008  # the same for the beginnings of columns
_LABEL_WIDTH = 0.3  # the share of the axis that a label needs


def render(game_date: date, batches: Result[Batches], writes: Result[DmlReport]) -> None:
    """The timeline under its heading: a lane's name links to its evidence, a mark shows its message."""
    clients, now = session.cached_clients(), session.now()
    alerts, deploys = reads.alerts.fetch_async(clients), reads.deploys.fetch_async(clients)
    log = reads.action_log.fetch_async(clients, *night_window(game_date))
    timeline = night_events(game_date, now, batches, writes, deploys(), alerts(), log())
    st.subheader("Timeline", anchor=False)
    if not timeline.events and not timeline.unknown_lanes:
        st.caption("No activity on this game date.")
        return
    lanes = "".join(f'<a href="{escape(widgets.page_href(PAGE_OF_LANE[lane]))}">{lane}</a>' for lane in LANES)
    gap_note = " Idle periods collapsed." if len(_segments(timeline)) > 1 else ""
    note = f"Times in ET.{gap_note} Hover or focus a marker for details; select a lane name to open its page."
    st.html(
        f'<div class="timeline"><div class="lanes">{lanes}</div>{to_html(timeline)}</div><div class="note">{note}</div>'
    )


def alt_text(timeline: NightEvents) -> str:
    """The number of marks on each lane; each mark has its own text."""
    sentences = [f"The night of {session.format_day(timeline.game_date)} in ET."]
    for lane in LANES:
        marks = len(timeline.in_lane(lane))
        if lane in timeline.unknown_lanes:
            sentences.append(f"{lane.capitalize()} are unknown: {timeline.unknown_lanes[lane].rstrip('.')}.")
        if marks or lane not in timeline.unknown_lanes:
            sentences.append(f"{lane.capitalize()}: {text_format.pluralize(marks, 'mark') if marks else 'none'}.")
    return " ".join(sentences)


def to_html(timeline: NightEvents) -> str:
    """One lane for each kind; the axis leaves out the hours in which nothing happened."""
    segments = _segments(timeline)
    lanes = []
    for lane in LANES:
        marks = timeline.in_lane(lane)
        draw = {REJECTED: _draw_columns, BATCHES: _draw_bars}.get(lane, _draw_points)
        parts = draw(marks, segments) if marks else []
        if lane in timeline.unknown_lanes or not marks:
            parts.append(_label_html(0.0, "unknown" if lane in timeline.unknown_lanes else "none", "after", 1.0))
        lanes.append(f'<div class="lane">{"".join(parts)}</div>')
    lanes.insert(0, f'<div class="above">{_gap_bands(segments)}</div>')
    return f'<div class="night" role="group" aria-label="{escape(alt_text(timeline))}">{"".join(lanes)}{_axis_html(segments)}</div>'


def _segments(timeline: NightEvents) -> tuple[AxisSegment, ...]:
    return broken_axis([mark.at for mark in timeline.events] + [mark.ended for mark in timeline.events if mark.ended])


def _axis_html(segments: tuple[AxisSegment, ...]) -> str:
    ticks = [(segment.left, segment.start) for segment in segments]
    ticks += [(segment.right, segment.end) for segment in segments[-1:] if segment.right - segment.left > 0.2]
    labels = (f'<span style="left:{_pct(x)}">{time_axis.tick_label(at)}</span>' for x, at in ticks)
    return f'<div class="below">{"".join(labels)}</div>'


def _gap_bands(segments: tuple[AxisSegment, ...]) -> str:
    """The hours left out as bands through all lanes, each with its length above it."""
    return "".join(
        f'<i class="fold" style="left:{_pct(middle)};background:{palette.NEUTRAL_FILL}"></i>'
        f'<span style="left:{_pct(middle)}">{_format_duration(length)}</span>'
        for middle, length in gaps(segments)
    )


def _format_duration(length: timedelta) -> str:
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"


def _draw_bars(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    parts, free_from = [], 0.0
    positions = [position(segments, mark.at) for mark in marks]
    for mark, left in zip(marks, positions, strict=True):
        right = position(segments, mark.ended or mark.at)
        inner_html = escape(mark.label) if right - left > _LABEL_WIDTH else ""
        parts.append(_mark_html([mark], mark.health, "bar", left, f"width:max(3px,{_pct(right - left)})", inner_html))
        label, free_from = _place_label("" if inner_html else mark.label, left, right, free_from, positions)
        parts.append(label)
    return parts


def _draw_columns(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    """Rejected writes by minute, the worst minute as high as its lane."""
    max_count, parts = max(mark.count for mark in marks), []
    for group in _merge_close_marks(marks, segments, _MIN_COLUMN_DISTANCE):
        left, right = position(segments, group[0].at), position(segments, group[-1].ended or group[-1].at)
        worst_minute = max(mark.count for mark in group)
        size_css = f"width:max(4px,{_pct(0.92 * (right - left))});height:{15 + 65 * worst_minute / max_count:.0f}%"
        parts.append(_mark_html([_sum_marks(group)], group[0].health, "column", left, size_css))
    left, right = position(segments, marks[0].at), position(segments, marks[-1].ended or marks[-1].at)
    total = sum(mark.count for mark in marks)
    return [*parts, _place_label(f"{total:,}, at most {max_count:,} a minute", left, right, 0.0, [left])[0]]


def _sum_marks(marks: Sequence[Event]) -> Event:
    """Several minutes as one mark with their sum."""
    if len(marks) == 1:
        return marks[0]
    total, max_count = sum(mark.count for mark in marks), max(mark.count for mark in marks)
    until_text = text_format.format_exact_time(marks[-1].ended or marks[-1].at)
    return replace(marks[0], message=f"to {until_text}: {total:,} writes rejected, at most {max_count:,} in a minute")


def _draw_points(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    groups = _merge_close_marks(marks, segments, _MIN_DISTANCE)
    positions = [position(segments, group[0].at) for group in groups]
    parts, free_from = [], 0.0
    for group, x in zip(groups, positions, strict=True):
        health = worst(mark.health for mark in group)
        parts.append(_mark_html(group, health, "point", x))
        first = min(group, key=lambda mark: SEVERITY_ORDER.index(mark.health))
        label_html, free_from = _place_label(
            first.label if len(group) == 1 else f"{first.label} +{len(group) - 1}", x, x, free_from, positions
        )
        parts.append(label_html)
    return parts


def _merge_close_marks(
    marks: Sequence[Event], segments: tuple[AxisSegment, ...], min_distance: float
) -> list[tuple[Event, ...]]:
    """Marks that would overlap, as one group; oldest first."""
    groups: list[list[Event]] = []
    for mark in marks:
        if groups and position(segments, mark.at) - position(segments, groups[-1][0].at) < min_distance:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [tuple(group) for group in groups]


def _mark_html(
    marks: Sequence[Event], health: Health, kind: str, x: float, size_css: str = "", inner_html: str = ""
) -> str:
    """A mark for pointer, touch and keyboard, with ET, UTC and its message. Logged text is escaped."""
    entries = [(text_format.format_exact_time(mark.at), mark.message) for mark in marks]
    tooltip = "".join(f"<span><b>{at}</b> {escape(sentence)}</span>" for at, sentence in entries)
    label = escape(f"{health}: " + "; ".join(f"{at} {sentence}" for at, sentence in entries))
    style = f"left:{_pct(x)};{size_css};--mark:{palette.COLOR_BY_HEALTH[health]}"
    side = "to-left" if x > 0.5 else "to-right"
    return (
        f'<span class="mark {kind} {_SHAPE_BY_HEALTH[health]}" style="{style}" tabindex="0" role="img" aria-label="{label}">'
        f'<i>{inner_html}</i><span class="tip {side}">{tooltip}</span></span>'
    )


def _place_label(
    label: str, left: float, right: float, free_from: float, positions: Sequence[float]
) -> tuple[str, float]:
    """The label on the side with room for it, and where room begins for the next mark; without room the tooltip shows it.

    `free_from` is where room begins for this one: behind the previous mark and its label.
    """
    next_left = min((x for x in positions if x > left), default=1.0)
    if not label:
        return "", right
    if next_left - right > _LABEL_WIDTH:
        return _label_html(right, escape(label), "after", next_left - right), next_left
    if left - free_from > _LABEL_WIDTH:
        return _label_html(left, escape(label), "before", left - free_from), right
    return "", right


def _label_html(x: float, text_html: str, side: str, max_width: float) -> str:
    """A label that begins (or ends) at `x`, a fraction of the axis, and is cut at `max_width`."""
    placement = f"left:{_pct(x)}" if side == "after" else f"right:{_pct(1 - x)}"
    return f'<span class="said {side}" style="{placement};max-width:{_pct(max_width)}">{text_html}</span>'


def _pct(fraction: float) -> str:
    return f"{100 * fraction:.2f}%"
