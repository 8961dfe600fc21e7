"""A short table as HTML: text that can be read and tabbed through, with links to what its rows name. Every cell is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import streamlit as st

from services.core.result import Health
from services.core.text import to_printable

_ICON_BY_HEALTH = {
    Health.OK: ("check_circle", "grn-t"),
    Health.WARNING: ("warning", "amb-t"),
    Health.CRITICAL: ("error", "red-t"),
    Health.UNKNOWN: ("help", "vio-t"),
    Health.NONE_EXPECTED: ("remove", ""),
}


@dataclass(frozen=True)
class Column:
    """A head. `numeric`: right-aligned; `minor`: left out on a phone; `grows`: takes what room is left, and may wrap."""

    head: str
    numeric: bool = False
    minor: bool = False
    grows: bool = False

    @property
    def classes(self) -> str:
        """The classes of its cells in the stylesheet."""
        return " ".join(name for name in ("numeric", "minor", "grows") if getattr(self, name))


@dataclass(frozen=True)
class Link:
    """A cell that leads to a page of ours."""

    text: str
    page: str
    query_params: Mapping[str, str]


@dataclass(frozen=True)
class Mark:
    """A cell with an icon and a word for it."""

    word: str
    health: Health | None  # None: under way


Cell = str | int | None | Link | Mark


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], alt: str, empty: str) -> None:
    """The table under its accessible name, or the sentence `empty`."""
    st.html(table_html(columns, rows, alt) if rows else f'<p class="empty-table">{escape(empty)}</p>')


def table_html(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], alt: str) -> str:
    """The table as HTML: rows of cells in the columns' order."""
    heads = "".join(f'<th scope="col" class="{column.classes}">{escape(column.head)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(_cell_html(column, cell) for column, cell in zip(columns, row, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="table-frame" tabindex="0" role="region" aria-label="{escape(alt)}">'
        f'<table class="rows-table"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell_html(column: Column, cell: Cell) -> str:
    return f'<td class="{column.classes}">{_content_html(cell)}</td>'


def _content_html(cell: Cell) -> str:
    if cell is None or cell == "":
        return "—"
    if isinstance(cell, Link):
        path = "" if cell.page == "overview" else cell.page
        return f'<a href="/{path}?{escape(urlencode(cell.query_params))}">{_text(cell.text)}</a>'
    if isinstance(cell, Mark):
        icon, color = _ICON_BY_HEALTH[cell.health] if cell.health else ("progress_activity", "acc-t")
        hidden = f'<span class="sr">{cell.health}: </span>' if cell.health and cell.word != cell.health else ""
        return f'<span class="{color}"><i class="ms" aria-hidden="true">{icon}</i> {hidden}{_text(cell.word)}</span>'
    return f"{cell:,}" if isinstance(cell, int) else _text(cell)


def _text(value: str) -> str:
    return escape(to_printable(value))
