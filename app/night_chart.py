"""The night as a picture: batches, rejected writes, scale changes, alerts and actions on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from html import escape

import streamlit as st

from app import palette, reads, session, words
from services.concurrency import Widths
from services.dml_errors import DmlReport
from services.folded_time import Stretch, fold, pauses, place
from services.foundation.clock import ET, night_window
from services.foundation.reading import SEVERITY, Health, Reading, worst
from services.night_line import ACTIONS, ALERTS, BATCHES, LANES, REJECTED, SCALED, Mark, NightLine, night_line
from services.runs import Batches

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
_TOGETHER = 0.015  # marks closer than this share of the axis are one mark with all their words
_ROOM = 0.3  # what a label needs beside its mark
_LONGEST = 34


def panel(
    game_date: date, batches: Reading[Batches], writes: Reading[DmlReport], widths: Reading[Widths], key: str
) -> None:
    """The picture under its heading: a lane's name leads to its evidence, a mark tells its words."""
    cloud, now = session.cloud(), session.now()
    alerts, log = reads.alerts.begin(cloud), reads.actions.begin(cloud, *night_window(game_date))
    line = night_line(game_date, now, batches, writes, widths, alerts(), log())
    st.subheader("The night on one line", anchor=False)
    if not line.marks and not line.unknown:
        st.caption(":material/bedtime: Nothing happened: no batch, rejected write, scale change, alert or action.")
        return
    with st.container(horizontal=True, gap="xsmall", key=f"night line {key}"):
        with st.container(width=104, gap=None, key="lanes"):
            for lane in LANES:
                way = f"../pages/{EVIDENCE[lane]}.py"
                st.page_link(way, label=lane, query_params=session.link())
        st.html(picture(line), width="stretch")
    folded = "quiet hours folded · " if len(_stretches(line)) > 1 else ""
    st.caption(f":small[ET · {folded}a mark tells its words and UTC, a lane's name leads to its evidence]")


def in_words(line: NightLine) -> str:
    """The same as the picture, for who cannot see it."""
    told = [f"The night of {session.day(line.game_date)} in ET."]
    for lane in LANES:
        marks = line.of(lane)
        if lane in line.unknown:
            told.append(f"{lane.capitalize()} are unknown: {line.unknown[lane]}")
        listed = "; ".join(f"{words.exact_time(mark.at)} {mark.sentence}" for mark in marks)
        if listed or lane not in line.unknown:
            told.append(f"{lane.capitalize()}: {listed or 'none'}.")
    return " ".join(told)


def picture(line: NightLine) -> str:
    """One lane for each kind, worst told largest; the axis leaves out the hours in which nothing happened."""
    stretches = _stretches(line)
    lanes = []
    for lane in LANES:
        marks = line.of(lane)
        draw = {REJECTED: _columns, BATCHES: _bars}.get(lane, _points)
        drawn = draw(marks, stretches) if marks else []
        if lane in line.unknown or not marks:
            drawn.append(_says(0.0, "unknown" if lane in line.unknown else "none", "after"))
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
    drawn = []
    for mark in marks:
        left, right = place(stretches, mark.at), place(stretches, mark.ended or mark.at)
        inside = escape(mark.label) if right - left > _ROOM else ""
        drawn.append(_mark([mark], mark.health, "bar", left, f"width:max(3px,{_pct(right - left)})", inside))
        if not inside:
            drawn.append(_beside(mark.label, left, right, [place(stretches, other.at) for other in marks]))
    return drawn


def _columns(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[str]:
    """Rejected writes by minute, the worst minute as high as its lane."""
    most = max(mark.count for mark in marks)
    drawn = []
    for mark in marks:
        left, right = place(stretches, mark.at), place(stretches, mark.ended or mark.at)
        size = f"width:max(4px,{_pct(0.92 * (right - left))});height:{15 + 65 * mark.count / most:.0f}%"
        drawn.append(_mark([mark], mark.health, "column", left, size))
    left, right = place(stretches, marks[0].at), place(stretches, marks[-1].ended or marks[-1].at)
    total = sum(mark.count for mark in marks)
    return [*drawn, _beside(f"{total:,}, at most {most:,} a minute", left, right, [left])]


def _points(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[str]:
    groups = _joined(marks, stretches)
    places = [place(stretches, group[0].at) for group in groups]
    drawn = []
    for group, x in zip(groups, places, strict=True):
        health = worst(mark.health for mark in group)
        drawn.append(_mark(group, health, "point", x))
        first = min(group, key=lambda mark: SEVERITY.index(mark.health))
        label = first.label if len(group) == 1 else f"{first.label} +{len(group) - 1}"
        drawn.append(_beside(label, x, x, places))
    return drawn


def _joined(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[tuple[Mark, ...]]:
    """Marks that would lie on each other, as one."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and place(stretches, mark.at) - place(stretches, groups[-1][0].at) < _TOGETHER:
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


def _beside(label: str, left: float, right: float, others: Sequence[float]) -> str:
    """A few words on the side where there is room; without room the mark tells them."""
    words = escape(label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…")
    after = min((x for x in others if x > left), default=1.0)
    before = max((x for x in others if x < left), default=0.0)
    if after - right > _ROOM:
        return _says(right, words, "after")
    return _says(left, words, "before") if left - before > _ROOM else ""


def _says(x: float, words: str, side: str) -> str:
    """Words that begin, or end, a mark's width from a place."""
    at = f"left:{_pct(x)}" if side == "after" else f"right:{_pct(1 - x)}"
    return f'<span class="said {side}" style="{at}">{words}</span>'


def _pct(share: float) -> str:
    return f"{100 * share:.2f}%"
