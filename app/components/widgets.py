"""The components every page shares: the verdict, health badges, figures with their denominator, notices of missing data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import text_format
from app.state import background_cache, page_sources, session
from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem, Result, list_outdated, worst

T = TypeVar("T")

_STYLE_BY_HEALTH: dict[Health, tuple[str, str]] = {  # icon, Streamlit's colour name
    Health.OK: ("check_circle", "green"),
    Health.WARNING: ("warning", "orange"),
    Health.CRITICAL: ("error", "red"),
    Health.UNKNOWN: ("help", "violet"),
    Health.NONE_EXPECTED: ("bedtime", "gray"),
}


def badge(health: Health, word: str = "") -> text_format.SafeMarkdown:
    """A health word, or `word` in its place, with its icon; the colour only repeats them."""
    icon, color = _STYLE_BY_HEALTH[health]
    return text_format.SafeMarkdown(f":{color}-badge[:material/{icon}: {word or health}]")


def verdict(health: Health, headline: str, details: Iterable[str] = (), outdated: Sequence[Problem] = ()) -> None:
    """The page's headline in one line, with at most a short caption below it.

    `outdated` are those of the readings it is based on (`list_outdated`): with one it is unknown at best, and says why.
    """
    icon, color = _STYLE_BY_HEALTH[worst((health, Health.UNKNOWN)) if outdated else health]
    st.markdown(f"## :{color}[:material/{icon}:] {text_format.escape_keep_percent(headline)}")
    if rest := [text_format.escape_keep_percent(detail) for detail in details if detail]:
        st.caption(" · ".join(rest))
    render_outdated(outdated)
    session.yield_for_first_paint()


def answer_row() -> tuple[DeltaGenerator, DeltaGenerator]:
    """The two columns at the top of a page: the verdict, and beside it (below it on a phone) the action button."""
    row = st.container(horizontal=True, vertical_alignment="center", key="answer")
    return row.container(width="stretch"), row.container(width="content", horizontal=True)


def page_href(page: str, query_params: Mapping[str, str] | None = None) -> str:
    """The address of a page, with the chosen night unless other parameters are given."""
    path = "" if page == "overview" else page
    return f"/{path}?{urlencode(session.link_params() if query_params is None else query_params)}"


def signal_row(health: Health, name: str, text: str, page: str, word: str = "") -> str:
    """One row as Markdown: the health badge, the name as a link to its evidence, and a text."""
    return f"{badge(health, word)} [**{name}**]({page_href(page)}) {text_format.escape_keep_percent(text)}"


def metric_of_total(
    label: str, value: int | float | None, total: int | None = None, unit: str = "", note: str = "", page: str = ""
) -> None:
    """A number with its total; an unknown one is shown as unknown, never as 0."""
    value_text = "unknown" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    description = f"of {total:,} {note}".strip() if total is not None else note
    metric_card(label, f"{value_text} {unit}".strip() if value is not None else value_text, description, page)


def metric_card(label: str, value: str, description: str, page: str = "") -> None:
    """A bordered figure; its label links to the page with its evidence, where there is one."""
    linked_label = f"[{label}]({page_href(page)})" if page else label
    st.metric(linked_label, value, delta_description=description or None, border=True)


def segmented_choice(label: str, options: Sequence[str], key: str) -> str:
    """One of a few options, the first unless the URL names another."""
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


def value_or_notice(result: Result[T], label: str = "") -> T | None:
    """The value, with a notice where it is outdated; or None after showing that it is unknown, since when, why, and what to do."""
    if result.problem is not None:
        render_problem(result.problem, label)
    render_outdated(list_outdated((result,)))
    return result.value


def render_outdated(problems: Iterable[Problem]) -> None:
    """One line that names the sources whose last values are shown, how old these are and why; a page names each source once."""
    texts = [
        f"**{text_format.escape_markdown(problem.source)}:** {text_format.escape_markdown(problem.message)}"
        for problem in problems
        if background_cache.mention_once(problem.source)
    ]
    if texts:
        st.caption(f":orange[:material/history:] {' · '.join(texts)}")


def render_problem(problem: Problem, label: str = "") -> None:
    """A notice of missing data: never an empty table, a 0 or a green word in its place."""
    icon, color = _STYLE_BY_HEALTH[Health.UNKNOWN]
    with st.container(border=True, gap="xsmall"):
        subject = f"{text_format.escape_markdown(label)}: " if label else ""
        st.markdown(
            f":{color}[:material/{icon}:] **{subject}unavailable since {text_format.format_clock_time(problem.since)}**"
        )
        st.caption(f"{text_format.escape_markdown(problem.message)} {text_format.escape_markdown(problem.hint)}")


def render_problems(problems: Iterable[Problem]) -> None:
    """A notice for each source of a value that could not be read."""
    for problem in problems:
        render_problem(problem, problem.source)


def render_not_recorded(sources: Iterable[Problem]) -> None:
    """A caption for each source that does not exist in this installation, so that nothing of it can be shown."""
    for source in sources:
        text = f"{source.source}: not recorded in this installation ({source.message})"
        st.caption(text_format.escape_markdown(text))


def render_startup_error(error: OnCallError) -> None:
    """The whole page when the dashboard cannot start: the error and its hint."""
    st.markdown(f"### :violet[:material/help:] {text_format.escape_markdown(error.message)}")
    st.markdown(text_format.escape_markdown(error.hint))


def source_footer(sources: Sequence[DataSource], log_params: Mapping[str, str] | None = None) -> None:
    """Where a panel's figures come from, how old they are and what they cost, with the log lines about them: in the page's header."""
    page_sources.register(sources, log_params)


def render_query_cost() -> None:
    """What all users' reads have cost BigQuery since the dashboard's start, and how many log reads there were in the last minute."""
    cache = session.cached_clients().cache
    usage, log_reads = cache.usage, cache.log_reads_last_minute()
    st.caption(
        f"BigQuery cost since {text_format.format_clock_time(usage.since)}, all users:"
        f" {text_format.format_bytes(usage.bytes_billed)} ({text_format.pluralize(usage.queries, 'query', 'queries')})"
        f" · {text_format.pluralize(log_reads, 'log read')} in the last minute"
    )
