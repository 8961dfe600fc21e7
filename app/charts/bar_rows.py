"""Rows of labelled bars as HTML: they appear with the page's text, while Plotly's script takes half a second to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from app.charts import palette
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import ServiceCapacities

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


def show_html(markup: str, alt: str) -> None:
    """Put a chart on the page, with its text alternative."""
    st.html(f'<div role="img" aria-label="{escape(alt)}">{markup}</div>')


def capacities_html(capacities: ServiceCapacities) -> str:
    """Each service's capacity: instances × concurrent requests, against the table's DML limit."""
    rows = [
        Row(
            service.service,
            [(service.capacity or 0, palette.COLOR_BY_HEALTH[service.health], "concurrent requests")],
            f"{service.max_instances} × {service.concurrency} = <b>{service.capacity:,}</b>"
            if service.capacity
            else "<b>no maximum set</b>",
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
