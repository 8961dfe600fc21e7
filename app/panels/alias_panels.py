"""The existing aliases with their issues and edits, duplicate players, and which processors apply aliases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

from app.actions import dialog
from app.components import tables, text_format, widgets
from app.panels.name_rows import reject_button
from services.aliases.edits import Edit, EditKind, replace_canonical, reverse, to_params
from services.aliases.identities.duplicates import find_duplicates
from services.aliases.identities.merge import MERGE_IDENTITIES, partial_merges
from services.aliases.reject import REJECT_MATCH
from services.aliases.rejections import list_rejections, read_rejection
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.aliases.unresolved import NameResolutionReport
from services.aliases.validation import Severity, find_violations
from services.core.result import Health
from services.names.registry import NameRegistry

NAME_ACTIONS = (EDIT_ALIASES.name, REJECT_MATCH.name, MERGE_IDENTITIES.name)


def review_button(edits: Sequence[Edit]) -> None:
    """The page's one primary button: the plan of everything accepted and pasted, by its number of changes."""
    if edits:
        save_button(edits, f"Review {text_format.pluralize(len(edits), 'change')}", "review", primary=True)


def save_button(edits: Sequence[Edit], label: str, key: str, primary: bool = False) -> None:
    dialog.action_button(EDIT_ALIASES, label, key=key, primary=primary, edits=to_params(edits)["edits"])


def edit_alias_form(registry: NameRegistry) -> None:
    """Edit an existing alias: change its target, reverse, deactivate or reactivate it."""
    aliases_by_label = {f"{row.alias} → {row.canonical}": row for row in registry.aliases if not read_rejection(row)}
    chosen = st.selectbox("Edit an existing alias", list(aliases_by_label), index=None, key="alias chosen")
    if chosen is None:
        return
    row = aliases_by_label[chosen]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if row.active:
            candidates = sorted(registry.lookups - {row.canonical, row.alias})
            replacement = st.selectbox("Correct canonical name", candidates, index=None, key="alias right")
            if replacement:
                save_button(replace_canonical(row.alias, row.canonical, replacement), "Change target", "correct")
            save_button(reverse(row.alias, row.canonical), "Reverse direction", "turn")
            save_button([Edit(EditKind.DEACTIVATE, row.alias, row.canonical)], "Deactivate", "off")
        else:
            save_button([Edit(EditKind.ADD, row.alias, row.canonical)], "Reactivate", "on")


def validation_table(registry: NameRegistry) -> None:
    """The issues of existing aliases."""
    health_by_severity = {Severity.ERROR: Health.CRITICAL, Severity.WARNING: Health.WARNING}
    tables.text_table(
        [
            {
                "severity": widgets.badge(health_by_severity[violation.severity], violation.severity),
                "alias": violation.alias,
                "issue": violation.message,
            }
            for violation in find_violations(registry)
        ],
        alt="Issues of the aliases",
        empty=f"{len(registry.active):,} active aliases, no issues.",
    )


def duplicate_identities(registry: NameRegistry) -> None:
    """Players under two ids: the evidence for and against each pair, merged or rejected beside it."""
    for keep, other in partial_merges(registry):
        st.error(
            f"Merge of {text_format.escape_markdown(other)} into {text_format.escape_markdown(keep)} is incomplete:"
            " alias saved, registry not updated. Finish the merge or undo it from the action log.",
            icon=":material/error:",
        )
    candidates = find_duplicates(registry)
    if not candidates:
        st.caption(f":material/check: No duplicate players found ({len(registry.lookups):,} checked).")
    for pair in candidates:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            evidence_for = text_format.escape_markdown("; ".join(pair.evidence_for) or "none")
            evidence_against = text_format.escape_markdown("; ".join(pair.evidence_against) or "none")
            st.markdown(
                f"**{text_format.escape_markdown(pair.keep)}** and **{text_format.escape_markdown(pair.merge)}**  \n"
                f"Evidence for: {evidence_for} · against: {evidence_against}",
                width="stretch",
            )
            dialog.action_button(MERGE_IDENTITIES, "Merge players…", key=pair.merge, keep=pair.keep, merge=pair.merge)
            reject_button(registry, pair.merge, pair.keep, f"{pair.merge} is not {pair.keep}")


def rejected_matches(registry: NameRegistry) -> None:
    """The matches that were rejected, with the reason, each to be suggested again by its Undo."""
    rejections = list_rejections(registry)
    if not rejections:
        return
    with st.expander(f"Rejected matches ({len(rejections)})"):
        for rejection in rejections:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(
                    f"**{text_format.escape_markdown(f'{rejection.alias} → {rejection.canonical}')}**  \n"
                    f"{text_format.escape_markdown(rejection.reason)}"
                    f" :gray[{text_format.escape_markdown(rejection.rejected_by)},"
                    f" {text_format.format_day_time(rejection.at)}]",
                    width="stretch",
                )
                key = f"rejection {rejection.action_id}"
                dialog.action_button(UNDO_EDIT, "Undo", key=key, action_id=rejection.action_id)


def processor_table(names: NameResolutionReport) -> None:
    """Which of the platform's processors apply aliases, and what it costs where the odds processor does not."""
    night_count = len(names.resolution_counts.by_date)
    lost_total = sum(unresolved.nights_lost for unresolved in names.unresolved)
    lost_with_alias = sum(unresolved.nights_lost for unresolved in names.unresolved if unresolved.alias_canonical)
    cost_text = (
        f"{lost_total / night_count:.1f} players/date ({lost_total:,} on"
        f" {text_format.pluralize(night_count, 'date')} with odds; {lost_with_alias:,} have an alias that is not applied)"
        if night_count
        else "unknown: no date with odds"
    )
    rows = [
        ("OddsApiPropsProcessor", "no", "high", cost_text),
        ("BettingPropsProcessor", "no", "high", "not measured"),
        ("MLFeatureStoreProcessor", "no", "medium", "not measured"),
        ("PlayerGameSummary", "yes", "none", "none"),
        ("UpcomingPlayerGameContext", "yes", "none", "none"),
        ("Dashboard pipeline", "yes", "none", "none"),
    ]
    columns = ("processor", "applies aliases", "impact", "measured cost")
    tables.text_table(
        [dict(zip(columns, row, strict=True)) for row in rows], alt="Which processors apply aliases", empty=""
    )


def alias_rows(registry: NameRegistry) -> list[dict[str, object]]:
    """Every alias of the table; a rejected match is none."""
    return [
        {**asdict(row), "active": "active" if row.active else "inactive"}
        for row in registry.aliases
        if read_rejection(row) is None
    ]
