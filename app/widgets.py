"""The pieces every page shares: the verdict, health words, figures with their denominator, tables, and honest gaps."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import session
from services.foundation.clock import ET
from services.foundation.errors import OnCallError
from services.foundation.reading import Health, Problem, Reading, Source

T = TypeVar("T")
Row = Mapping[str, Any]

_LOOKS: dict[Health, tuple[str, str]] = {  # icon, Streamlit's colour name
    Health.OK: ("check_circle", "green"),
    Health.WARNING: ("warning", "orange"),
    Health.CRITICAL: ("error", "red"),
    Health.UNKNOWN: ("help", "violet"),
    Health.NONE_EXPECTED: ("bedtime", "gray"),
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]~<>$&]|:(?=//)|^[#+-](?=\s)|(?<=^\d)[.)]|(?<=^\d\d)[.)])")
_SHORTCODE = re.compile(r":(?=[\w+-][\w+/-]*[:\[])")  # :material/…:, :emoji:, :red[…]
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # the wide ones are read as the plain
ROW_PX = 28


class Markup(str):
    """Text that is ours and may be read as Markdown; everything else is escaped."""

    __slots__ = ()


def plain(text: object) -> str:
    """Any text as Markdown that shows exactly these characters: names and log lines must never format themselves."""
    if isinstance(text, Markup):
        return text
    return _SHORTCODE.sub(":\N{ZERO WIDTH SPACE}", _MARKDOWN.sub(r"\\\1", " ".join(str(text).split())))


def badge(health: Health) -> Markup:
    """A health word with its icon; the colour only repeats them."""
    icon, colour = _LOOKS[health]
    return Markup(f":{colour}-badge[:material/{icon}: {health}]")


def verdict(health: Health, sentence: str, details: Iterable[str] = ()) -> None:
    """The page's answer in one line, and at most a few words below it."""
    icon, colour = _LOOKS[health]
    st.markdown(f"## :{colour}[:material/{icon}:] {plain(sentence)}")
    if rest := [plain(detail) for detail in details if detail]:
        st.caption(" · ".join(rest))
    session.let_paint()


def count(value: int | None) -> int | str:
    """A number for a table, or the word for not knowing it."""
    return "unknown" if value is None else value


def answer() -> tuple[DeltaGenerator, DeltaGenerator]:
    """The two places at the top of a page: its verdict, and beside it (on a phone below it) the button that helps."""
    row = st.container(horizontal=True, vertical_alignment="center", key="answer")
    return row.container(width="stretch"), row.container(width="content", horizontal=True)


def signal(health: Health, name: str, text: str, page: str, query: dict[str, str]) -> None:
    """One row: state, what it is about with the way to its evidence, and what is known."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"signal {name}"):
        st.markdown(badge(health), width=106)
        way = f"../pages/{page}.py"
        st.page_link(way, label=f"**{name}**", help="Open its evidence", query_params=query, width=108)
        st.markdown(plain(text).replace(" %", "\N{NO-BREAK SPACE}%"), width="stretch")


def figure(
    label: str, value: int | float | None, of: int | None = None, unit: str = "", about: str = "", page: str = ""
) -> None:
    """A number with what it is a part of; one that is not known says so and never looks like 0."""
    shown = "unknown" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    beside = f"of {of:,} {about}".strip() if of is not None else about
    card(label, f"{shown} {unit}".strip() if value is not None else shown, beside, page)


def percentage(label: str, part: int | None, whole: int | None, about: str, instead: str = "", page: str = "") -> None:
    """A share with both its numbers: 43.0 % — 68 of 158 eligible; `instead` stands for it while there is none."""
    if part is None or whole is None:
        card(label, "unknown", f"of {about}", page)
    else:
        shown = instead or (f"{100 * part / whole:.1f} %" if whole else "none expected")
        card(label, shown, f"{part:,} of {whole:,} {about}", page)


def card(label: str, value: str, beside: str, page: str = "") -> None:
    """A figure in its frame; its name leads to the page with its evidence, where there is one."""
    if not page:
        st.metric(label, value, delta_description=beside or None, border=True)
        return
    with st.container(border=True, gap="xsmall", key=f"figure {label}"):
        way = f"../pages/{page}.py"
        st.page_link(way, label=label, help="Open its evidence", query_params=session.link())
        st.metric(label, value, delta_description=beside or None, label_visibility="collapsed")


def choice(label: str, options: Sequence[str], key: str) -> str:
    """One of a few, the first unless the address names another."""
    chosen = st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    return chosen or options[0]


def known(reading: Reading[T], what: str = "") -> T | None:
    """The fact, or None after saying on the page that it is unknown, since when, why, and what to do."""
    if reading.problem is not None:
        unknown(reading.problem, what)
    return reading.value


def unknown(problem: Problem, what: str = "") -> None:
    """A gap that is told: never an empty table, a 0 or a green word in its place."""
    icon, colour = _LOOKS[Health.UNKNOWN]
    with st.container(border=True, gap="xsmall"):
        subject = f"{plain(what)}: " if what else ""
        st.markdown(f":{colour}[:material/{icon}:] **{subject}unknown since {clock_time(problem.since)}**")
        st.caption(f"{plain(problem.sentence)} {plain(problem.remedy)}")


def gaps(problems: Iterable[Problem]) -> None:
    """What a fact had to leave out because one of its sources could not be read."""
    for problem in problems:
        unknown(problem, problem.source)


def calm(error: OnCallError) -> None:
    """The whole page when the desk cannot start: one sentence, and what to do."""
    st.markdown(f"### :violet[:material/help:] {plain(error.sentence)}")
    st.markdown(plain(error.remedy))


def footer(sources: Sequence[Source], now: datetime, log: dict[str, str] | None = None) -> None:
    """Where a panel's figures come from, how old they are, what they cost; and the way to the log lines about them."""
    if not sources:
        return
    asked: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        system, _, question = source.name.partition(", ")
        asked.setdefault((system, age(source.read_at, now)), []).append(question)
    told = [f"{system} {', '.join(_once(names))}".strip() + f" ({old})" for (system, old), names in asked.items()]
    billed = size(sum(source.bytes_billed for source in sources))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f":small[:material/database: {' · '.join(map(plain, told))} · {billed} billed]", width="stretch")
        if log is not None:
            label = f":small[Log: {log['search']}]"
            st.page_link("../pages/logs.py", label=label, icon=":material/article:", query_params=log)


