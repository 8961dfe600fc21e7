"""Tables: a data grid with its own safe download, and short tables as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from app.components import text_format
from services.core.clock import ET, eastern_zone
from services.core.text import to_printable

Row = Mapping[str, Any]
# Spreadsheets read the full-width characters like the plain ones, and in Europe a ; separates cells too.
_FORMULA_START = re.compile("(^|;)(\\s*[=+@\uff1d\uff0b\uff0d\uff20-])")
ROW_HEIGHT_PX = 28
CUT_LENGTH = 110  # characters


@dataclass(frozen=True)
class Target:
    """Where a row leads: a file in pages/ without .py, "" for the page it is on, and the parameters of its address."""

    page: str
    params: Mapping[str, str]


def data_grid(
    items: Sequence[Any],
    name: str,
    alt: str,
    empty: str,
    height_rows: int = 14,
    max_rows: int | None = None,
    to_row: Callable[[Any], Row] = dict,
    opens: Callable[[Any], Target] | None = None,
    expands: str = "",
    **columns: Any,
) -> None:
    """A dense table with its own safe download; without items, the sentence `empty`. `columns` are column_config.

    Of more than `max_rows` items the first are sent to the browser, and all are in the download, which is made when it is clicked.
    A selected row opens its target; with `expands`, the column of that name is cut to a line, and a selected row shows it whole.
    """
    if not items:
        st.caption(text_format.escape_markdown(empty))
        return
    if (target := st.session_state.pop(f"open {name}", None)) is not None:
        st.switch_page(f"../pages/{target.page}.py", query_params=target.params)
    shown = items[:max_rows]
    full_rows = [_to_printable_row(to_row(item)) for item in shown]
    rows = [{**row, expands: _cut(row[expands])} if expands else row for row in full_rows]
    if opens is not None:
        st.session_state[f"targets {name}"] = [opens(item) for item in shown]
    datetime_columns = {
        label: st.column_config.DatetimeColumn(
            f"{label} (ET)", format=_time_format(rows, label), timezone=str(ET), help="New York; the CSV has UTC"
        )
        for label, value in rows[0].items()
        if isinstance(value, datetime)
    }
    height = ROW_HEIGHT_PX * (min(len(rows), height_rows) + 1) + 3
    st.dataframe(
        rows,
        hide_index=True,
        row_height=ROW_HEIGHT_PX,
        height=height,
        column_config={**datetime_columns, **columns},
        placeholder="—",
        key=f"table {name}",
        alt=alt,
        **_selection(name, opens is not None, bool(expands)),
    )
    if expands:
        _expanded(name, full_rows, expands)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        csv_button(items, name, to_row)
        if opens is not None or expands:
            st.caption("Select a row to open it.")
        if len(rows) < len(items):
            st.caption(
                f"The first {len(rows):,} of {len(items):,} rows; search finds the others, the CSV has them all."
            )


def csv_button(items: Sequence[Any], name: str, to_row: Callable[[Any], Row] = dict) -> None:
    """The download of all items as a CSV, which is made when it is clicked."""
    st.download_button(
        f"CSV, {text_format.pluralize(len(items), 'row')}",
        lambda: to_csv([to_row(item) for item in items]),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"download {name}",
        on_click="ignore",
    )


def _selection(name: str, opens: bool, expands: bool) -> dict[str, Any]:
    """How rows may be selected."""
    if not (opens or expands):
        return {}
    on_select = partial(_open_selected, name) if opens else "rerun"
    return {"on_select": on_select, "selection_mode": "single-row"}


def _selected(name: str) -> int | None:
    state = st.session_state.get(f"table {name}")
    rows = state["selection"]["rows"] if state else []
    return rows[0] if rows else None


def _open_selected(name: str) -> None:
    """Lead to the target of the row that was selected, by what the table showed then: its rows may have moved since."""
    index, targets = _selected(name), st.session_state.get(f"targets {name}", [])
    if index is None or index >= len(targets):
        return
    target = targets[index]
    if target.page:
        st.session_state[f"open {name}"] = target
    else:  # Streamlit would open the same page without a new address
        st.query_params.from_dict(target.params)


def _expanded(name: str, rows: Sequence[Row], column: str) -> None:
    index = _selected(name)
    if index is not None and index < len(rows):
        st.code(str(rows[index][column]), language=None, wrap_lines=True)


def _cut(text: Any) -> Any:
    """A text as one line of a table, with a sign where it goes on."""
    return f"{text[:CUT_LENGTH]}…" if isinstance(text, str) and len(text) > CUT_LENGTH else text


def _to_printable_row(row: Row) -> Row:
    """Nothing in a row turns the text around it, or hides in it."""
    return {label: to_printable(value) if isinstance(value, str) else value for label, value in row.items()}


def _time_format(rows: Sequence[Row], label: str) -> str:
    """Times with EDT or EST where the rows are near a clock change."""
    ambiguous = any(row[label] is not None and eastern_zone(row[label]) != "ET" for row in rows)
    return "D MMM HH:mm:ss" + (" z" if ambiguous else "")


def percent_column() -> Any:
    """A right-aligned column of percentages."""
    return st.column_config.NumberColumn(format="%.1f %%")


def text_table(rows: Sequence[Row], alt: str, empty: str) -> None:
    """A short table as text, each cell escaped unless it is our own markup."""
    if not rows:
        st.caption(text_format.escape_markdown(empty))
        return
    cells = [
        {
            label: value if isinstance(value, int) else text_format.escape_markdown(value or "—")
            for label, value in row.items()
        }
        for row in rows
    ]
    with st.container(key=f"rows {len(rows)} {alt}"):  # app/http/index_page.py keeps room for so many
        st.table(cells, border="horizontal", hide_index=True, alt=alt)


def to_csv(rows: Sequence[Row]) -> bytes:
    """Rows as CSV that a spreadsheet cannot run: text that would start a formula is quoted. Times are UTC."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(list(rows[0]) if rows else [])
    writer.writerows([_escape_csv_cell(value) for value in row.values()] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _escape_csv_cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return _FORMULA_START.sub(r"\1'\2", to_printable(value))
    return value
