"""The night as a picture: batches, rejected writes, scale changes, alerts and actions on one line of time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from html import escape

import plotly.graph_objects as go
import streamlit as st

from app import charts, reads, session, words
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
    Health.WARNING: "triangle-up",
    Health.CRITICAL: "x",
    Health.UNKNOWN: "diamond",
    Health.NONE_EXPECTED: "circle-open",
}
_TOGETHER = 0.015  # marks closer than this share of the axis are one mark with all their words
_ROOM = 0.3  # what a label needs beside its mark
_LONGEST = 34
_GO = "night chart goes to"


def panel(
    game_date: date, batches: Reading[Batches], writes: Reading[DmlReport], widths: Reading[Widths], key: str
) -> None:
    """The picture under its heading; a click on a mark opens the page with its evidence."""
    cloud, now = session.cloud(), session.now()
    alerts, log = reads.alerts.begin(cloud), reads.actions.begin(cloud, *night_window(game_date))
    line = night_line(game_date, now, batches, writes, widths, alerts(), log())
    st.subheader("The night on one line", anchor=False)
    if not line.marks and not line.unknown:
        st.caption(":material/bedtime: Nothing happened: no batch, rejected write, scale change, alert or action.")
        return
    _show(line, f"{key} night")


def _show(line: NightLine, key: str) -> None:
    def picked() -> None:
        points = st.session_state[key].selection.points
        if points and (page := EVIDENCE.get(_lane_of(points[0]))):
            st.session_state[_GO] = page

    charts.show(figure(line), key=key, alt=in_words(line), on_select=picked)
    folded = "quiet hours folded · " if len(_stretches(line)) > 1 else ""
    st.caption(f":small[ET · {folded}a mark tells its words and UTC, a click opens its evidence]")
    if page := st.session_state.pop(_GO, ""):
        st.switch_page(f"../pages/{page}.py", query_params=session.link())


def _lane_of(point: dict[str, object]) -> str:
    told = point.get("customdata")
    return str(told[0]) if isinstance(told, list | tuple) and told else ""


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


def _stretches(line: NightLine) -> tuple[Stretch, ...]:
    return fold([mark.at for mark in line.marks] + [mark.ended for mark in line.marks if mark.ended])


def figure(line: NightLine) -> go.Figure:
    """One lane for each kind, worst told largest; the axis leaves out the hours in which nothing happened."""
    stretches = _stretches(line)
    drawn = charts.blank(38 * len(LANES) + 44)
    for row, lane in enumerate(reversed(LANES)):
        marks = line.of(lane)
        if lane == REJECTED:
            _columns(drawn, marks, row, stretches)
        elif lane == BATCHES:
            _bars(drawn, marks, row, stretches)
        else:
            _points(drawn, _joined(marks, stretches), row, stretches)
        if lane in line.unknown or not marks:
            _says(drawn, row, 0.0, "unknown" if lane in line.unknown else "none", "left")
    _axis(drawn, stretches)
    drawn.update_layout(barmode="overlay", margin={"l": 8, "r": 8, "t": 22, "b": 8})
    for row in range(1, len(LANES)):
        drawn.add_hline(y=row - 0.5, line_color=charts.TRACK, line_width=1, layer="below")
    rows = [*range(len(LANES))]
    drawn.update_yaxes(tickvals=rows, ticktext=[*reversed(LANES)], range=[-0.6, len(LANES) - 0.4], showgrid=False)
    return drawn


def _axis(drawn: go.Figure, stretches: tuple[Stretch, ...]) -> None:
    ticks = [(each.left, each.start) for each in stretches]
    ticks += [(each.right, each.end) for each in stretches[-1:] if each.right - each.left > 0.2]
    drawn.update_xaxes(
        range=[-0.01, 1.01], tickvals=[x for x, _ in ticks], ticktext=[f"{at.astimezone(ET):%H:%M}" for _, at in ticks]
    )
    for middle, length in pauses(stretches):
        drawn.add_vrect(middle - 0.012, middle + 0.012, fillcolor=charts.TRACK, line_width=0, layer="below")
        drawn.add_annotation(
            x=middle, y=1, yref="paper", yanchor="bottom", showarrow=False, text=_long(length), font_size=11
        )


def _long(length: timedelta) -> str:
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"


def _bars(drawn: go.Figure, marks: Sequence[Mark], row: int, stretches: tuple[Stretch, ...]) -> None:
    for mark in marks:
        left, right = place(stretches, mark.at), place(stretches, mark.ended or mark.at)
        drawn.add_bar(
            x=[max(right - left, 0.004)], base=[left], y=[row], width=0.5, orientation="h", **_look([mark], mark.health)
        )
        if right - left > _ROOM:
            _says(drawn, row, (left + right) / 2, escape(mark.label), "center", "white")
        else:
            _beside(drawn, mark.label, row, left, right, [place(stretches, other.at) for other in marks])


def _columns(drawn: go.Figure, marks: Sequence[Mark], row: int, stretches: tuple[Stretch, ...]) -> None:
    """Rejected writes by minute, the worst minute as high as its lane."""
    most = max((mark.count for mark in marks), default=1)
    for mark in marks:
        left, right = place(stretches, mark.at), place(stretches, mark.ended or mark.at)
        height = 0.15 + 0.65 * mark.count / most
        look = _look([mark], mark.health)
        drawn.add_bar(
            x=[(left + right) / 2], base=[row - 0.4], y=[height], width=max(right - left, 0.006) * 0.92, **look
        )
    if marks:
        total = sum(mark.count for mark in marks)
        left, right = place(stretches, marks[0].at), place(stretches, marks[-1].ended or marks[-1].at)
        _beside(drawn, f"{total:,}, at most {most:,} a minute", row, left, right, [left])


def _points(drawn: go.Figure, groups: Sequence[tuple[Mark, ...]], row: int, stretches: tuple[Stretch, ...]) -> None:
    places = [place(stretches, group[0].at) for group in groups]
    for group, x in zip(groups, places, strict=True):
        health = worst(mark.health for mark in group)
        drawn.add_scatter(
            x=[x], y=[row], mode="markers", marker_symbol=_SHAPES[health], marker_size=13, **_look(group, health)
        )
        first = min(group, key=lambda mark: SEVERITY.index(mark.health))
        label = first.label if len(group) == 1 else f"{first.label} +{len(group) - 1}"
        _beside(drawn, label, row, x, x, places)


def _joined(marks: Sequence[Mark], stretches: tuple[Stretch, ...]) -> list[tuple[Mark, ...]]:
    """Marks that would lie on each other, as one."""
    groups: list[list[Mark]] = []
    for mark in marks:
        if groups and place(stretches, mark.at) - place(stretches, groups[-1][0].at) < _TOGETHER:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return [tuple(group) for group in groups]


def _look(marks: Sequence[Mark], health: Health) -> dict[str, object]:
    """Colour, and what the pointer is told: ET, UTC, the whole sentence. What was logged must not format itself."""
    told = "<br>".join(f"<b>{words.exact_time(mark.at)}</b> {escape(_wrapped(mark.sentence))}" for mark in marks)
    return {
        "marker_color": charts.OF_HEALTH[health],
        "customdata": [[marks[0].lane]],
        "hovertemplate": told.replace("\n", "<br>").replace("%{", "% {") + "<extra></extra>",
    }


def _wrapped(sentence: str, width: int = 70) -> str:
    lines = [""]
    for word in sentence.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _beside(drawn: go.Figure, label: str, row: int, left: float, right: float, others: Sequence[float]) -> None:
    """A few words on the side where there is room; without room the pointer tells them."""
    words = escape(label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…")
    after = min((x for x in others if x > left), default=1.0)
    before = max((x for x in others if x < left), default=0.0)
    if after - right > _ROOM:
        _says(drawn, row, right, words, "left")
    elif left - before > _ROOM:
        _says(drawn, row, left, words, "right")


def _says(drawn: go.Figure, row: int, x: float, words: str, anchor: str, colour: str = "") -> None:
    """Words that begin, or end, a marker's width from a place; or stand in its middle."""
    drawn.add_annotation(
        x=x,
        y=row,
        text=words,
        xanchor=anchor,
        xshift={"left": 10, "right": -10}.get(anchor, 0),
        showarrow=False,
        font={"size": 12, "color": colour or charts.ink()},
    )
