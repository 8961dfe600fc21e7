"""The alias form and what stands beside it: several at once or pasted, each existing alias corrected, turned round or switched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import streamlit as st

from app.actions import dialog as actions
from app.components import tables, widgets
from app.components import text_format as words
from services.aliases.edits import Do, Edit, as_args, correct, parse_lines, turn_round, with_turns
from services.aliases.identities.duplicates import find_twins
from services.aliases.identities.merge import MERGE_IDENTITIES, stopped_halfway
from services.aliases.save import EDIT, judge
from services.aliases.unresolved import Names, Unresolved
from services.aliases.validation import Finding, Weight, check
from services.core.errors import BadInput
from services.core.result import Health
from services.names.registry import Book


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
        lines = parse_lines(text) if text.strip() else {}
    except BadInput as error:
        st.error(words.plain(str(error)), icon=":material/error:")
        return
    new = {n: e for n, e in lines.items() if e.canonical not in names.book.active.get(e.alias, ())}
    _offer_lines(names.book, new)
    if len(new) < len(lines):
        st.caption(f":material/check: {len(lines) - len(new)} of {len(lines)} are active already and stay as they are.")


def _offer_lines(book: Book, lines: Mapping[int, Edit]) -> None:
    """The button for these lines; where an error stops one of them, its line and no button, because all or none are saved."""
    edits = with_turns(lines.values(), book.active)
    for edit in (edit for edit in edits if edit.do is Do.DEACTIVATE):
        st.caption(f":material/swap_horiz: {edit.alias} → {edit.canonical} points the other way: it is turned round.")
    number = {edit.alias: n for n, edit in reversed(list(lines.items()))}
    errors = _errors(book, edits)
    for finding in errors:
        line = number.get(finding.alias) or number.get(finding.canonical)
        where = f"Line {line}: " if line else ""
        st.error(words.plain(f"{where}{finding.sentence}"), icon=":material/error:")
    if errors:
        st.caption("Nothing is saved while a line is wrong.")
    elif edits:
        save(edits, f"Check and save {len(lines)}", "form", primary=True)
    else:
        st.caption("Nothing new is written, so nothing would be saved.")


def _errors(book: Book, edits: Sequence[Edit]) -> tuple[Finding, ...]:
    """What stops these lines; judged once for the same book and lines, however often the page is drawn."""
    held = st.session_state.get("judged")
    if held is None or held[0] is not book or held[1] != edits:
        st.session_state["judged"] = held = (book, edits, judge(book, edits).errors)
    errors: tuple[Finding, ...] = held[2]
    return errors


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
            others = sorted(book.lookups - {row.canonical, row.alias})
            right = st.selectbox("It should lead to", others, index=None, key="alias right")
            if right:
                save(correct(row.alias, row.canonical, right), "Correct", "correct")
            save(turn_round(row.alias, row.canonical), "Turn round", "turn")
            save([Edit(Do.DEACTIVATE, row.alias, row.canonical)], "Deactivate", "off")
        else:
            save([Edit(Do.ADD, row.alias, row.canonical)], "Activate again", "on")


def faults(book: Book) -> tuple[Finding, ...]:
    """What the checks find about the aliases that are there."""
    found = check(book)
    healths = {Weight.ERROR: Health.CRITICAL, Weight.WARNING: Health.WARNING}
    tables.listing(
        [{"": widgets.badge(healths[f.weight]), "alias": f.alias, "what is wrong": f.sentence} for f in found],
        alt="Faults of the aliases",
        empty=f"The checks find nothing wrong with {len(book.active):,} active aliases.",
    )
    return found


def identities(book: Book) -> None:
    """One player under two ids: what speaks for and against it, and the way to make them one."""
    for keep, other in stopped_halfway(book):
        st.error(
            f"Making {words.plain(other)} one with {words.plain(keep)} stopped halfway: its alias is there, the registry still"
            " has two. Finish it here, or separate them again in the action log.",
            icon=":material/error:",
        )
    twins = find_twins(book)
    if not twins:
        st.caption(f":material/check: No two of {len(book.lookups):,} registered names look like one player.")
    for pair in twins:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            against = "; ".join(pair.speaks_against) or "nothing"
            st.markdown(
                f"**{words.plain(pair.keep)}** and **{words.plain(pair.merge)}**  \n"
                f"for: {words.plain('; '.join(pair.speaks_for) or 'nothing')} · against: {words.plain(against)}"
            )
            actions.offer(MERGE_IDENTITIES, "Make them one", key=pair.merge, keep=pair.keep, merge=pair.merge)


def effect(names: Names) -> None:
    """What the aliases do, as a sum of the names of the odds."""
    told = names.effects.together
    st.markdown(
        f"**{told.names:,} names with odds = {told.exact:,} exact + {told.by_alias:,} through an alias"
        f" + {told.unresolved:,} unresolved**"
    )


def processors(names: Names) -> None:
    """Who of the customer's processors resolves names, and what it costs where the odds do not."""
    nights = len(names.effects.by_date)
    lost = sum(each.lost for each in names.unresolved)
    ready = sum(each.lost for each in names.unresolved if each.alias_canonical)
    cost = f"{lost / nights:.1f} players a night" if nights else "unknown: no night with odds"
    told = (
        f"{cost} ({lost:,} in {nights} with odds; {ready:,} of them have an alias that is not used)" if nights else cost
    )
    unread = "not measured: its table is not read here"
    rows = [
        ("OddsApiPropsProcessor", "no", "high", told),
        ("BettingPropsProcessor", "no", "high", unread),
        ("MLFeatureStoreProcessor", "no", "medium", unread),
        ("PlayerGameSummary", "yes", "works", "none"),
        ("UpcomingPlayerGameContext", "yes", "works", "none"),
        ("This desk and its pipeline", "yes", "works", "none"),
    ]
    columns = ("processor", "resolves names", "impact (handoff)", "measured cost")
    tables.listing(
        [dict(zip(columns, row, strict=True)) for row in rows], alt="Which processors resolve names", empty=""
    )


def as_row(each: Unresolved) -> dict[str, object]:
    first = each.proposals[0] if each.proposals else None
    stood = each.standings.get(each.dates[-1])
    return {
        "name": each.name,
        "in the odds as": each.lookup,
        "nights": len(each.dates),
        "lost": each.lost,
        "predictions lost, at most": each.predictions_lost,
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
