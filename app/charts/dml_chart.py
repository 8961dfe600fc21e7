"""When writes were rejected and how many statements were concurrent: two plots on one broken time axis, drawn without a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import accumulate, pairwise

from app.charts.time_axis import AxisSegment, broken_axis, gaps, position, round_ticks, tick_label
from app.components import text_format
from services.core.clock import format_eastern
from services.policy.dml_limits import MAX_OUTSTANDING_DML, MAX_QUEUED_DML, MAX_RUNNING_DML
from services.reports.event import Event
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.job_history import WriteAttempt

_MINUTE = timedelta(minutes=1)
_HEADROOM = 1.15  # of a plot above its highest value
_TICK_DISTANCE = 0.07  # the share of the axis that a time's label needs
LIMIT_TEXT = f"limit {MAX_OUTSTANDING_DML} = {MAX_RUNNING_DML} running + {MAX_QUEUED_DML} queued"


def to_html(report: DmlReport, changes: Sequence[Event], alt: str) -> str:
    """The writes of a report with at least one attempt; `changes` are the deploys and actions that are marked on it."""
    ended = [attempt.ended for attempt in report.attempts if attempt.ended is not None]
    minutes = [minute for minute, _, _ in report.by_minute]
    segments = broken_axis([*minutes, *(minute + _MINUTE for minute in minutes), *ended])
    shown = [change for change in changes if segments[0].start <= change.at <= segments[-1].end]
    marks = "".join(_mark_html(segments, change) for change in shown)
    if report.alert_at is not None:
        marks += _line_html(
            segments, report.alert_at, "alert", f"alert threshold {format_eastern(report.alert_at, '%H:%M:%S')}"
        )
    return (
        f'<div class="dml" role="img" aria-label="{escape(alt)}">'
        '<div class="key"><span class="accepted">accepted</span><span class="rejected">rejected</span></div>'
        f"{_plot('Writes per minute', _minutes_html(report, segments), _max_per_minute(report))}"
        f"{_plot('Running or queued', _outstanding_html(report.attempts, segments), _max_outstanding(report.attempts))}"
        f'<div class="over">{_gaps_html(segments)}{marks}</div>{_ticks_html(segments)}</div>'
    )


def _plot(name: str, content: str, highest: int) -> str:
    axis = f'<span class="name">{name}</span><span class="top">{highest:,}</span><span class="zero">0</span>'
    return f'<div class="plot">{axis}{content}</div>'


def _max_per_minute(report: DmlReport) -> int:
    return max((attempted for _, attempted, _ in report.by_minute), default=0)


def _minutes_html(report: DmlReport, segments: tuple[AxisSegment, ...]) -> str:
    """A column a minute, the rejected writes on top of the accepted ones."""
    scale, columns = max(1, _max_per_minute(report)) * _HEADROOM, []
    for minute, attempted, rejected in report.by_minute:
        left, right = position(segments, minute), position(segments, minute + _MINUTE)
        parts = "".join(
            f'<i class="{kind}" style="height:{100 * count / scale:.1f}%">{count:,}</i>'
            for kind, count in (("rejected", rejected), ("accepted", attempted - rejected))
            if count
        )
        title = f"{format_eastern(minute)}: {attempted - rejected:,} accepted, {rejected:,} rejected"
        columns.append(
            f'<span class="minute" title="{title}" style="left:{100 * left:.2f}%;width:max(3px,{92 * (right - left):.2f}%)">{parts}</span>'
        )
    return "".join(columns)


def outstanding_over_time(attempts: Iterable[WriteAttempt]) -> tuple[list[datetime], list[int]]:
    """Every instant at which the number of accepted, unfinished statements changed, and the number after it."""
    accepted = [attempt for attempt in attempts if attempt.ok is not False]
    changes = [(attempt.at, 1) for attempt in accepted] + [(a.ended, -1) for a in accepted if a.ended is not None]
    changes.sort()
    return [at for at, _ in changes], list(accumulate(change for _, change in changes))


def _max_outstanding(attempts: Iterable[WriteAttempt]) -> int:
    return max([MAX_OUTSTANDING_DML, *outstanding_over_time(attempts)[1]])


def _outstanding_html(attempts: Sequence[WriteAttempt], segments: tuple[AxisSegment, ...]) -> str:
    """The number of concurrent statements as an area of steps, under the line of the limit."""
    times, counts = outstanding_over_time(attempts)
    scale = _max_outstanding(attempts) * _HEADROOM
    corners = [(position(segments, at), count / scale) for at, count in zip(times, counts, strict=True)]
    steps = [(x, y) for (left, y), (right, _) in pairwise([*corners, (1.0, 0.0)]) for x in (left, right)]
    outline = [(steps[0][0], 0.0), *steps, (1.0, 0.0)] if steps else [(0.0, 0.0)]
    path = ",".join(f"{100 * x:.2f}% {100 * (1 - y):.1f}%" for x, y in outline)
    return (
        f'<i class="area" style="clip-path:polygon({path})"></i>'
        f'<i class="limit" style="bottom:{100 * MAX_OUTSTANDING_DML / scale:.1f}%"><span>{LIMIT_TEXT}</span></i>'
    )


def _gaps_html(segments: tuple[AxisSegment, ...]) -> str:
    """The hours that the axis leaves out, as bands through both plots."""
    return "".join(f'<i class="gap" style="left:{100 * middle:.2f}%"></i>' for middle, _ in gaps(segments))


def _mark_html(segments: tuple[AxisSegment, ...], change: Event) -> str:
    text = f"{text_format.format_exact_time(change.at)} {change.message}"
    return _line_html(segments, change.at, "change", change.label, text)


def _line_html(segments: tuple[AxisSegment, ...], at: datetime, kind: str, label: str, title: str = "") -> str:
    x = position(segments, at)
    side = "before" if x > 0.7 else "after"
    return f'<i class="{kind} {side}" style="left:{100 * x:.2f}%" title="{escape(title or label)}"><span>{escape(label)}</span></i>'


def _ticks_html(segments: tuple[AxisSegment, ...]) -> str:
    """Round times in ET where there is room, the first minute of a stretch that has none."""
    labels, free_from = [], 0.0
    for segment in segments:
        ticks = [tick for tick in round_ticks(segment.start, segment.end) if segment.start <= tick <= segment.end]
        for tick in ticks or [segment.start]:
            x = position(segments, tick)
            if x >= free_from:
                labels.append(f'<span style="left:{100 * x:.2f}%">{tick_label(tick)}</span>')
                free_from = x + _TICK_DISTANCE
    return f'<div class="ticks">{"".join(labels)}</div>'
