"""The chosen date beside another one, where the address names one: ?compare=2025-12-28."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

import streamlit as st

from app.components import text_format, widgets
from app.components.html_table import Cell, Column, Link, Mark, show_table
from app.state import reads, session
from services.core.clock import eastern_day, format_day, format_short_day
from services.core.result import Health, list_outdated
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement, judge_night
from services.reports.night_comparison import (
    ComparedFigure,
    NightComparison,
    Value,
    compare_nights,
    describe_night,
    find_night_before,
)

COMPARE_PARAM = "compare"  # the name in the URL
_ICON = ":material/compare_arrows:"
_NOTICE_KEY = "compare notice"  # why no other date is shown, and beside which one
_CAPACITY_TEXT = "Worker capacity is that of the revisions deployed; a limit of the whole service may be lower."


def button(facts: NightFacts) -> None:
    """Shows the chosen date beside the last one before it that had games, on this page."""
    if (before := _night_before(facts)) is not None:
        label = f"Compare with {format_short_day(before)}"
        st.button(label, icon=_ICON, type="tertiary", key="compare", on_click=_open, args=(before,))


def link(facts: NightFacts) -> None:
    """Leads there from another page."""
    if (before := _night_before(facts)) is not None:
        params = {**session.link_params(), COMPARE_PARAM: before.isoformat()}
        label = f"Compare with {format_short_day(before)}"
        st.page_link("../pages/coverage.py", label=label, icon=_ICON, query_params=params)


def _night_before(facts: NightFacts) -> date | None:
    return find_night_before(facts.usual.value.days if facts.usual.value else (), facts.game_date)


def start(clients: Clients, game_date: date) -> Callable[[NightFacts, NightJudgement], None] | None:
    """Begin to read the other date; the returned function shows both. None where the address names none that can be shown."""
    texts = st.query_params.get_all(COMPARE_PARAM)
    if not texts:
        return None
    other, reason = session.read_date(texts, clients.now(), partial(reads.first_stored_night, clients))
    if other == game_date:
        other, reason = (
            None,
            f"{format_day(game_date)} is the date shown; choose another one to compare it with.",
        )
    st.session_state[_NOTICE_KEY] = (reason, game_date)
    if other is None:
        del st.query_params[COMPARE_PARAM]
        return None
    wait_for_facts, wait_for_deploys = reads.night_facts_async(clients, other), reads.deploys.fetch_async(clients)

    def show(facts: NightFacts, judgement: NightJudgement) -> None:
        other_facts, deploys = wait_for_facts(), wait_for_deploys()
        other_judgement, worker = judge_night(other_facts, clients.settings), clients.settings.worker_service
        comparison = compare_nights(
            describe_night(facts, judgement, deploys.value, worker),
            describe_night(other_facts, other_judgement, deploys.value, worker),
        )
        with st.container(border=True, key="card comparison"):
            _render(clients, comparison)
            for reading in (other_facts.night, other_facts.batches, other_facts.writes, deploys):
                if reading.problem is not None:
                    widgets.render_problem(reading.problem, format_day(other))
            widgets.render_outdated((*other_facts.outdated, *list_outdated((deploys,))))
        sources = (*other_judgement.sources, *((deploys.value.source,) if deploys.value else ()))
        widgets.source_footer(sources)

    return show


def render_notice(game_date: date) -> None:
    """Why the date that the address named is not beside this one, until another is chosen."""
    reason, noticed_on = st.session_state.get(_NOTICE_KEY, ("", None))
    if reason and noticed_on == game_date:
        st.warning(reason, icon=":material/event_busy:")


def _render(clients: Clients, comparison: NightComparison) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(comparison.headline, anchor=False, width="stretch", help=_CAPACITY_TEXT)
        _render_picker(clients, comparison.other_date)
        st.page_link("../pages/coverage.py", label="Close", icon=":material/close:", query_params=session.link_params())
    days = (comparison.game_date, comparison.other_date)
    columns = (
        Column("Figure"),
        *(Column(format_short_day(day)) for day in days),
        Column("Difference", numeric=True, minor=True),
    )
    alt = f"Figures of {format_short_day(days[0])} that differ from {format_short_day(days[1])}"
    show_table(columns, [_to_row(f) for f in comparison.differing], alt=alt, empty="No figure differs.")
    if comparison.equal:
        with st.expander(text_format.pluralize(len(comparison.equal), "equal figure")):
            rows = [_to_row(figure) for figure in comparison.equal]
            show_table(columns, rows, alt=f"Figures equal to {format_short_day(days[1])}", empty="")


def _render_picker(clients: Clients, other: date) -> None:
    key, first = f"compare with {other}", reads.first_night.peek(clients)
    with st.container(width=144, key="compare date"):
        st.date_input(
            "Compare with",
            value=other,
            key=key,
            min_value=min(first, other) if first else None,
            max_value=eastern_day(clients.now()),
            on_change=_on_picked,
            args=(key,),
            label_visibility="collapsed",
            format="YYYY-MM-DD",
        )


def _on_picked(key: str) -> None:
    _open(st.session_state[key])


def _open(other: date) -> None:
    st.query_params[COMPARE_PARAM] = other.isoformat()


def _to_row(figure: ComparedFigure) -> tuple[Cell, ...]:
    label = Link(figure.label, figure.page, session.link_params())
    return label, _to_cell(figure.value), _to_cell(figure.other), figure.difference


def _to_cell(value: Value) -> Cell:
    return value.text if value.health is Health.NONE_EXPECTED else Mark(value.text, value.health)
