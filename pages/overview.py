"""Overview: is tonight all right? If not, what is missing, where was it lost, and where is the evidence?"""

from __future__ import annotations

import streamlit as st

from app.charts import bar_rows, night_timeline
from app.components import widgets
from app.panels import repair_buttons
from app.state import reads, session
from services.judgement.judge import judge_night
from services.nights.coverage import funnel
from services.nights.missing_players import list_missing_players
from services.nights.player_stages import NightStatus, Stage
from services.reports.overview import platform_signals

cloud, game_date = session.cached_clients(), session.game_date()
facts, platform = reads.read_overview(cloud, game_date)
judgement = judge_night(facts, cloud.settings)


def render_coverage_metrics(night: NightStatus) -> None:
    """The coverage of the night by each denominator, and the rows behind it."""
    players = funnel(night).players
    active, override = players[Stage.ACTIVE], "not run yet" if night.was_run is False else ""
    with st.grid(4, min_column_width=125, key="figures"):
        widgets.metric_percentage("Coverage", active, players[Stage.ELIGIBLE], "eligible", override, "coverage")
        widgets.metric_percentage(
            "Of those in context", active, players[Stage.IN_CONTEXT], "in context", override, "coverage"
        )
        widgets.metric_percentage(
            "Of those with odds", active, players[Stage.WITH_ODDS], "with odds", override, "missing_players"
        )
        widgets.metric_of_total("Rows active", night.active_rows, night.generated_rows, note="generated", page="runs")


def render_funnel(night: NightStatus) -> None:
    """The funnel, with the players lost at each stage beside it."""
    st.subheader("Where players were lost", anchor=False)
    bar_rows.show_funnel(funnel(night, facts.writes.value), list_missing_players(night))
    widgets.render_problems(night.problems)
    widgets.render_not_recorded(night.not_recorded)
    widgets.source_footer(night.sources, session.log_link_params("Failed players"))


def render_signals() -> None:
    """What the night is judged on, and apart from it the platform, each row with the page of its evidence: one text, sent as one."""
    rows = [widgets.signal_row(s.health, s.subject, s.sentence, s.page, s.state) for s in judgement.statements]
    signals = platform_signals(platform.staging, platform.capacities, platform.schedule)
    blocks = (
        "### This night",
        *rows,
        "### The platform, whatever the night",
        *(widgets.signal_row(s.health, s.name, s.text, s.page) for s in signals),
    )
    st.markdown("\n\n".join(blocks))
    widgets.source_footer(judgement.sources, session.log_link_params("Service errors"))
    widgets.source_footer(platform.sources)


answer_col, button_col = widgets.answer_row()
with answer_col:
    widgets.verdict(judgement.health, judgement.headline, judgement.details, facts.outdated)
with button_col:
    repair_buttons.judgement_buttons(facts, judgement)
night = widgets.value_or_notice(facts.night, "The night's players")
played = night is not None and (night.games or night.players)
if night is not None and played:
    render_coverage_metrics(night)

panels = st.grid(2, min_column_width=440, gap="medium")
with panels.cell():
    render_signals()
if night is not None and played:
    with panels.cell():
        render_funnel(night)
night_timeline.render(game_date, facts.batches, facts.writes)
