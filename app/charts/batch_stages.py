"""The stages of a batch over time, as HTML: a row each, with its bar, how long it took and what it counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from services.core.clock import ET, eastern_zone
from services.core.text import to_printable
from services.runs.batch_details import BatchStage


def stages_html(stages: Sequence[BatchStage], now: datetime) -> str:
    """The stages below each other on one axis from the first to the last moment; empty without any."""
    if not stages:
        return ""
    start, end = stages[0].start, max(stage.end or now for stage in stages)
    length_s = max((end - start).total_seconds(), 1.0)
    rows = "".join(_row_html(stage, start, length_s, now) for stage in stages)
    axis = f"<span>{_clock_time(start)} {eastern_zone(start)}</span><span>{_clock_time(end)}</span>"
    return f'<div class="batch-stages" role="list" aria-label="Stages over time">{rows}<div class="axis">{axis}</div></div>'


def _row_html(stage: BatchStage, start: datetime, length_s: float, now: datetime) -> str:
    end = stage.end or now
    left = 100 * (stage.start - start).total_seconds() / length_s
    width = 100 * (end - stage.start).total_seconds() / length_s
    is_moment = stage.end == stage.start
    bar = (
        f'<i class="moment" style="left:{left:.2f}%"></i>'
        if is_moment
        else f'<i class="{"live" if stage.end is None else ""}" style="left:{left:.2f}%;width:{max(width, 0.4):.2f}%"></i>'
    )
    span = _clock_time(stage.start) if is_moment else format_duration((end - stage.start).total_seconds())
    return (
        f'<div role="listitem"><span>{escape(stage.name)}</span><span class="lane">{bar}</span><b>{span}</b>'
        f"<small>{escape(to_printable(stage.detail))}</small></div>"
    )


def _clock_time(at: datetime) -> str:
    return f"{at.astimezone(ET):%H:%M:%S}"


def format_duration(seconds: float) -> str:
    """Minutes and seconds, from an hour on with hours: 2:40, 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
