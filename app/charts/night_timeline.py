"""The night as a picture: batches, rejected writes, scale changes, alerts and actions on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from html import escape

import streamlit as st

from app.charts import palette
from app.charts.time_axis import Stretch, fold, pauses, place
from app.components import text_format as words
from app.state import reads, session
from services.batches.reader import Batches
from services.core.clock import ET, night_window
from services.core.result import SEVERITY, Health, Reading, worst
from services.reports.night_events import ACTIONS, ALERTS, BATCHES, LANES, REJECTED, SCALED, Mark, NightLine, night_line
from services.scaling.service_widths import Widths
from services.telemetry.dml_jobs import DmlReport

EVIDENCE = {
    BATCHES: "runs",
    REJECTED: "dml_errors",
    SCALED: "concurrency",
    ALERTS: "alerts",
    ACTIONS: "action_log",
}
_SHAPES = {
    Health.OK: "circle",
    Health.WARNING: "triangle",
    Health.CRITICAL: "cross",
    Health.UNKNOWN: "diamond",
    Health.NONE_EXPECTED: "ring",
}
_TOGETHER = 0.015  # points closer than this share of the axis are one mark with all their words
_MINUTES_TOGETHER = 0.008  # the same for the beginnings of columns
_ROOM = 0.3  # what a label needs beside its mark


def panel(game_date: date, batches: Reading[Batches], writes: Reading[DmlReport], widths: Reading[Widths]) -> None:
    """The picture under its heading: a lane's name leads to its evidence, a mark tells its words."""
    cloud, now = session.cloud(), session.now()
    alerts, log = reads.alerts.begin(cloud), reads.actions.begin(cloud, *night_window(game_date))
    line = night_line(game_date, now, batches, writes, widths, alerts(), log())
    st.subheader("The night on one line", anchor=False)
    if not line.marks and not line.unknown:
        st.caption(":material/bedtime: Nothing happened: no batch, rejected write, scale change, alert or action.")
        return
    with st.container(horizontal=True, gap="xsmall"):
        with st.container(width=104, gap=None, key="lanes"):
            for lane in LANES:
                way = f"../pages/{EVIDENCE[lane]}.py"
                st.page_link(way, label=lane, query_params=session.link())
        st.html(picture(line), width="stretch")
    folded = "quiet hours folded · " if len(_stretches(line)) > 1 else ""
    st.caption(f":small[ET · {folded}a mark tells its words and UTC, a lane's name leads to its evidence]")


def in_words(line: NightLine) -> str:
    """What lies on each lane; the marks tell the rest themselves."""
    told = [f"The night of {session.day(line.game_date)} in ET."]
    for lane in LANES:
        marks = len(line.of(lane))
        if lane in line.unknown:
            told.append(f"{lane.capitalize()} are unknown: {line.unknown[lane].rstrip('.')}.")
        if marks or lane not in line.unknown:
            told.append(f"{lane.capitalize()}: {words.many(marks, 'mark') if marks else 'none'}.")
    return " ".join(told)


def picture(line: NightLine) -> str:
    """One lane for each kind; the axis leaves out the hours in which nothing happened."""
    stretches = _stretches(line)
    lanes = []
    for lane in LANES:
        marks = line.of(lane)
        draw = {REJECTED: _columns, BATCHES: _bars}.get(lane, _points)
        drawn = draw(marks, stretches) if marks else []
        if lane in line.unknown or not marks:
            drawn.append(_says(0.0, "unknown" if lane in line.unknown else "none", "after", 1.0))
        lanes.append(f'<div class="lane">{"".join(drawn)}</div>')
    lanes.insert(0, f'<div class="above">{_folds(stretches)}</div>')
    return f'<div class="night" role="group" aria-label="{escape(in_words(line))}">{"".join(lanes)}{_axis(stretches)}</div>'


def _stretches(line: NightLine) -> tuple[Stretch, ...]:
    return fold([mark.at for mark in line.marks] + [mark.ended for mark in line.marks if mark.ended])


def _axis(stretches: tuple[Stretch, ...]) -> str:
    ticks = [(each.left, each.start) for each in stretches]
    ticks += [(each.right, each.end) for each in stretches[-1:] if each.right - each.left > 0.2]
    told = (f'<span style="left:{_pct(x)}">{at.astimezone(ET):%H:%M}</span>' for x, at in ticks)
    return f'<div class="below">{"".join(told)}</div>'


def _folds(stretches: tuple[Stretch, ...]) -> str:
    """The folded pauses as bands through all lanes, each with its length above it."""
    return "".join(
        f'<i class="fold" style="left:{_pct(middle)};background:{palette.TRACK}"></i>'
        f'<span style="left:{_pct(middle)}">{_long(length)}</span>'
        for middle, length in pauses(stretches)
    )


