"""How many log lines there were over time, by severity: columns on one axis, drawn without a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from html import escape

from app.charts.time_axis import TICK_STEPS_MIN, position, round_ticks, tick_label, whole_axis
from services.core.clock import format_eastern
from services.core.text import pluralize
from services.telemetry.log_reader import ERROR_SEVERITIES, LogLine

MAX_COLUMNS = 60
KINDS = {**dict.fromkeys(ERROR_SEVERITIES, "error"), "WARNING": "warning"}
_ORDER = ("error", "warning", "other")
_LAST_TICK = 0.96  # a label further right would leave the page


def to_html(lines: Sequence[LogLine], start: datetime, end: datetime, partly: bool) -> str:
    """The lines between two instants; `partly`: only the newest were read, and the time before them is marked as not read."""
    step = _step(start, end)
    columns: dict[int, Counter[str]] = {}
    for line in lines:
        columns.setdefault(int((line.at - start) / step), Counter())[KINDS.get(line.severity, "other")] += 1
    highest = max((column.total() for column in columns.values()), default=0)
    axis = whole_axis(start, end)
    bars = "".join(
        _column_html(
            start + n * step,
            step,
            columns[n],
            highest,
            100 * position(axis, start + n * step),
            100 * step / (end - start),
        )
        for n in sorted(columns)
    )
    unread = (
        f'<i class="unread" style="width:{100 * position(axis, lines[0].at):.2f}%"><span>not read</span></i>'
        if partly
        else ""
    )
    ticks = "".join(
        f'<span style="left:{100 * position(axis, tick):.2f}%">{tick_label(tick, _pattern(start, end))}</span>'
        for tick in round_ticks(start, end)
        if position(axis, tick) <= _LAST_TICK
    )
    totals = sum(columns.values(), Counter())
    key = "".join(f'<span class="{kind}">{_count(totals, kind)}</span>' for kind in _ORDER if totals[kind])
    alt = escape(f"Log lines over time: {', '.join(_count(totals, kind) for kind in _ORDER)}")
    return (
        f'<div class="log-histogram" role="img" aria-label="{alt}"><div class="key">{key}</div>'
        f'<div class="plot"><span class="top">{highest:,}</span>{unread}{bars}</div><div class="ticks">{ticks}</div></div>'
    )


def _column_html(at: datetime, step: timedelta, column: Counter[str], highest: int, left: float, width: float) -> str:
    parts = "".join(
        f'<i class="{kind}" style="height:{100 * column[kind] / highest:.1f}%"></i>' for kind in _ORDER if column[kind]
    )
    counted = ", ".join(_count(column, kind) for kind in _ORDER if column[kind])
    title = f"{format_eastern(at, '%-d %b %H:%M')}, {step / timedelta(minutes=1):g} min: {counted}"
    return f'<span class="column" title="{escape(title)}" style="left:{left:.2f}%;width:max(2px,{0.9 * width:.2f}%)">{parts}</span>'


def _count(column: Counter[str], kind: str) -> str:
    return pluralize(column[kind], "other line" if kind == "other" else kind)


def _step(start: datetime, end: datetime) -> timedelta:
    """The shortest round step with at most MAX_COLUMNS columns."""
    minutes = (end - start) / timedelta(minutes=1)
    step = next((step for step in TICK_STEPS_MIN if minutes / step <= MAX_COLUMNS), TICK_STEPS_MIN[-1])
    return timedelta(minutes=step)


def _pattern(start: datetime, end: datetime) -> str:
    return "%H:%M" if end - start <= timedelta(days=1) else "%-d %b %H:%M"
