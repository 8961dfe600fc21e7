"""The timeline of a date: batches, rejected writes, config changes, alerts and actions, a lane for each; on a small screen a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from html import escape

import streamlit as st

from app.charts import palette, time_axis
from app.charts.html_parts import health_icon, percent
from app.charts.time_axis import AxisSegment, broken_axis, gaps, position, whole_axis
from app.components import text_format, widgets
from app.state import reads, session
from services.batches.reader import Batches, run_window
from services.core.clock import format_day, night_window
from services.core.result import SEVERITY_ORDER, Health, Result, worst
from services.core.text import format_duration
from services.reports.event import ACTIONS, ALERTS, BATCHES, LANES, REJECTED, SCALED, Event
from services.reports.events import NightEvents, night_events
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
_BAR_COLORS = {Health.CRITICAL: palette.RED, Health.WARNING: palette.AMBER}  # a batch that is neither is a plain bar
_MIN_DISTANCE = 0.015  # points closer than this share of the axis are one mark with all their messages
_MIN_COLUMN_DISTANCE = 0.008  # the same for the beginnings of columns
_AXIS_PX = 720  # the narrowest axis: below 1180 px the events are a list
_CHARACTER_PX, _LABEL_PADDING_PX = 6.3, 14
_MIN_TICK_DISTANCE = 0.075
_EVENTS, _WHOLE = "Events", "Whole shift"


def render(game_date: date, batches: Result[Batches], writes: Result[DmlReport]) -> None:
    """The timeline under its heading: a lane's name links to its evidence, a mark shows its message."""
    clients, now = session.cached_clients(), session.now()
    alerts, deploys = reads.alerts.fetch_async(clients), reads.deploys.fetch_async(clients)
    log = reads.action_log.fetch_async(clients, *night_window(game_date))
    timeline = night_events(game_date, now, batches, writes, deploys(), alerts(), log())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="timeline heading"):
        st.subheader("Timeline :gray[:small[ET]]", anchor=False, width="stretch")
        segments = _choose_segments(timeline, run_window(game_date, batches.value)) if timeline.events else ()
    if not timeline.events and not timeline.unknown_lanes:
        st.caption("No activity on this game date.")
        return
    lanes = "".join(_lane_link(lane, timeline) for lane in LANES)
    st.html(
        f'<div class="timeline"><div class="lanes">{lanes}</div>{to_html(timeline, segments)}</div>{list_html(timeline)}'
    )


def _choose_segments(timeline: NightEvents, window: tuple[datetime, datetime]) -> tuple[AxisSegment, ...]:
    """What the axis shows: every busy stretch side by side, one of them alone, or the whole time to scale."""
    busy = _segments(timeline)
    stretches = {f"{time_axis.tick_label(s.start)}–{time_axis.tick_label(s.end)}": s for s in busy}
    options = [_EVENTS, *(stretches if len(busy) > 1 else ()), _WHOLE]
    chosen = st.segmented_control(
        "Timeline zoom", options, default=_EVENTS, required=True, key="timeline zoom", label_visibility="collapsed"
    )
    if chosen in stretches:
        return whole_axis(stretches[chosen].start, stretches[chosen].end)
    if chosen == _WHOLE:
        instants = [*window, *(event.at for event in timeline.events)]
        return whole_axis(min(instants), max(instants))
    return busy


def _lane_link(lane: str, timeline: NightEvents) -> str:
    """The name of a lane; columns have no room for a label of their own, so their sum is here."""
    total = sum(mark.count for mark in timeline.in_lane(lane)) if lane == REJECTED else 0
    count = f"<small>{total:,}</small>" if total else ""
    return f'<a href="{escape(widgets.page_href(PAGE_OF_LANE[lane]))}">{lane}{count}</a>'


def alt_text(timeline: NightEvents) -> str:
    """The number of marks on each lane; each mark has its own text."""
    sentences = [f"Timeline of {format_day(timeline.game_date)} in ET."]
    for lane in LANES:
        marks = len(timeline.in_lane(lane))
        if lane in timeline.unknown_lanes:
            sentences.append(f"{lane} are unknown: {timeline.unknown_lanes[lane].rstrip('.')}.")
        if marks or lane not in timeline.unknown_lanes:
            sentences.append(f"{lane}: {text_format.pluralize(marks, 'mark') if marks else 'none'}.")
    return " ".join(sentences)