def _once(names: Iterable[str]) -> list[str]:
    """Each name once, with how often it was asked."""
    return [f"{name} ×{times}" if times > 1 else name for name, times in Counter(names).items() if name]


def table(rows: Sequence[Row], name: str, alt: str, empty: str, height_rows: int = 14, **columns: Any) -> None:
    """A dense table with its own safe download; without rows, the sentence `empty`. `columns` are column_config."""
    if not rows:
        st.caption(plain(empty))
        return
    times = {
        label: st.column_config.DatetimeColumn(
            f"{label} (ET)", format="D MMM HH:mm:ss", timezone=str(ET), help="New York; the CSV has UTC"
        )
        for label, value in rows[0].items()
        if isinstance(value, datetime)
    }
    height = ROW_PX * (min(len(rows), height_rows) + 1) + 3
    st.dataframe(
        [dict(row) for row in rows],
        hide_index=True,
        row_height=ROW_PX,
        height=height,
        column_config={**times, **columns},
        placeholder="—",
        key=f"table {name}",
        alt=alt,
    )
    st.download_button(
        f"CSV, {len(rows):,} row{'' if len(rows) == 1 else 's'}",
        lambda: as_csv(rows),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"download {name}",
        on_click="ignore",
    )


def percent_column() -> Any:
    """Percentages right-aligned under each other."""
    return st.column_config.NumberColumn(format="%.1f %%")


def listing(rows: Sequence[Row], alt: str, empty: str) -> None:
    """A short table as text, each cell escaped unless it is our own markup."""
    if not rows:
        st.caption(plain(empty))
        return
    cells = [
        {label: value if isinstance(value, int) else plain(value or "—") for label, value in row.items()}
        for row in rows
    ]
    st.table(cells, border="horizontal", hide_index=True, alt=alt)


def as_csv(rows: Sequence[Row]) -> bytes:
    """Rows as CSV that a spreadsheet cannot run: text that would start a formula is quoted. Times are UTC."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(list(rows[0]) if rows else [])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and (value.lstrip().startswith(_FORMULA) or value.startswith(_FORMULA)):
        return f"'{value}"
    return value


def clock_time(at: datetime) -> str:
    """14:47 ET (19:47 UTC)."""
    return f"{at.astimezone(ET):%H:%M} ET ({at:%H:%M} UTC)"


def exact_time(at: datetime) -> str:
    """14:47:51 ET (19:47:51 UTC)."""
    return f"{at.astimezone(ET):%H:%M:%S} ET ({at:%H:%M:%S} UTC)"


def day_time(at: datetime | None) -> str:
    """29 Dec 14:47 ET (19:47 UTC), or a dash when nothing recorded it."""
    if at is None:
        return "—"
    there = at.astimezone(ET)
    return f"{there.day} {there:%b} {clock_time(at)}"


def age(at: datetime, now: datetime) -> str:
    """How long ago, in the unit a person would use."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def size(count: int | None) -> str:
    """Bytes in the unit a person would use."""
    if count is None:
        return "unknown"
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count} B"
