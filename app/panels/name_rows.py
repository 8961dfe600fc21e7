"""The unmatched names: a row each with its suggested player, accepted or rejected beside it; what is accepted waits for the review."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.actions.reason_form import ReasonForm, form_button
from app.components import tables, text_format
from app.state import session
from services.actions.plan import Params, Plan
from services.aliases.edits import Edit, EditKind
from services.aliases.reject import REJECT_MATCH, plan_rejection
from services.aliases.suggestions import Suggestion
from services.aliases.unresolved import NameGroup, NameResolutionReport, UnresolvedNameDetails
from services.names.registry import NameRegistry

MAX_ROWS = 30  # with buttons; a table lists the rest
_ACCEPTED_KEY = "accepted aliases"
_WIDTHS = (3, 3, 4, 1.1, 3.4)


def accepted_edits(names: NameResolutionReport) -> tuple[Edit, ...]:
    """What is accepted and not saved yet, the costliest first."""
    accepted = _accepted()
    needed = {name.lookup: name for name in names.in_group(NameGroup.NEEDS_ALIAS)}
    return tuple(
        Edit(EditKind.ADD, lookup, accepted[lookup], name.name if name.name != lookup else "")
        for lookup, name in needed.items()
        if lookup in accepted
    )


def suggestion_rows(names: NameResolutionReport) -> None:
    """The names that need an alias, worst loss first, each with its likeliest player."""
    needed, accepted = names.in_group(NameGroup.NEEDS_ALIAS), accepted_edits(names)
    with st.container(border=True, gap="xsmall", key="suggestions"):
        st.markdown(
            f"### Needs an alias :gray[{text_format.pluralize(len(needed), 'name')}, worst loss first"
            f"{f' · {len(accepted)} accepted' if accepted else ''}]"
        )
        if not needed:
            st.caption("No name needs an alias.")
            return
        with st.container(key="suggestion-heads"):
            heads = st.columns(_WIDTHS, vertical_alignment="center")
            for head, label in zip(heads, ("Odds feed", "Suggested player", "Match reason", "Missed"), strict=False):
                head.caption(label)
        for number, name in enumerate(needed[:MAX_ROWS]):
            _row(number, name, names.registry)
        if rest := needed[MAX_ROWS:]:
            name_table(rest, "more names")


def _row(number: int, name: UnresolvedNameDetails, registry: NameRegistry) -> None:
    suggestion = name.suggestions[0] if name.suggestions else None
    is_accepted = _accepted().get(name.lookup)
    with st.container(key=f"suggestion-{number}{'-accepted' if is_accepted else ''}"):
        odds, player, reason, missed, buttons = st.columns(_WIDTHS, vertical_alignment="center")
        odds.markdown(_two_lines(name.name, name.lookup))
        missed.markdown(f"**{name.max_predictions_lost}** :gray[rows]")
        if suggestion is None:
            player.markdown(":gray[No match found]")
            reason.markdown(":gray[Paste an alias, or confirm that the player is out.]")
            return
        player.markdown(f":material/arrow_forward: {_two_lines(suggestion.name, suggestion.lookup)}")
        warning = "" if suggestion.is_likely else ":orange[:material/warning:] "
        reverses = name.lookup in registry.active.get(suggestion.lookup, ())
        reverses_text = " :orange[:material/swap_horiz: reverses an alias]" if reverses else ""
        reason.markdown(
            f"{warning}{text_format.escape_markdown(suggestion.reason)}{reverses_text}  \n"
            f":gray[{text_format.escape_markdown(' / '.join(sorted(name.teams)))}]"
        )
        with buttons.container(horizontal=True, vertical_alignment="center", gap="small"):
            _buttons(name, suggestion, registry, is_accepted == suggestion.lookup)


def _buttons(name: UnresolvedNameDetails, suggestion: Suggestion, registry: NameRegistry, is_accepted: bool) -> None:
    lookup = name.lookup
    if is_accepted:
        st.markdown(":green-badge[:material/check: Accepted]", width="content")
        st.button("Undo", key=f"unaccept {lookup}", type="tertiary", on_click=_withdraw, args=(lookup,))
        return
    st.button(
        "Accept",
        key=f"accept {lookup}",
        icon=":material/check:",
        on_click=_accept,
        args=(lookup, suggestion.lookup),
    )
    reject_button(registry, lookup, suggestion.lookup, f"{name.name} is not {suggestion.name}")


def _accept(lookup: str, canonical: str) -> None:
    _accepted()[lookup] = canonical


def _withdraw(lookup: str) -> None:
    _accepted().pop(lookup, None)


def reject_button(registry: NameRegistry, alias: str, canonical: str, message: str) -> None:
    """Record with a reason that two names, or two player ids, are not the same player."""

    def plan(args: Params) -> Plan:
        return plan_rejection(registry, alias, canonical, args["why"], session.now())

    form = ReasonForm(REJECT_MATCH, "Not the same player", f"{message}.", plan)
    form_button(form, "Not the same", key=f"reject {alias} {canonical}", type="tertiary")


def other_groups(names: NameResolutionReport) -> None:
    """The names that need no new alias, folded: what they cost, and who they are."""
    for group, title in (
        (NameGroup.NOT_APPLIED, "with an alias that the odds processor ignores"),
        (NameGroup.OUT, "out, no impact"),
    ):
        if members := names.in_group(group):
            missed = sum(name.max_predictions_lost for name in members)
            label = f"{text_format.pluralize(len(members), 'player')} {title} · {missed} missed rows"
            with st.expander(label):
                name_table(members, str(group))


def name_table(names: Sequence[UnresolvedNameDetails], key: str) -> None:
    """Names as a table, with what each maps to."""
    tables.data_grid(
        [to_table_row(name) for name in names], name=f"names-{key}", alt=f"Unmatched names: {key}", empty="No names."
    )


def to_table_row(name: UnresolvedNameDetails) -> dict[str, object]:
    """A name as a row of a table."""
    suggestion = name.suggestions[0] if name.suggestions else None
    last_status = name.status_by_date.get(name.dates[-1])
    return {
        "player (odds feed)": name.name,
        "lookup key": name.lookup,
        "status": str(name.group),
        "maps to": name.likely_lookup or "no match found",
        "match reason": "active alias" if name.alias_canonical else suggestion.reason if suggestion else "",
        "est. missed predictions": name.max_predictions_lost,
        "missed": name.nights_lost,
        "dates": len(name.dates),
        "first seen": name.dates[0],
        "player status": last_status.description if last_status else "unknown",
        "matchup": " / ".join(sorted(name.teams)),
        "registry conflict": "yes" if name.has_normalization_mismatch else "no",
    }


def _two_lines(name: str, lookup: str) -> str:
    return f"**{text_format.escape_markdown(name)}**  \n:gray[{text_format.escape_markdown(lookup)}]"


def _accepted() -> dict[str, str]:
    """Lookup → canonical name, as accepted in this session."""
    accepted: dict[str, str] = st.session_state.setdefault(_ACCEPTED_KEY, {})
    return accepted
