"""Overview: is tonight all right? If not, what is missing, where was it lost, and where is the evidence?"""

from __future__ import annotations

import streamlit as st

from app.charts import bar_rows as bars
from app.charts import night_timeline as night_chart
from app.components import widgets
from app.panels import repair_buttons as repairs
from app.state import reads, session
from services.nights.coverage import funnel
from services.nights.missing_players import missing
from services.nights.player_stages import Night, Stage
from services.reports.overview import judge

cloud, game_date = session.cloud(), session.game_date()
tonight = reads.tonight(cloud, game_date)
verdict = judge(
    game_date, tonight.night, tonight.writes, tonight.staging, tonight.widths, tonight.batches, cloud.settings
)


def shares(night: Night) -> None:
    """The coverage of the night by each denominator, and the rows behind it."""
    players = funnel(night, cloud.settings).players
    active, instead = players[Stage.ACTIVE], "not yet" if night.ran is False else ""
    with st.grid(4, min_column_width=125):
        widgets.percentage("Coverage", active, players[Stage.ELIGIBLE], "eligible", instead, "coverage")
        widgets.percentage("Of those in context", active, players[Stage.IN_CONTEXT], "in context", instead, "coverage")
        widgets.percentage("Of those with odds", active, players[Stage.LINED], "with odds", instead, "missing_players")
        widgets.figure("Rows active", night.active_rows, night.generated_rows, about="generated", page="runs")


def losses(night: Night) -> None:
    """The funnel, with the players lost at each stage beside it."""
    st.subheader("Where players were lost", anchor=False)
    bars.show_funnel(funnel(night, cloud.settings).players, missing(night))
    widgets.gaps(night.problems)
    widgets.footer(night.sources, cloud.now(), session.log("Lost players"))


told, button = widgets.answer()
with told:
    widgets.verdict(verdict.health, verdict.sentence, verdict.details)
if tonight.night.value is not None:
    with button:
        repairs.of_night(tonight.night.value)
night = widgets.known(tonight.night, "The night's players")
played = night is not None and (night.games or night.players)
if night is not None and played:
    shares(night)

panels = st.grid(2, min_column_width=440, gap="medium")
with panels.cell():
    st.subheader("Signals", anchor=False)
    for each in verdict.signals:
        widgets.signal(each.health, each.name, each.text, each.page, session.link())
    widgets.footer(tonight.sources_of_signals, cloud.now(), session.log("Errors of the prediction services"))
if night is not None and played:
    with panels.cell():
        losses(night)
night_chart.panel(game_date, tonight.batches, tonight.writes, tonight.widths)
