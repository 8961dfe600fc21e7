"""Aliases: which odds-feed names match no player, whom they mean, and duplicate players."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from app.components import tables, widgets
from app.panels import alias_panels
from app.state import reads, session
from services.aliases.unresolved import NameResolutionReport
from services.core.result import Health, list_outdated
from services.core.text import pluralize

SPANS = {"This night": 1, "7 nights": 7, "14 nights": 14}
CUSTOM_SPAN = "Other nights"
MAX_DAYS = 190  # a season's half: beyond it the odds of a day cost more than they are worth
TABS = ("Names", "Aliases", "Identities")

cloud, game_date = session.cached_clients(), session.game_date()


def health(names: NameResolutionReport) -> Health:
    if not names.unresolved:
        return Health.OK
    return Health.WARNING if any(name.nights_lost for name in names.unresolved) else Health.OK


def headline(names: NameResolutionReport) -> str:
    """The verdict on the odds names, in one line."""
    if not names.unresolved:
        return "Every name with odds is in context"
    with_alias = sum(bool(name.alias_canonical) for name in names.unresolved)
    inactive = sum(not name.nights_lost for name in names.unresolved)
    out_text = f"; {inactive} of them {'was' if inactive == 1 else 'were'} out" if inactive else ""
    return (
        f"{pluralize(len(names.unresolved), 'name')} with odds not in context: an alias would resolve {with_alias},"
        f" {len(names.unresolved) - with_alias} without an alias{out_text}"
    )


def choose_date_range() -> tuple[date, date] | None:
    """The first and the last night shown; None while only one of them is chosen."""
    chosen = widgets.segmented_choice("Span", [*SPANS, CUSTOM_SPAN], "alias_span")
    if chosen != CUSTOM_SPAN:
        return game_date - timedelta(days=SPANS[chosen] - 1), game_date
    picked = st.date_input("From and to", (game_date - timedelta(days=20), game_date), key="alias dates", width=280)
    dates = tuple(picked) if isinstance(picked, tuple) else (picked,)
    if len(dates) < 2:
        st.caption("Choose the last night too.")
    elif (dates[1] - dates[0]).days >= MAX_DAYS:
        st.warning(f"At most {MAX_DAYS} nights are read at once.", icon=":material/warning:")
    else:
        return dates[0], dates[1]
    return None


def names_tab(names: NameResolutionReport) -> None:
    alias_panels.resolution_summary(names)
    tables.data_grid(
        [alias_panels.to_table_row(unresolved) for unresolved in names.unresolved],
        name=f"names-{first}-{last}",
        alt="Names that do not resolve",
        empty="Every name with odds is in context.",
        height_rows=16,
    )
    alias_panels.alias_form(names)
    with st.expander("Who resolves names, and what it costs"):
        alias_panels.processor_table(names)


def aliases_tab(names: NameResolutionReport) -> None:
    alias_panels.validation_table(names.registry)
    alias_panels.edit_alias_form(names.registry)
    tables.data_grid(
        alias_panels.alias_rows(names.registry),
        name="aliases",
        alt="Every alias",
        empty="There is no alias.",
        height_rows=12,
    )


def render(names: NameResolutionReport) -> None:
    dates_text = f"{last:%-d %b %Y}" if first == last else f"{first:%-d %b} to {last:%-d %b %Y}"
    with answer_container:
        details = [f"{dates_text}, odds against context"]
        widgets.verdict(health(names), headline(names), details, list_outdated((reading,)))
    tab = widgets.segmented_choice("Show", TABS, "alias_room")
    if tab == "Identities":
        alias_panels.duplicate_identities(names.registry)
    elif tab == "Aliases":
        aliases_tab(names)
    else:
        names_tab(names)
    widgets.source_footer(names.sources)


answer_container = st.container()
if (nights := choose_date_range()) is not None:
    first, last = nights
    reading = reads.names(cloud, first, last)
    names = widgets.value_or_notice(reading, "The names")
    if names is not None:
        render(names)
