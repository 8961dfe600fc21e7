"""The alias form and what stands beside it: several at once or pasted, each existing alias corrected, turned round or switched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import streamlit as st

from app import actions, widgets
from services.foundation.errors import BadInput
from services.foundation.reading import Health
from services.names.book import Book
from services.names.checks import Finding, Weight, check
from services.names.edits import Do, Edit, as_args, correct, parse, turn_round, with_turns
from services.names.merging import MERGE_IDENTITIES
from services.names.saving import EDIT
from services.names.twins import find_twins
from services.names.unresolved import Names, Unresolved


def proposed(unresolved: Sequence[Unresolved]) -> str:
    """The likely proposals as lines of the form; nothing else is filled in by itself."""
    wanted = [each for each in unresolved if not each.alias_canonical]
    return "\n".join(f"{u.lookup},{u.proposals[0].lookup}" for u in wanted if u.proposals and u.proposals[0].likely)


def form(names: Names) -> None:
    """New aliases, one a line. Bad lines are named, and nothing of them is planned."""
    filled = proposed(names.unresolved)
    text = st.text_area(
        "New aliases: `alias,canonical`, one a line",
        value=filled,
        key=f"alias lines {hash(filled)}",
        height=150,
        help="Filled with the likely ones; change what is wrong. The plan checks every line before anything is saved.",
    )
    try:
        edits = with_turns(parse(text), names.book.active) if text.strip() else ()
    except BadInput as error:
        st.error(widgets.plain(str(error)), icon=":material/error:")
        return
    turned = [edit for edit in edits if edit.do is Do.DEACTIVATE]
    for edit in turned:
        st.caption(f":material/swap_horiz: {edit.alias} → {edit.canonical} points the other way: it is turned round.")
    if edits:
        save(edits, f"Check and save {len(edits) - len(turned)}", "form", primary=True)
    else:
        st.caption("Nothing is written, so nothing would be saved.")


def save(edits: Sequence[Edit], label: str, key: str, primary: bool = False) -> None:
    actions.offer(EDIT, label, key=key, primary=primary, edits=as_args(edits)["edits"])


def one_alias(book: Book) -> None:
    """An alias that is there: correct it, turn it round, switch it off or on."""
    rows = {f"{row.alias} → {row.canonical}": row for row in book.aliases}
    chosen = st.selectbox("An alias that is there", list(rows), index=None, key="alias chosen")
    if chosen is None:
        return
    row = rows[chosen]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if row.active:
            right = st.selectbox("It should lead to", sorted(book.lookups), index=None, key="alias right")
            if right:
                save(correct(row.alias, row.canonical, right), "Correct", "correct")
            save(turn_round(row.alias, row.canonical), "Turn round", "turn")
            save([Edit(Do.DEACTIVATE, row.alias, row.canonical)], "Deactivate", "off")
        else:
            save([Edit(Do.ADD, row.alias, row.canonical)], "Activate again", "on")


def faults(book: Book) -> tuple[Finding, ...]:
    """What the checks find about the aliases that are there."""
    found = check(book)
    words = {Weight.ERROR: Health.CRITICAL, Weight.WARNING: Health.WARNING}
    widgets.listing(
        [{"": widgets.badge(words[f.weight]), "alias": f.alias, "what is wrong": f.sentence} for f in found],
        alt="Faults of the aliases",
        empty=f"The checks find nothing wrong with {len(book.active):,} active aliases.",
    )
    return found


def identities(book: Book) -> None:
    """One player under two ids: what speaks for and against it, and the way to make them one."""
    twins = find_twins(book)
    if not twins:
        st.caption(f":material/check: No two of {len(book.lookups):,} registered names look like one player.")
    for pair in twins:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            against = "; ".join(pair.speaks_against) or "nothing"
            st.markdown(
                f"**{widgets.plain(pair.keep)}** and **{widgets.plain(pair.merge)}**  \n"
                f"for: {widgets.plain('; '.join(pair.speaks_for) or 'nothing')} · against: {widgets.plain(against)}"
            )
            actions.offer(MERGE_IDENTITIES, "Make them one", key=pair.merge, keep=pair.keep, merge=pair.merge)


def processors(names: Names, first: date, last: date) -> None:
    """Who of the customer's processors resolves names, and what it costs where the odds do not."""
    nights = (last - first).days + 1
    cost = sum(each.lost for each in names.unresolved)
    by_alias = sum(each.lost for each in names.unresolved if each.alias_canonical)
    told = f"{cost:,} player-nights in {nights} nights met nobody; {by_alias:,} of them through an alias that is there"
    rows = [
        ("Odds (OddsApiPropsProcessor)", "no", told),
        ("Betting lines (BettingPropsProcessor)", "no", "not measured: its table is not read here"),
        ("Feature store (MLFeatureStoreProcessor)", "no", "not measured: its table is not read here"),
        ("Game summaries (PlayerGameSummary)", "yes", "none"),
        ("Context (UpcomingPlayerGameContext)", "yes", "none"),
        ("This desk: coverage, missing players, aliases", "yes", "none"),
    ]
    widgets.listing(
        [{"processor": name, "resolves names": yes, "measured cost": cost_told} for name, yes, cost_told in rows],
        alt="Which processors resolve names",
        empty="",
    )


def as_row(each: Unresolved) -> dict[str, object]:
    first = each.proposals[0] if each.proposals else None
    stood = each.standings.get(each.dates[-1])
    return {
        "name": each.name,
        "in the odds as": each.lookup,
        "nights": len(each.dates),
        "lost": each.lost,
        "since": each.dates[0],
        "likely": each.likely or "nobody",
        "because": "an active alias" if each.alias_canonical else first.reason if first else "",
        "comes down to": each.says,
        "stood": stood.sentence if stood else "not known",
        "teams of that game": "/".join(sorted(each.teams)),
        "rules disagree": "yes" if each.rules_disagree else "",
    }


def alias_rows(book: Book) -> list[dict[str, object]]:
    """Every alias as the table has it."""
    return [{**asdict(row), "active": "active" if row.active else "inactive"} for row in book.aliases]
