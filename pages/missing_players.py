"""Missing players: who has no active predictions or too few, which stage dropped them, on what evidence, and what fixes it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, text_format, widgets
from app.panels import loss_groups, repair_buttons, row_panels
from app.state import reads, session
from services.core.result import worst
from services.judgement.statement import Subject
from services.nights.balance import balance
from services.nights.missing_players import LossReason, MissingPlayer, list_missing_players
from services.nights.player_stages import NightStatus
from services.nights.row_counts import RowCounts, count_rows
from services.runs.run_context import list_partly_there

cloud, game_date = session.cached_clients(), session.game_date()
facts, judgement = reads.judgement(cloud, game_date)


def to_table_row(entry: MissingPlayer) -> dict[str, str | None]:
    player = entry.player
    return {
        "player": player.player_name or player.player_lookup,
        "team": player.team,
        "opponent": player.opponent,
        "failed stage": entry.dropped_at.value,
        "reason": entry.reason.value,
        "evidence": entry.evidence,
        "suggested fix": entry.repair,
        "lookup key": player.player_lookup,
        "batch ID": player.batch_id,
    }


def headline(night: NightStatus, entries: list[MissingPlayer], counts: RowCounts, moved: int) -> str:
    """Players missing of those expected, those who lack rows or are for an old line, and those with odds who were never eligible."""
    totals = balance(night)
    if not totals.expected and not entries:
        return "No eligible players" if night.games else "No games, no eligible players"
    missing_count = totals.expected - totals.active
    if missing_count and dict(totals.classified).get(LossReason.NOT_RUN_YET) == missing_count:
        return f"Not run yet: {text_format.pluralize(totals.expected, 'eligible player')}"
    beyond_text = (
        f"; {len(entries) - missing_count:,} more have odds but no context row" if len(entries) > missing_count else ""
    )
    partly_text = row_panels.describe_partly_there(counts, moved)
    return f"{missing_count:,} of {totals.expected:,} eligible players are missing{partly_text}{beyond_text}"


def render_balance(night: NightStatus) -> None:
    """Eligible = active + missing by reason + unexplained, as one line that can be checked."""
    totals = balance(night)
    terms = [f"{totals.active:,} active", *(f"{count:,} {reason.outcome}" for reason, count in totals.classified)]
    st.markdown(
        f"**{totals.expected:,} eligible = {' + '.join(text_format.escape_markdown(term) for term in terms)}"
        f" + {totals.unexplained:,} unexplained**"
    )
    if not totals.is_balanced:
        st.error("Counts don't add up: dashboard bug, please report.", icon=":material/error:")


def filter_entries(entries: list[MissingPlayer]) -> list[MissingPlayer]:
    """The rows that match the filters."""
    counts = Counter(entry.reason.value for entry in entries)
    reasons, terms = filters.filter_bar("Reason", counts, "Search players, teams, evidence…", "missing")
    return [
        entry
        for entry in entries
        if (not reasons or entry.reason.value in reasons) and filters.matches_search(to_table_row(entry), terms)
    ]


def render(night: NightStatus) -> None:
    counts = count_rows(night, facts.usual.value, cloud.settings)
    all_entries = list_missing_players(night)
    missing = [entry for entry in all_entries if not entry.intentional]
    intentional = [entry for entry in all_entries if entry.intentional]
    partly_there = list_partly_there(night, counts, cloud.now())
    entries, moved = [*missing, *partly_there], len(partly_there) - len(counts.incomplete)
    health = worst(judgement.get(subject).health for subject in (Subject.PLAYERS, Subject.ROWS, Subject.LINES))
    widgets.verdict(health, headline(night, missing, counts, moved), outdated=facts.outdated)
    widgets.render_problems(night.problems)
    widgets.render_not_recorded(night.not_recorded)
    if not entries and not intentional and not night.games:
        return
    render_balance(night)
    filtered_entries = filter_entries(entries)
    repair_buttons.night_buttons(night, counts, None if len(filtered_entries) == len(entries) else filtered_entries)
    if filtered_entries:
        loss_groups.render(filtered_entries)
        tables.csv_button(filtered_entries, f"missing-{game_date}", to_table_row)
    else:
        st.caption("No missing players." if not entries else "No matches.")
    with st.expander(f"Ineligible players: {len(intentional):,} (low minutes, status, or not production-ready)"):
        loss_groups.render(intentional)
    widgets.source_footer(night.sources, session.log_link_params("Failed players"))


night = widgets.value_or_notice(facts.night, "Players of this date")
if night is not None:
    render(night)
