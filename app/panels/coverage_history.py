"""The game dates of the last weeks: a bar for each with what was changed in its night, and all its figures in a table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile

import streamlit as st

from app.actions import action_feed
from app.charts import coverage_by_night
from app.components import tables, widgets
from services.core.clock import to_game_date
from services.core.result import Result
from services.gcp.clients import Clients
from services.nights.coverage import CoverageHistory
from services.policy.coverage_thresholds import threshold_lines
from services.reports.dated_changes import changes_by_date
from services.scaling.deploys import DeployHistory

DENOMINATORS = {"eligible": "eligible", "in context": "in_context", "with odds": "with_odds"}

COLUMN_CONFIG = {label: tables.percent_column() for label in ("% of eligible", "% of context", "% of odds")}
COLUMN_CONFIG["state"] = st.column_config.TextColumn(width=104)


def render(clients: Clients, history: CoverageHistory, wait_for_deploys: Callable[[], Result[DeployHistory]]) -> None:
    """The chart and the table. The log of actions is the one that every page reads, of the last days alone."""
    days = tuple(dropwhile(lambda day: not day.games, history.days))  # before the first game nothing is stored
    dates_text = f", {days[0].game_date:%-d %b}–{days[-1].game_date:%-d %b}" if days else ""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="history heading"
    ):
        st.subheader(f"Coverage by game date{dates_text}", anchor=False, width="content")
        population = widgets.segmented_choice("Denominator", list(DENOMINATORS), "coverage_share")
    thresholds = threshold_lines(clients.settings) if population == "eligible" else ()
    now, deploys = clients.now(), wait_for_deploys()
    first = days[0].game_date if days else to_game_date(now)
    changes = changes_by_date(first, now, deploys, action_feed.fetch_log(), action_feed.log_window(now)[0])
    coverage_by_night.render(days, DENOMINATORS[population], population, thresholds, changes)
    tables.data_grid(
        [
            {
                "game date": day.game_date,
                "state": day.state,
                "games": day.games,
                "with odds": day.with_odds,
                "matched via alias": day.resolution_counts and day.resolution_counts.by_alias,
                "unmatched names": day.resolution_counts and day.resolution_counts.unresolved,
                "in context": day.in_context,
                "eligible": day.eligible,
                "active": day.active,
                "% of eligible": coverage_by_night.coverage_pct(day, "eligible"),
                "% of context": coverage_by_night.coverage_pct(day, "in_context"),
                "% of odds": coverage_by_night.coverage_pct(day, "with_odds"),
                "rows": day.active_rows,
                **{system: players for system, players, _ in day.by_system},
            }
            for day in reversed(days)
        ],
        name="coverage",
        alt="Coverage by game date",
        empty="No game dates in this range.",
        **COLUMN_CONFIG,
        height_rows=8,
    )
    widgets.source_footer((*history.sources, *((deploys.value.source,) if deploys.value else ())))
