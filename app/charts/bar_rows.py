"""Rows of labelled bars as HTML: they appear with the page's text, while Plotly's script takes half a second to load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import streamlit as st

from app.charts import palette
from services.nights.coverage import Funnel
from services.nights.missing_players import LossReason, MissingPlayer
from services.nights.player_stages import STAGES, Stage
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import ServiceCapacities

_LOSS_COLORS = {
    "lost here": palette.RED,
    "unexplained": palette.VIOLET,
    "not run yet": palette.NEUTRAL_FILL,
    "on purpose": palette.NEUTRAL_FILL,
}
_LOSS_KINDS = ("lost here", "unexplained")
_ROW_HEIGHT, _ROW_GAP = "1.5rem", "0.7rem"


@dataclass(frozen=True)
class Row:
    """One name, its bars one after the other (count, colour, label), and the text beside them as HTML."""

    name: str
    bars: Sequence[tuple[int, str, str]]
    label_html: str

    @property
    def total(self) -> int:
        return sum(count for count, _, _ in self.bars)


def funnel_alt_text(funnel: Funnel, missing: Iterable[MissingPlayer]) -> str:
    """The funnel as text, for screen readers."""
    losses = Counter((entry.dropped_at, _loss_kind(entry)) for entry in missing)
    parts = []
    for stage in STAGES:
        loss_text = "".join(f", {losses[stage, kind]:,} {kind}" for kind in _LOSS_COLORS if losses[stage, kind])
        parts.append(f"{stage} {' '.join(_stage_texts(funnel, stage))}{loss_text}")
    return f"Players per stage: {'; '.join(parts)}."


def _stage_texts(funnel: Funnel, stage: Stage) -> list[str]:
    """The count of a stage, and in parentheses what it leaves out; without a count, why."""
    count, note = funnel.players[stage], funnel.notes.get(stage)
    if count is None:
        return [note or "unknown"]
    return [f"{count:,}", f"({note})"] if note else [f"{count:,}"]


def show_html(markup: str, alt: str) -> None:
    """Put a chart on the page, with its text alternative."""
    st.html(f'<div role="img" aria-label="{escape(alt)}">{markup}</div>')


def show_funnel(funnel: Funnel, missing: Sequence[MissingPlayer]) -> None:
    with st.container(key="funnel"):
        show_html(funnel_html(funnel, missing), funnel_alt_text(funnel, missing))


def funnel_html(funnel: Funnel, missing: Iterable[MissingPlayer]) -> str:
    """The players of each stage; beside a bar, how many were lost on the way to it, the greatest loss in the largest type."""
    losses = Counter((entry.dropped_at, _loss_kind(entry)) for entry in missing)
    max_loss = max((number for (_, kind), number in losses.items() if kind in _LOSS_KINDS), default=0)
    rows = []
    for stage in STAGES:
        stage_losses = {kind: losses[stage, kind] for kind in _LOSS_COLORS}
        bars = [
            (funnel.players[stage] or 0, palette.BLUE, "players"),
            *((stage_losses[k], _LOSS_COLORS[k], k) for k in _LOSS_COLORS),
        ]
        count_text, *note = _stage_texts(funnel, stage)
        count_html = " ".join((f"<b>{count_text}</b>", *note))
        rows.append(Row(str(stage), bars, _row_label(count_html, stage_losses, max_loss)))
    widest = max(row.total for row in rows) or 1
    return render_rows(rows, widest, _funnel_band([funnel.players[stage] for stage in STAGES], widest))


def capacities_html(capacities: ServiceCapacities) -> str:
    """Each service's capacity: instances × concurrent requests, against the table's DML limit."""
    rows = [
        Row(
            service.service,
            [(service.capacity or 0, palette.COLOR_BY_HEALTH[service.health], "concurrent requests")],
            f"{service.max_instances} × {service.concurrency} = <b>{service.capacity:,}</b>"
            if service.capacity
            else "<b>unbounded</b>",
        )
        for service in capacities.services
    ]
    scale_max = max([MAX_OUTSTANDING_DML, *(row.total for row in rows)])
    limit_left = f"{100 * MAX_OUTSTANDING_DML / scale_max:.2f}%"
    limit_label_style = (
        f"width:{limit_left};text-align:right" if scale_max / 2 < MAX_OUTSTANDING_DML else f"margin-left:{limit_left}"
    )
    limit_html = (
        f'<div class="limit" style="margin-left:{limit_left}"></div>'
        f'<div class="ends" style="grid-row:{2 * len(rows) + 1};{limit_label_style}">DML limit {MAX_OUTSTANDING_DML}</div>'
    )
    return render_rows(rows, scale_max, limit_html)


def render_rows(rows: Sequence[Row], widest: int, extra_html: str = "") -> str:
    """The rows below each other, every bar a share of the widest; `extra_html` is placed in the bars' column."""
    cells = []
    for index, row in enumerate(rows):
        bars = "".join(
            f'<i style="width:{100 * count / widest:.2f}%;background:{color}"'
            f' title="{escape(row.name)}: {count:,} {label}"></i>'
            for count, color, label in row.bars
            if count
        )
        grid_row = f"grid-row:{2 * index + 1}"
        cells.append(f'<span class="name" style="{grid_row}">{escape(row.name)}</span>')
        cells.append(
            f'<span class="bars" style="{grid_row}">{bars}</span><span class="said" style="{grid_row}">{row.label_html}</span>'
        )
    height = f"grid-template-rows:repeat({len(rows)},{_ROW_HEIGHT} {_ROW_GAP})"
    return f'<div class="rows" style="{height}">{extra_html}{"".join(cells)}</div>'


def _funnel_band(counts: Sequence[int | None], widest: int) -> str:
    """A pale band from each stage to the next known one, which makes the loss between them visible."""
    known_counts = [(row, count) for row, count in enumerate(counts) if count is not None]
    return "".join(
        f'<div class="flow" style="grid-row:{2 * above + 2}/{2 * below + 1};background:{palette.FUNNEL_BAND_FILL};clip-path:'
        f'polygon(0 0,{100 * before / widest:.2f}% 0,{100 * after / widest:.2f}% 100%,0 100%)"></div>'
        for (above, before), (below, after) in pairwise(known_counts)
    )


def _loss_kind(entry: MissingPlayer) -> str:
    """How a chart shows a missing player: lost, unexplained, or missing on purpose."""
    if entry.reason is LossReason.UNEXPLAINED:
        return "unexplained"
    if entry.reason is LossReason.NOT_RUN_YET:
        return "not run yet"
    return "on purpose" if entry.intentional else "lost here"


def _row_label(count_html: str, losses: Mapping[str, int], max_loss: int) -> str:
    parts = [count_html]
    for kind, number in losses.items():
        if number and kind in _LOSS_KINDS:
            font_size = "1.15em" if number == max_loss else "1em"
            parts.append(f'<b style="color:{palette.alert_text_color()};font-size:{font_size}">−{number:,} {kind}</b>')
        elif number:
            parts.append(f"<span>−{number:,} {kind}</span>")
    return " ".join(parts)
