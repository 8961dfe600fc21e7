"""Coverage: how many players are covered on this date and the dates before it, and which stage dropped the others."""

from __future__ import annotations

import streamlit as st

from app.charts import funnel_chart
from app.components import widgets
from app.panels import comparison, coverage_history, repair_buttons, row_panels
from app.state import reads, session
from services.core.clock import eastern_day
from services.core.result import Health, worst
from services.judgement.statement import Statement, Subject
from services.nights.coverage import funnel
from services.nights.missing_players import list_missing_players
from services.nights.player_stages import NightStatus
from services.nights.row_counts import count_rows

cloud, game_date = session.cached_clients(), session.game_date()
settings = cloud.settings
wait_for_deploys = reads.deploys.fetch_async(cloud)
show_comparison = comparison.start(cloud, game_date)
facts, judgement = reads.judgement(cloud, game_date)


def headline(players: Statement) -> str:
    """The coverage of the night in one line, by its main denominator; the statement's text where it has no percentage."""
    is_unproven = players.health is Health.UNKNOWN and not players.part
    if not players.whole or players.part is None or players.health is Health.NONE_EXPECTED or is_unproven:
        return players.sentence
    pct = 100 * players.part / players.whole
    return f"{pct:.1f}% coverage: {players.part:,} of {players.whole:,} eligible players"


def render_night(night: NightStatus) -> None:
    """The chosen date: verdict, funnel and prediction systems."""
    counts = count_rows(night, facts.usual.value, settings)
    night_funnel = funnel(night, facts.writes.value)
    answer_col, button_col = widgets.answer_row()
    with answer_col:
        statements = [judgement.get(subject) for subject in (Subject.PLAYERS, Subject.ROWS, Subject.INPUTS)]
        details = [f"{s.subject}: {s.sentence}" for s in statements if not s.is_proven]
        widgets.verdict(worst(s.health for s in statements), headline(statements[0]), details, facts.outdated)
    with button_col:
        repair_buttons.night_buttons(night, counts)
        if show_comparison is None:
            comparison.button(facts)
    comparison.render_notice(game_date)
    if show_comparison is not None:
        show_comparison(facts, judgement)
    widgets.render_problems(night.problems)
    widgets.render_not_recorded(night.not_recorded)
    if not night.players:
        return
    panels = st.grid(2, min_column_width=400, gap="medium")
    with panels.cell():
        st.subheader("Pipeline funnel", anchor=False, help=funnel_chart.STAGE_HELP)
        funnel_chart.render(night_funnel, list_missing_players(night))
    with panels.cell():
        st.subheader("By model", anchor=False)
        row_panels.systems_table(counts)
    widgets.source_footer(night.sources, session.log_link_params("Failed players"))


night = widgets.value_or_notice(facts.night, "Players of this date")
if night is not None:
    render_night(night)
history = widgets.value_or_notice(reads.recent_history(cloud, eastern_day(cloud.now())), "Coverage history")
if history is not None:
    coverage_history.render(cloud, history, wait_for_deploys)