def _long(length: timedelta) -> str:
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"


def _bars(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[str]:
    drawn, free = [], 0.0
    lefts = [place(stretches, mark.at) for mark in marks]
    for mark, left in zip(marks, lefts, strict=True):
        right = place(stretches, mark.ended or mark.at)
        inside = escape(mark.label) if right - left > _ROOM else ""
        drawn.append(_mark([mark], mark.health, "bar", left, f"width:max(3px,{_pct(right - left)})", inside))
        label, free = _beside("" if inside else mark.label, left, right, free, lefts)
        drawn.append(label)
    return drawn


def _columns(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[str]:
    """Rejected writes by minute, the worst minute as high as its lane."""
    most, drawn = max(mark.count for mark in marks), []
    for group in _joined(marks, stretches, _MINUTES_TOGETHER):
        left, right = place(stretches, group[0].at), place(stretches, group[-1].ended or group[-1].at)
        worst_minute = max(mark.count for mark in group)
        size = f"width:max(4px,{_pct(0.92 * (right - left))});height:{15 + 65 * worst_minute / most:.0f}%"
        drawn.append(_mark([_summed(group)], group[0].health, "column", left, size))
    left, right = place(stretches, marks[0].at), place(stretches, marks[-1].ended or marks[-1].at)
    total = sum(mark.count for mark in marks)
    return [*drawn, _beside(f"{total:,}, at most {most:,} a minute", left, right, 0.0, [left])[0]]


def _summed(marks: Sequence[Mark]) -> Mark:
    """Several minutes as one mark with their sum."""
    if len(marks) == 1:
        return marks[0]
    total, most = sum(mark.count for mark in marks), max(mark.count for mark in marks)
    until = words.exact_time(marks[-1].ended or marks[-1].at)
    return replace(marks[0], sentence=f"to {until}: {total:,} writes rejected, at most {most:,} in a minute")


def _points(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[str]:
    groups = _joined(marks, stretches, _TOGETHER)
    places = [place(stretches, group[0].at) for group in groups]
    drawn, free = [], 0.0
    for group, x in zip(groups, places, strict=True):
        health = worst(mark.health for mark in group)
        drawn.append(_mark(group, health, "point", x))
        first = min(group, key=lambda mark: SEVERITY.index(mark.health))
        told, free = _beside(first.label if len(group) == 1 else f"{first.label} +{len(group) - 1}", x, x, free, places)
        drawn.append(told)
    return drawn


def _joined(marks: Sequence[Mark], stretches: tuple[Stretch, ...], nearer: float) -> list[tuple[Mark, ...]]:
    """Marks that would lie on each other, as one."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and place(stretches, mark.at) - place(stretches, groups[-1][0].at) < nearer:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [tuple(group) for group in groups]


def _mark(marks: Sequence[Mark], health: Health, kind: str, x: float, size: str = "", inside: str = "") -> str:
    """A mark that pointer, finger and keyboard reach; it tells ET, UTC and the whole sentence. What was logged stays text."""
    told = [(words.exact_time(mark.at), mark.sentence) for mark in marks]
    tip = "".join(f"<span><b>{at}</b> {escape(sentence)}</span>" for at, sentence in told)
    label = escape(f"{health}: " + "; ".join(f"{at} {sentence}" for at, sentence in told))
    look = f"left:{_pct(x)};{size};--mark:{palette.OF_HEALTH[health]}"
    side = "to-left" if x > 0.5 else "to-right"
    return (
        f'<span class="mark {kind} {_SHAPES[health]}" style="{look}" tabindex="0" role="img" aria-label="{label}">'
        f'<i>{inside}</i><span class="tip {side}">{tip}</span></span>'
    )


def _beside(label: str, left: float, right: float, free: float, places: Sequence[float]) -> tuple[str, float]:
    """A few words on the side where there is room, and where room begins for the next mark; without room the mark tells them.

    `free` is where it begins for this one: behind the mark before and its words.
    """
    after = min((x for x in places if x > left), default=1.0)
    if not label:
        return "", right
    if after - right > _ROOM:
        return _says(right, escape(label), "after", after - right), after
    if left - free > _ROOM:
        return _says(left, escape(label), "before", left - free), right
    return "", right


def _says(x: float, words: str, side: str, room: float) -> str:
    """Words that begin, or end, a mark's width from a place, and end where their room ends."""
    at = f"left:{_pct(x)}" if side == "after" else f"right:{_pct(1 - x)}"
    return f'<span class="said {side}" style="{at};max-width:{_pct(room)}">{words}</span>'


def _pct(share: float) -> str:
    return f"{100 * share:.2f}%"
