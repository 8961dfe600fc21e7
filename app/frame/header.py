"""The bar above every page: its title, the game date, how fresh its data is, and what was done lately."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from html import escape

import streamlit as st

from app.components import text_format, widgets
from app.frame.pages import Entry
from app.state import background_cache, page_sources, reads, session
from services.core.clock import eastern_day, format_day, format_eastern

PREVIOUS_DATE, NEXT_DATE = "Previous game date", "Next game date"  # the keys `[` and `]` press these, by their keys


class Header:
    """The bar. Its places are there before the page runs, and are filled after it, so that nothing moves."""

    def __init__(self, entry: Entry, chosen: session.ChosenNight) -> None:
        self._entry, self._chosen = entry, chosen
        bar = st.container(horizontal=True, vertical_alignment="center", gap="small", key="bar")
        bar.title(entry.title, anchor=False, width="content")
        # Widgets with scripts of their own come last: a browser without a cache loads them one after another.
        self._dates = bar.container(
            horizontal=True, vertical_alignment="center", gap=None, width="content", key="dates"
        )
        bar.space("stretch")
        self._freshness = bar.container(width="content", key="freshness")
        self._waiting = self._freshness.empty()
        self.bell = bar.container(width="content", key="bell")
        if chosen.changed_from:
            _render_night_change(chosen.game_date, chosen.changed_from)
        if chosen.notice:
            _render_notice(chosen.notice)

    def show_waiting(self, source: str) -> None:
        """Which source the page waits for, until it is filled."""
        self._waiting.caption(f":material/hourglass_empty: Waiting for {text_format.escape_markdown(source)}…")

    def fill(self) -> None:
        """Draw the date picker and the sources, now that the page is there."""
        if self._entry.of_date:
            with self._dates:
                _render_date_picker(self._chosen.game_date)
        self._waiting.empty()
        with self._freshness:
            _render_freshness()


def _render_night_change(day: date, changed_from: date) -> None:
    """That the page turned to a new night by itself, until it is dismissed; beside it the way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f":material/event: Game date changed to {format_day(day)} at 06:00 ET", width="content")
        back = f"Show {format_day(changed_from)}"
        st.button(back, on_click=session.set_night, args=(changed_from,), type="tertiary")
        st.button("Dismiss", key="dismiss night change", on_click=session.dismiss_night_change, type="tertiary")


def _render_notice(notice: str) -> None:
    """Why another date is shown than the address named, until it is dismissed or another date is chosen."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.warning(notice, icon=":material/event_busy:", width="stretch")
        st.button("Dismiss", key="dismiss notice", on_click=session.dismiss_notice, type="tertiary")


def _render_date_picker(day: date) -> None:
    today = eastern_day(session.now())
    _date_button(PREVIOUS_DATE, day - timedelta(days=1), disabled=False)
    with st.container(key="date", width=144):
        first = reads.first_night.peek(session.cached_clients())
        st.date_input(
            "Game date",
            value=day,
            key=(
                key := f"date picker {day}"
            ),  # else the browser's old date would count as picked after an interrupted run
            min_value=min(first or day, day) if first else None,
            max_value=max(today, day),
            on_change=session.on_date_picked,
            args=(key,),
            label_visibility="collapsed",
            format="YYYY-MM-DD",
        )
        # Lies over the field, which knows no weekdays, until the field has the focus.
        weekday_and_day, _, year = format_day(day).rpartition(" ")
        st.html(
            f'<span class="day" aria-hidden="true">{escape(weekday_and_day)}<span>&nbsp;{escape(year)}</span></span>'
        )
    _date_button(NEXT_DATE, day + timedelta(days=1), disabled=day >= today)


def _date_button(label: str, target: date, disabled: bool) -> None:
    """The stylesheet draws an arrow in the place of its name."""
    st.button(label, key=label, on_click=session.set_night, args=(target,), disabled=disabled, type="tertiary")


def _render_freshness() -> None:
    """How long ago the page's data was read, in one line; behind it every source, its age, its cost and its log."""
    now, page, since = session.now(), page_sources.current(), session.paused_since()
    with st.popover(_freshness_label(page, now, since), type="tertiary", key="sources"):
        if since:
            st.markdown(f":material/pause_circle: Auto-refresh paused since {text_format.format_clock_time(since)}")
        st.markdown(_describe_sources(page, now))


def _freshness_label(page: page_sources.PageSources, now: datetime, paused_since: datetime | None) -> str:
    if paused_since:
        return f":orange[:material/pause_circle: Paused {format_eastern(paused_since)}]"
    ages = [source.read_at for source in page.sources]
    if not ages:
        return "Data sources"
    if background_cache.any_mentioned():
        return f":orange[:material/history: Oldest data {text_format.format_age(min(ages), now)}]"
    return f"Updated {text_format.format_age(max(ages), now)}"


def _second_line(text: str) -> str:
    return f"  \n  :gray[:small[{text_format.escape_markdown(text)}]]" if text else ""


def _describe_sources(page: page_sources.PageSources, now: datetime) -> str:
    """The sources as Markdown: one line each system and age, what they cost together, and the links to their log lines."""
    if not page.sources:
        return "This page reads no data."
    queries: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source in sorted(page.sources, key=lambda source: source.name):
        system, _, query = source.name.partition(", ")
        queries[system, text_format.format_age(source.read_at, now)].append(query)
    lines = ["**Data sources**"]
    for (system, age), names in queries.items():
        detail = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in Counter(names).items() if name)
        lines.append(f"- {text_format.escape_markdown(system)} · {age}" + _second_line(detail))
    billed = text_format.format_bytes(sum(source.bytes_billed for source in page.sources))
    lines += ["", f":gray[BigQuery cost of these reads: {billed}]"]
    lines += [
        f"\n[:material/article: Log: {search}]({widgets.page_href('logs', params)})"
        for search, params in page.log_searches.items()
    ]
    return "\n".join(lines)
