"""The alias form and the panels beside it: add several aliases or paste them; change, reverse or deactivate an existing one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import streamlit as st

from app.actions import dialog
from app.components import tables, text_format, widgets
from services.aliases.edits import (
    Edit,
    EditKind,
    parse_lines,
    replace_canonical,
    reverse,
    reverse_conflicting,
    to_params,
)
from services.aliases.identities.duplicates import find_duplicates
from services.aliases.identities.merge import MERGE_IDENTITIES, partial_merges
from services.aliases.save import EDIT_ALIASES, validate
from services.aliases.unresolved import NameResolutionReport, UnresolvedNameDetails
from services.aliases.validation import Severity, Violation, find_violations
from services.core.errors import InvalidInput
from services.core.result import Health
from services.names.registry import NameRegistry

_VALIDATED_KEY = "validated edits"


def prefilled_lines(unresolved: Sequence[UnresolvedNameDetails]) -> str:
    """The likely suggestions as lines of the form; nothing else is pre-filled."""
    without_alias = [name for name in unresolved if not name.alias_canonical]
    return "\n".join(
        f"{u.lookup},{u.suggestions[0].lookup}" for u in without_alias if u.suggestions and u.suggestions[0].is_likely
    )


def alias_form(names: NameResolutionReport) -> None:
    """New aliases, one per line. Invalid lines are listed, and none of them is planned."""
    prefilled = prefilled_lines(names.unresolved)
    text = st.text_area(
        "New aliases: `alias,canonical`, one a line",
        value=prefilled,
        key=f"alias lines {hash(prefilled)}",
        height=150,
        help="Filled with the likely ones; change what is wrong. The plan checks every line before anything is saved.",
    )
    try:
        lines = parse_lines(text) if text.strip() else {}
    except InvalidInput as error:
        st.error(text_format.escape_markdown(str(error)), icon=":material/error:")
        return
    new_lines = {n: e for n, e in lines.items() if e.canonical not in names.registry.active.get(e.alias, ())}
    _save_lines_button(names.registry, new_lines)
    if len(new_lines) < len(lines):
        st.caption(
            f":material/check: {len(lines) - len(new_lines)} of {len(lines)} are active already and stay as they are."
        )


def _save_lines_button(registry: NameRegistry, lines: Mapping[int, Edit]) -> None:
    """The button for these lines; if one of them is invalid, its error and no button: all lines are saved or none."""
    edits = reverse_conflicting(lines.values(), registry.active)
    for edit in (edit for edit in edits if edit.do is EditKind.DEACTIVATE):
        names = text_format.escape_markdown(f"{edit.alias} → {edit.canonical}")
        st.caption(f":material/swap_horiz: {names} points the other way: it is turned round.")
    line_by_alias = {edit.alias: n for n, edit in reversed(list(lines.items()))}
    errors = _validation_errors(registry, edits)
    for violation in errors:
        line = line_by_alias.get(violation.alias) or line_by_alias.get(violation.canonical)
        prefix = f"Line {line}: " if line else ""
        st.error(text_format.escape_markdown(f"{prefix}{violation.message}"), icon=":material/error:")
    if errors:
        st.caption("Nothing is saved while a line is wrong.")
    elif edits:
        save_button(edits, f"Check and save {len(lines)}", "form", primary=True)
    else:
        st.caption("Nothing new is written, so nothing would be saved.")


def _validation_errors(registry: NameRegistry, edits: Sequence[Edit]) -> tuple[Violation, ...]:
    """The errors of these lines; validated once for the same aliases and lines, however often the page reruns."""
    cached = st.session_state.get(_VALIDATED_KEY)
    if cached is None or cached[0] is not registry or cached[1] != edits:
        st.session_state[_VALIDATED_KEY] = cached = (registry, edits, validate(registry, edits).errors)
    errors: tuple[Violation, ...] = cached[2]
    return errors


def save_button(edits: Sequence[Edit], label: str, key: str, primary: bool = False) -> None:
    dialog.action_button(EDIT_ALIASES, label, key=key, primary=primary, edits=to_params(edits)["edits"])


def edit_alias_form(registry: NameRegistry) -> None:
    """Edit an existing alias: change its target, reverse, deactivate or reactivate it."""
    aliases_by_label = {f"{row.alias} → {row.canonical}": row for row in registry.aliases}
    chosen = st.selectbox("An alias that is there", list(aliases_by_label), index=None, key="alias chosen")
    if chosen is None:
        return
    row = aliases_by_label[chosen]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if row.active:
            candidates = sorted(registry.lookups - {row.canonical, row.alias})
            replacement = st.selectbox("It should lead to", candidates, index=None, key="alias right")
            if replacement:
                save_button(replace_canonical(row.alias, row.canonical, replacement), "Correct", "correct")
            save_button(reverse(row.alias, row.canonical), "Turn round", "turn")
            save_button([Edit(EditKind.DEACTIVATE, row.alias, row.canonical)], "Deactivate", "off")
        else:
            save_button([Edit(EditKind.ADD, row.alias, row.canonical)], "Activate again", "on")


def validation_table(registry: NameRegistry) -> tuple[Violation, ...]:
    """The findings of the checks on existing aliases."""
    violations = find_violations(registry)
    health_by_severity = {Severity.ERROR: Health.CRITICAL, Severity.WARNING: Health.WARNING}
    tables.text_table(
        [
            {
                "": widgets.badge(health_by_severity[violation.severity]),
                "alias": violation.alias,
                "what is wrong": violation.message,
            }
            for violation in violations
        ],
        alt="Faults of the aliases",
        empty=f"The checks find nothing wrong with {len(registry.active):,} active aliases.",
    )
    return violations


def duplicate_identities(registry: NameRegistry) -> None:
    """Players under two ids: the evidence for and against each pair, and the button that merges it."""
    for keep, other in partial_merges(registry):
        st.error(
            f"Making {text_format.escape_markdown(other)} one with {text_format.escape_markdown(keep)} stopped halfway:"
            " its alias is there, the registry still has two. Finish it here, or separate them again in the action log.",
            icon=":material/error:",
        )
    candidates = find_duplicates(registry)
    if not candidates:
        st.caption(f":material/check: No two of {len(registry.lookups):,} registered names look like one player.")
    for pair in candidates:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            evidence_for = text_format.escape_markdown("; ".join(pair.evidence_for) or "nothing")
            evidence_against = text_format.escape_markdown("; ".join(pair.evidence_against) or "nothing")
            st.markdown(
                f"**{text_format.escape_markdown(pair.keep)}** and **{text_format.escape_markdown(pair.merge)}**  \n"
                f"for: {evidence_for} · against: {evidence_against}"
            )
            dialog.action_button(MERGE_IDENTITIES, "Make them one", key=pair.merge, keep=pair.keep, merge=pair.merge)


def resolution_summary(names: NameResolutionReport) -> None:
    """How the odds names resolve, as a sum: in context, only through an alias, without an alias."""
    counts = names.resolution_counts.total
    st.markdown(
        f"**{counts.name_count:,} names with odds = {counts.exact:,} in context"
        f" + {counts.by_alias:,} that an alias would resolve + {counts.unresolved:,} without an alias**"
    )


def processor_table(names: NameResolutionReport) -> None:
    """Which of the customer's processors resolve names, and what it costs where the odds processor does not."""
    night_count = len(names.resolution_counts.by_date)
    lost_total = sum(unresolved.nights_lost for unresolved in names.unresolved)
    lost_with_alias = sum(unresolved.nights_lost for unresolved in names.unresolved if unresolved.alias_canonical)
    cost_per_night = f"{lost_total / night_count:.1f} players a night" if night_count else "unknown: no night with odds"
    cost_text = (
        f"{cost_per_night} ({lost_total:,} in {night_count} with odds; {lost_with_alias:,} of them have an alias that is not used)"
        if night_count
        else cost_per_night
    )
    not_measured = "not measured: its table is not read here"
    rows = [
        ("OddsApiPropsProcessor", "no", "high", cost_text),
        ("BettingPropsProcessor", "no", "high", not_measured),
        ("MLFeatureStoreProcessor", "no", "medium", not_measured),
        ("PlayerGameSummary", "yes", "works", "none"),
        ("UpcomingPlayerGameContext", "yes", "works", "none"),
        ("This desk and its pipeline", "yes", "works", "none"),
    ]
    columns = ("processor", "resolves names", "impact (handoff)", "measured cost")
    tables.text_table(
        [dict(zip(columns, row, strict=True)) for row in rows], alt="Which processors resolve names", empty=""
    )


def to_table_row(unresolved: UnresolvedNameDetails) -> dict[str, object]:
    suggestion = unresolved.suggestions[0] if unresolved.suggestions else None
    last_status = unresolved.status_by_date.get(unresolved.dates[-1])
    return {
        "name": unresolved.name,
        "in the odds as": unresolved.lookup,
        "nights": len(unresolved.dates),
        "lost": unresolved.nights_lost,
        "predictions lost, at most": unresolved.max_predictions_lost,
        "since": unresolved.dates[0],
        "likely": unresolved.likely_lookup or "nobody",
        "because": "an active alias" if unresolved.alias_canonical else suggestion.reason if suggestion else "",
        "comes down to": unresolved.summary,
        "stood": last_status.description if last_status else "not known",
        "teams of that game": "/".join(sorted(unresolved.teams)),
        "rules disagree": "yes" if unresolved.has_normalization_mismatch else "",
    }


def alias_rows(registry: NameRegistry) -> list[dict[str, object]]:
    """Every row of the alias table."""
    return [{**asdict(row), "active": "active" if row.active else "inactive"} for row in registry.aliases]
