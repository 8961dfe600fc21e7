"""Overview: what is wrong on this date, how far each figure is from its limit, and what fixes it."""

from __future__ import annotations

import streamlit as st

from app.charts import figure_tiles, funnel_chart, night_timeline
from app.components import widgets
from app.panels import attention_list, batch_page, comparison, incident_header, notes_panel, run_panels
from app.state import reads, session
from services.judgement.judge import judge_night
from services.judgement.statement import Subject
from services.nights.coverage import funnel
from services.nights.missing_players import list_missing_players
from services.nights.player_stages import NightStatus
from services.reports.figures import build_figures
from services.reports.incident import build_incident
from services.reports.overview import platform_signals

cloud, game_date = session.cached_clients(), session.game_date()
facts, platform = reads.read_overview(cloud, game_date)
judgement = judge_night(facts, cloud.settings)
signals = platform_signals(platform.staging, platform.capacities, platform.schedule)


def render_head() -> None:
    """A run under way, or else the state of the night."""
    if (run := run_panels.find_run(facts)) is not None:
        run_panels.run_card(run, judgement.get(Subject.PLAYERS).text, judgement.health, facts)
        if facts.batches.value is not None:
            batch_page.follow_start(run, facts.batches.value)
    else:
        incident_header.render(build_incident(facts, judgement, platform.alerts, platform.schedule), facts, judgement)


def render_funnel(night: NightStatus) -> None:
    """The funnel, with the sources that it lacks."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader("Pipeline funnel", anchor=False, width="stretch", help=funnel_chart.STAGE_HELP)
        comparison.link(facts)
    funnel_chart.render(funnel(night, facts.writes.value), list_missing_players(night))
    widgets.render_problems(night.problems)
    widgets.render_not_recorded(night.not_recorded)


render_head()
figure_tiles.render(build_figures(facts, judgement, platform.staging, platform.capacities, platform.deploys))
night = facts.night.value
panels = st.grid(2, min_column_width=440, gap="small", key="panels")
if night is not None and (night.games or night.players):
    with panels.cell(), st.container(border=True, key="card funnel"):
        render_funnel(night)
with panels.cell(), st.container(border=True, key="card attention"):
    attention_list.render(judgement, signals)
with st.container(border=True, key="card timeline"):
    night_timeline.render(game_date, facts.batches, facts.writes)
    notes_panel.render(game_date)
sources = (*judgement.sources, *platform.sources)
widgets.source_footer(sources, session.log_link_params("Failed players"))