def to_html(timeline: NightEvents, segments: tuple[AxisSegment, ...] = ()) -> str:
    """One lane for each kind; without `segments` the axis leaves out the hours in which nothing happened."""
    segments = segments or _segments(timeline)
    lanes = []
    for lane in LANES:
        marks = [mark for mark in timeline.in_lane(lane) if _is_shown(mark, segments)]
        draw = {REJECTED: _draw_columns, BATCHES: _draw_bars}.get(lane, _draw_points)
        parts = draw(marks, segments) if marks else []
        if lane in timeline.unknown_lanes or not marks:
            parts.append(_label_html(0.0, "unknown" if lane in timeline.unknown_lanes else "None", "after"))
        lanes.append(f'<div class="lane">{"".join(parts)}</div>')
    lanes.insert(0, f'<div class="above">{_gap_bands(segments)}</div>')
    return f'<div class="night" role="group" aria-label="{escape(alt_text(timeline))}">{"".join(lanes)}{_axis_html(segments)}</div>'


def list_html(timeline: NightEvents) -> str:
    """The same events as a list, oldest first, for a screen on which the lanes have no room."""
    entries = [mark for mark in timeline.events if mark.lane != REJECTED]
    if rejections := timeline.in_lane(REJECTED):
        entries.append(replace(_sum_marks(rejections), at=rejections[0].at))
    rows = "".join(
        f"<li><time>{escape(time_axis.tick_label(mark.at))}</time>{health_icon(mark.health)}<span>{escape(mark.message)}</span></li>"
        for mark in sorted(entries, key=lambda mark: mark.at)
    )
    unknown = "".join(
        f"<li><time></time>{health_icon(Health.UNKNOWN)}<span>{escape(f'{lane} are unknown: {reason}')}</span></li>"
        for lane, reason in timeline.unknown_lanes.items()
    )
    return f'<ul class="timeline-list" aria-label="Timeline">{rows}{unknown}</ul>'


def _is_shown(mark: Event, segments: tuple[AxisSegment, ...]) -> bool:
    return mark.at <= segments[-1].end and (mark.ended or mark.at) >= segments[0].start


def _segments(timeline: NightEvents) -> tuple[AxisSegment, ...]:
    return broken_axis([mark.at for mark in timeline.events] + [mark.ended for mark in timeline.events if mark.ended])


def _axis_html(segments: tuple[AxisSegment, ...]) -> str:
    """A tick at each beginning of a stretch, and at round times within it as far as their labels have room."""
    ticks = [(segment.left, time_axis.tick_label(segment.start)) for segment in segments]
    for segment in segments:
        for at in time_axis.round_ticks(segment.start, segment.end):
            x = position(segments, at)
            if all(abs(x - taken) >= _MIN_TICK_DISTANCE for taken, _ in ticks):
                ticks.append((x, time_axis.tick_label(at)))
    labels = "".join(f'<span style="left:{percent(x)}">{label}</span>' for x, label in ticks)
    lines = "".join(f'<i class="tick" style="left:{percent(x)}"></i>' for x, _ in ticks)
    return f'<div class="below">{labels}</div>{lines}'


def _gap_bands(segments: tuple[AxisSegment, ...]) -> str:
    """The hours left out as bands through all lanes, each with its length above it."""
    return "".join(
        f'<i class="fold" style="left:{percent(middle)}"></i><span style="left:{percent(middle)}">{format_duration(length)}</span>'
        for middle, length in gaps(segments)
    )


