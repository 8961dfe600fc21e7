"""Rows of bars with words beside them, as HTML: they stand with the answer, while Plotly's script takes half a second to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import streamlit as st

from app.charts import palette
from app.components import text_format as words
from services.nights.missing_players import Missing, Why
from services.nights.player_stages import STAGES, Stage
from services.policy.dml_limits import ADMITTED
from services.scaling.service_widths import Widths

_GONE = {
    "lost here": palette.RED,
    "unexplained": palette.VIOLET,
    "not run yet": palette.TRACK,
    "on purpose": palette.TRACK,
}
_LOST = ("lost here", "unexplained")
_ROW, _GAP = "1.5rem", "0.7rem"


@dataclass(frozen=True)
class Row:
    """One name, its bars one after the other (how many, colour, what they are), and the words beside them as HTML."""

    name: str
    bars: Sequence[tuple[int, str, str]]
    said: str

    @property
    def total(self) -> int:
        return sum(count for count, _, _ in self.bars)


def funnel_in_words(players: Mapping[Stage, int | None], missing: Iterable[Missing]) -> str:
    """The same as the funnel, for who cannot see it."""
    gone = Counter((each.lost_at, _kind(each)) for each in missing)
    told = []
    for stage in STAGES:
        lost = "".join(f", {gone[stage, kind]:,} {kind}" for kind in _GONE if gone[stage, kind])
        told.append(f"{stage} {words.count(players.get(stage))}{lost}")
    return f"Players per stage: {'; '.join(told)}."


def show(picture: str, alt: str) -> None:
    """Put a picture on the page, with the sentence that says what it shows."""
    st.html(f'<div role="img" aria-label="{escape(alt)}">{picture}</div>')


def show_funnel(players: Mapping[Stage, int | None], missing: Sequence[Missing]) -> None:
    show(funnel(players, missing), funnel_in_words(players, missing))


def funnel(players: Mapping[Stage, int | None], missing: Iterable[Missing]) -> str:
    """Players flowing from stage to stage; beside a bar, how many were lost on the way to it, the greatest loss largest."""
    gone = Counter((each.lost_at, _kind(each)) for each in missing)
    most = max((number for (_, kind), number in gone.items() if kind in _LOST), default=0)
    rows = []
    for stage in STAGES:
        here = {kind: gone[stage, kind] for kind in _GONE}
        bars = [(players.get(stage) or 0, palette.BLUE, "players"), *((here[k], _GONE[k], k) for k in _GONE)]
        rows.append(Row(str(stage), bars, _beside(players.get(stage), here, most)))
    widest = max(row.total for row in rows) or 1
    return drawn(rows, widest, _flow([players.get(stage) for stage in STAGES], widest))


def widths(facts: Widths) -> str:
    """Each service's widest: instances × concurrent requests, against the statements the table admits."""
    rows = [
        Row(
            each.service,
            [(each.product or 0, palette.OF_HEALTH[each.health], "requests at once")],
            f"{each.max_instances} × {each.request_concurrency} = <b>{each.product:,}</b>"
            if each.product
            else "<b>no maximum is set</b>",
        )
        for each in facts.services
    ]
    most = max([ADMITTED, *(row.total for row in rows)])
    at = f"{100 * ADMITTED / most:.2f}%"
    side = f"width:{at};text-align:right" if most / 2 < ADMITTED else f"margin-left:{at}"
    limit = (
        f'<div class="limit" style="margin-left:{at}"></div>'
        f'<div class="ends" style="grid-row:{2 * len(rows) + 1};{side}">the table admits {ADMITTED}</div>'
    )
    return drawn(rows, most, limit)


def drawn(rows: Sequence[Row], widest: int, also: str = "") -> str:
    """The rows below each other, every bar a share of the widest; `also` lies in the bars' column."""
    lines = []
    for index, row in enumerate(rows):
        bars = "".join(
            f'<i style="width:{100 * count / widest:.2f}%;background:{colour}"'
            f' title="{escape(row.name)}: {count:,} {meaning}"></i>'
            for count, colour, meaning in row.bars
            if count
        )
        at = f"grid-row:{2 * index + 1}"
        lines.append(f'<span class="name" style="{at}">{escape(row.name)}</span>')
        lines.append(f'<span class="bars" style="{at}">{bars}</span><span class="said" style="{at}">{row.said}</span>')
    height = f"grid-template-rows:repeat({len(rows)},{_ROW} {_GAP})"
    return f'<div class="rows" style="{height}">{also}{"".join(lines)}</div>'


def _flow(counts: Sequence[int | None], widest: int) -> str:
    """A pale band from each stage to the next known one, so that the eye follows the players down."""
    known = [(row, count) for row, count in enumerate(counts) if count is not None]
    return "".join(
        f'<div class="flow" style="grid-row:{2 * above + 2}/{2 * below + 1};background:{palette.FLOW};clip-path:'
        f'polygon(0 0,{100 * before / widest:.2f}% 0,{100 * after / widest:.2f}% 100%,0 100%)"></div>'
        for (above, before), (below, after) in pairwise(known)
    )


def _kind(each: Missing) -> str:
    """How a picture tells a missing player: lost, not explained, or not there for a good reason."""
    if each.why is Why.UNEXPLAINED:
        return "unexplained"
    if each.why is Why.NOT_RUN_YET:
        return "not run yet"
    return "on purpose" if each.expected else "lost here"


def _beside(count: int | None, gone: Mapping[str, int], most: int) -> str:
    told = [f"<b>{count:,}</b>" if count is not None else "<b>unknown</b>"]
    for kind, number in gone.items():
        if number and kind in _LOST:
            size = "1.15em" if number == most else "1em"
            told.append(f'<b style="color:{palette.alarm()};font-size:{size}">−{number:,} {kind}</b>')
        elif number:
            told.append(f"<span>−{number:,} {kind}</span>")
    return " ".join(told)
