"""Player: how far one player came on this date, what dropped the player, and what fixes it."""

from __future__ import annotations

import streamlit as st

from app.actions import dialog
from app.charts import player_strip
from app.components import text_format, widgets
from app.panels import notes_panel, player_steps
from app.state import reads, session
from services.core.clock import format_day
from services.core.result import Health, Result
from services.nights.player_history import PlayerHistory
from services.nights.player_stages import NightStatus, PlayerStatus
from services.notes.note import About
from services.reports.player_story import build_story, find_players
from services.runs.actions import START_RUN
from services.runs.run_context import NOT_REPAIRABLE_BY_RUN

PLAYER_PARAM = "player"  # the name in the URL: ?player=…
cloud, game_date = session.cached_clients(), session.game_date()
facts, judgement = reads.judgement(cloud, game_date)


def render_player(player: PlayerStatus, night: NightStatus) -> None:
    """The head with its button, the stages, and where to look next."""
    story = build_story(player, night, facts.batches.value)
    health = Health.UNKNOWN if facts.night.outdated else Health.OK
    _, css_class, _ = player_steps.tone(story, health)
    with st.container(key=f"incident-{css_class}"):
        st.html(player_steps.head(story, health))
        with st.container(horizontal=True, gap="small", key="head actions"):
            if story.missing is not None and story.missing.reason not in NOT_REPAIRABLE_BY_RUN:
                name = "Re-run: running…" if facts.is_running else f"Re-run {player_steps.display_name(player)}"
                dialog.action_button(
                    START_RUN,
                    text_format.escape_markdown(name),
                    primary=True,
                    disabled=facts.is_running,
                    game_date=game_date.isoformat(),
                    players=[player.player_lookup],
                )
    with st.container(border=True, key="card steps"):
        st.subheader("Through the pipeline :gray[:small[ET]]", anchor=False)
        st.html(player_steps.steps_html(story))


def render_history(player_lookup: str, reading: Result[PlayerHistory]) -> None:
    """How far the player came on the last dates with games; what may still come is not judged."""
    with st.container(border=True, key="card history"):
        st.subheader("Last game dates", anchor=False)
        history = widgets.value_or_notice(reading, "The last game dates")
        if history is not None:
            nights = facts.usual.value.days if facts.usual.value else ()
            pending = {day.game_date: day.pending for day in nights if day.pending}
            if facts.is_running or (facts.night.value is not None and facts.night.value.was_run is False):
                pending[game_date] = "running" if facts.is_running else "not run yet"
            st.html(player_strip.to_html(history.days, player_lookup, pending))
            widgets.source_footer((history.source,))


def render(night: NightStatus, player_lookup: str) -> None:
    """Every player of the lookup key, or that there is none on this date."""
    st.page_link(
        "../pages/missing_players.py",
        label=f"All missing players · {format_day(game_date)}",
        icon=":material/arrow_back:",
        query_params=session.link_params(),
    )
    players = find_players(night, player_lookup)
    if not players:
        widgets.verdict(Health.NONE_EXPECTED, f"No player “{player_lookup}” on this date", outdated=facts.outdated)
        return
    wait_for_history = reads.player_history.fetch_async(cloud, player_lookup, game_date)
    for player in players:
        render_player(player, night)
    render_history(player_lookup, wait_for_history())
    notes_panel.render(game_date, About.PLAYER, player_lookup)
    widgets.render_problems(night.problems)
    log_params = {**session.log_link_params("Failed players"), "log_find": player_lookup}
    widgets.source_footer(night.sources, log_params)


night = widgets.value_or_notice(facts.night, "Players of this date")
if night is not None:
    render(night, st.query_params.get(PLAYER_PARAM, ""))
