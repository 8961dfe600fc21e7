"""The pieces every page shares: the verdict, health words, figures with their denominator, and honest gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import text_format as words
from app.state import session
from services.core.errors import OnCallError
from services.core.result import Health, Problem, Reading, Source

T = TypeVar("T")

_LOOKS: dict[Health, tuple[str, str]] = {  # icon, Streamlit's colour name
    Health.OK: ("check_circle", "green"),
    Health.WARNING: ("warning", "orange"),
    Health.CRITICAL: ("error", "red"),
    Health.UNKNOWN: ("help", "violet"),
    Health.NONE_EXPECTED: ("bedtime", "gray"),
}


def badge(health: Health) -> words.Markup:
    """A health word with its icon; the colour only repeats them."""
    icon, colour = _LOOKS[health]
    return words.Markup(f":{colour}-badge[:material/{icon}: {health}]")


def verdict(health: Health, sentence: str, details: Iterable[str] = ()) -> None:
    """The page's answer in one line, and at most a few words below it."""
    icon, colour = _LOOKS[health]
    st.markdown(f"## :{colour}[:material/{icon}:] {words.whole(sentence)}")
    if rest := [words.whole(detail) for detail in details if detail]:
        st.caption(" · ".join(rest))
    session.let_paint()


def answer() -> tuple[DeltaGenerator, DeltaGenerator]:
    """The two places at the top of a page: its verdict, and beside it (on a phone below it) the button that helps."""
    row = st.container(horizontal=True, vertical_alignment="center", key="answer")
    return row.container(width="stretch"), row.container(width="content", horizontal=True)


def signal(health: Health, name: str, text: str, page: str, query: dict[str, str]) -> None:
    """One row: state, what it is about with the way to its evidence, and what is known."""
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"signal {name}"):
        st.markdown(badge(health), width=106)
        way = f"../pages/{page}.py"
        st.page_link(way, label=f"**{name}**", query_params=query, width=108)
        st.markdown(words.whole(text), width="stretch")


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
        st.page_link(way, label=label, query_params=session.link())
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
        subject = f"{words.plain(what)}: " if what else ""
        st.markdown(f":{colour}[:material/{icon}:] **{subject}unknown since {words.clock_time(problem.since)}**")
        st.caption(f"{words.plain(problem.sentence)} {words.plain(problem.remedy)}")


def gaps(problems: Iterable[Problem]) -> None:
    """What a fact had to leave out because one of its sources could not be read."""
    for problem in problems:
        unknown(problem, problem.source)


def calm(error: OnCallError) -> None:
    """The whole page when the desk cannot start: one sentence, and what to do."""
    st.markdown(f"### :violet[:material/help:] {words.plain(error.sentence)}")
    st.markdown(words.plain(error.remedy))


def footer(sources: Sequence[Source], now: datetime, log: dict[str, str] | None = None) -> None:
    """Where a panel's figures come from, how old they are, what they cost; and the way to the log lines about them."""
    if not sources:
        return
    asked: dict[tuple[str, str], list[str]] = {}
    for source in sources:
        system, _, question = source.name.partition(", ")
        asked.setdefault((system, words.age(source.read_at, now)), []).append(question)
    told = [f"{system} {', '.join(_once(names))}".strip() + f" ({old})" for (system, old), names in asked.items()]
    billed = words.size(sum(source.bytes_billed for source in sources))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f":small[:material/database: {' · '.join(map(words.plain, told))} · {billed} billed]", width="stretch"
        )
        if log is not None:
            label = f":small[Log: {log['search']}]"
            st.page_link("../pages/logs.py", label=label, icon=":material/article:", query_params=log)


def _once(names: Iterable[str]) -> list[str]:
    """Each name once, with how often it was asked."""
    return [f"{name} ×{times}" if times > 1 else name for name, times in Counter(names).items() if name]
