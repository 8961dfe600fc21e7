"""Aliases: which names of the odds meet no player, whom they mean, and one player under one name."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from app import alias_panels, reads, session, widgets
from services.foundation.reading import Health
from services.names.unresolved import Names

SPANS = {"This night": 1, "7 nights": 7, "14 nights": 14}
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


def names_room(names: Names) -> None:
    widgets.table(
        [alias_panels.as_row(each) for each in names.unresolved],
        name=f"names-{game_date}",
        alt="Names that do not resolve",
        empty="Every name of the odds meets a player of the context.",
        height_rows=16,
    )
    alias_panels.form(names)
    with st.expander("Who resolves names, and what it costs"):
        alias_panels.processors(names, first, game_date)


def aliases_room(names: Names) -> None:
    alias_panels.faults(names.book)
    alias_panels.one_alias(names.book)
    widgets.table(
        alias_panels.alias_rows(names.book),
        name="aliases",
        alt="Every alias",
        empty="There is no alias.",
        height_rows=12,
    )


def show(names: Names) -> None:
    since = "" if first == game_date else f"{first:%-d %b} to "
    with answer:
        widgets.verdict(health(names), headline(names), [f"{since}{game_date:%-d %b %Y}, odds against context"])
    room = st.segmented_control(
        "Show",
        ROOMS,
        default=ROOMS[0],
        required=True,
        key="alias_room",
        bind="query-params",
        label_visibility="collapsed",
    )
    if room == "Identities":
        alias_panels.identities(names.book)
    elif room == "Aliases":
        aliases_room(names)
    else:
        names_room(names)
    widgets.footer(names.sources, cloud.now())


answer = st.container()
span = st.segmented_control(
    "Span",
    list(SPANS),
    default="This night",
    required=True,
    key="alias_span",
    bind="query-params",
    label_visibility="collapsed",
)
first = game_date - timedelta(days=SPANS[span or "This night"] - 1)
names = widgets.known(reads.names(cloud, first, game_date), "The names")
if names is not None:
    show(names)
