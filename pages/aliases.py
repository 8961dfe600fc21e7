"""Aliases: which names of the odds meet no player, whom they mean, and one player under one name."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st

from app.components import tables, widgets
from app.panels import alias_panels
from app.state import reads, session
from services.aliases.unresolved import Names
from services.core.result import Health

SPANS = {"This night": 1, "7 nights": 7, "14 nights": 14}
OTHER = "Other nights"
MOST_DAYS = 190  # a season's half: beyond it the odds of a day cost more than they tell
ROOMS = ("Names", "Aliases", "Identities")

cloud, game_date = session.cloud(), session.game_date()


def health(names: Names) -> Health:
    if not names.unresolved:
        return Health.OK
    return Health.WARNING if any(each.lost for each in names.unresolved) else Health.OK


def headline(names: Names) -> str:
    """What the names come down to, in one line."""
    if not names.unresolved:
        return "Every name of the odds meets a player of the context"
    lost = [each for each in names.unresolved if each.lost]
    unused = sum(bool(each.alias_canonical) for each in lost)
    out = len(names.unresolved) - len(lost)
    return (
        f"{len(names.unresolved)} names of the odds meet no player: {unused} have an alias that the odds do not use,"
        f" {len(lost) - unused} have none, {out} {'was' if out == 1 else 'were'} out"
    )


def span() -> tuple[date, date] | None:
    """The first and the last night that are looked at; None while only one of them is chosen."""
    chosen = widgets.choice("Span", [*SPANS, OTHER], "alias_span")
    if chosen != OTHER:
        return game_date - timedelta(days=SPANS[chosen] - 1), game_date
    told = st.date_input("From and to", (game_date - timedelta(days=20), game_date), key="alias dates", width=280)
    days = tuple(told) if isinstance(told, tuple) else (told,)
    if len(days) < 2:
        st.caption("Choose the last night too.")
    elif (days[1] - days[0]).days >= MOST_DAYS:
        st.warning(f"At most {MOST_DAYS} nights are read at once.", icon=":material/warning:")
    else:
        return days[0], days[1]
    return None


def names_room(names: Names) -> None:
    alias_panels.effect(names)
    tables.table(
        [alias_panels.as_row(each) for each in names.unresolved],
        name=f"names-{first}-{last}",
        alt="Names that do not resolve",
        empty="Every name of the odds meets a player of the context.",
        height_rows=16,
    )
    alias_panels.form(names)
    with st.expander("Who resolves names, and what it costs"):
        alias_panels.processors(names)


def aliases_room(names: Names) -> None:
    alias_panels.faults(names.book)
    alias_panels.one_alias(names.book)
    tables.table(
        alias_panels.alias_rows(names.book),
        name="aliases",
        alt="Every alias",
        empty="There is no alias.",
        height_rows=12,
    )


def show(names: Names) -> None:
    nights = f"{last:%-d %b %Y}" if first == last else f"{first:%-d %b} to {last:%-d %b %Y}"
    with answer:
        widgets.verdict(health(names), headline(names), [f"{nights}, odds against context"])
    room = widgets.choice("Show", ROOMS, "alias_room")
    if room == "Identities":
        alias_panels.identities(names.book)
    elif room == "Aliases":
        aliases_room(names)
    else:
        names_room(names)
    widgets.footer(names.sources, cloud.now())


answer = st.container()
if (nights := span()) is not None:
    first, last = nights
    names = widgets.known(reads.names(cloud, first, last), "The names")
    if names is not None:
        show(names)