def _draw_bars(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    parts, free_from = [], 0.0
    positions = [position(segments, mark.at) for mark in marks]
    for mark, left in zip(marks, positions, strict=True):
        right = position(segments, mark.ended or mark.at)
        inner_html = escape(next((text for text in _shorter(mark.label) if right - left >= _label_width(text)), ""))
        size_css = f"width:max(3px,{percent(right - left)});--bar:{_BAR_COLORS.get(mark.health, palette.BLUE)}"
        parts.append(_mark_html([mark], mark.health, "bar", left, size_css, inner_html))
        label, free_from = _place_label("" if inner_html else mark.label, left, right, free_from, positions, segments)
        parts.append(label)
    return parts


def _draw_columns(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    """Rejected writes by minute, the worst minute as high as its lane."""
    max_count, parts = max(mark.count for mark in marks), []
    for group in _merge_close_marks(marks, segments, _MIN_COLUMN_DISTANCE):
        left, right = position(segments, group[0].at), position(segments, group[-1].ended or group[-1].at)
        worst_minute = max(mark.count for mark in group)
        size_css = f"width:max(4px,{percent(0.92 * (right - left))});height:{15 + 65 * worst_minute / max_count:.0f}%"
        parts.append(_mark_html([_sum_marks(group)], group[0].health, "column", left, size_css))
    left, right = position(segments, marks[0].at), position(segments, marks[-1].ended or marks[-1].at)
    return [*parts, _place_label(f"peak {max_count:,}/min", left, right, 0.0, [left], segments)[0]]


def _sum_marks(marks: Sequence[Event]) -> Event:
    """Several minutes as one mark with their sum."""
    if len(marks) == 1:
        return marks[0]
    total, max_count = sum(mark.count for mark in marks), max(mark.count for mark in marks)
    until_text = text_format.format_exact_time(marks[-1].ended or marks[-1].at)
    return replace(marks[0], message=f"until {until_text}: {total:,} writes rejected, peak {max_count:,}/min")


def _draw_points(marks: Sequence[Event], segments: tuple[AxisSegment, ...]) -> list[str]:
    groups = _merge_close_marks(marks, segments, _MIN_DISTANCE)
    positions = [position(segments, group[0].at) for group in groups]
    parts, free_from = [], 0.0
    for group, x in zip(groups, positions, strict=True):
        health = worst(mark.health for mark in group)
        parts.append(_mark_html(group, health, "point", x))
        first = min(group, key=lambda mark: SEVERITY_ORDER.index(mark.health))
        label_html, free_from = _place_label(
            first.label if len(group) == 1 else f"{first.label} +{len(group) - 1}", x, x, free_from, positions, segments
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
    style = f"left:{percent(x)};{size_css};--mark:{palette.COLOR_BY_HEALTH[health]}"
    side = "to-left" if x > 0.5 else "to-right"
    return (
        f'<span class="mark {kind} {_SHAPE_BY_HEALTH[health]}" style="{style}" tabindex="0" role="img" aria-label="{label}">'
        f'<i>{inner_html}</i><span class="tip {side}">{tooltip}</span></span>'
    )


def _place_label(
    label: str,
    left: float,
    right: float,
    free_from: float,
    positions: Sequence[float],
    segments: tuple[AxisSegment, ...],
) -> tuple[str, float]:
    """The label on the side with room for it, and where room begins for the next mark; without room the tooltip shows it.

    It stays within its stretch of the axis. `free_from` is where room begins for this one: behind the previous mark and its label.
    """
    start = max((s.left for s in segments if s.left <= left + 1e-9), default=0.0)
    end = min((s.right for s in segments if s.right >= right - 1e-9), default=1.0)
    next_left = min((x for x in positions if x > left), default=1.0)
    for text in _shorter(label):
        width = _label_width(text)
        if min(next_left, end) - right >= width:
            return _label_html(right, escape(text), "after"), right + width
        if left - max(free_from, start) >= width:
            return _label_html(left, escape(text), "before"), right
    return "", right


def _shorter(label: str) -> list[str]:
    """The label, then without its last parts; they are separated by " · "."""
    parts = label.split(" · ") if label else []
    return [" · ".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _label_width(label: str) -> float:
    """The share of the narrowest axis that a label takes."""
    return (len(label) * _CHARACTER_PX + _LABEL_PADDING_PX) / _AXIS_PX


def _label_html(x: float, text_html: str, side: str) -> str:
    """A label that begins (or ends) at `x`, a fraction of the axis."""
    placement = f"left:{percent(x)}" if side == "after" else f"right:{percent(1 - x)}"
    return f'<span class="said {side}" style="{placement}">{text_html}</span>'
