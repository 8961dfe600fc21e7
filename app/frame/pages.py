"""Which pages there are, under which addresses, and in which order the sidebar names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import streamlit as st


class Entry(NamedTuple):
    """A page: its file and address, its title and icon, what it shows, and whether that is about one game date."""

    name: str
    title: str
    icon: str
    description: str
    of_date: bool = True

    @property
    def path(self) -> str:
        """Its file, as Streamlit's commands name it."""
        return f"../pages/{self.name}.py"


NAVIGATION: Mapping[str, tuple[Entry, ...]] = {
    "": (Entry("overview", "Overview", "dark_mode", "Tonight's coverage, active issues and the recommended fix."),),
    "Investigate": (
        Entry(
            "pipeline",
            "Pipeline",
            "account_tree",
            "The steps before and after the predictions: what is missing or late, and who owns it.",
        ),
        Entry("coverage", "Coverage", "show_chart", "Prediction coverage by game date and pipeline stage."),
        Entry(
            "missing_players",
            "Missing players",
            "person_search",
            "Players without active predictions, with the stage that dropped them.",
        ),
        Entry(
            "dml_errors", "DML errors", "sync_problem", "Rejected BigQuery writes and the concurrency limit they hit."
        ),
        Entry(
            "explore",
            "Explore",
            "query_stats",
            "Rows, players, lines and duplicates over a range of dates.",
            of_date=False,
        ),
    ),
    "Operate": (
        Entry("runs", "Runs", "directions_run", "Prediction batches: progress, results and verification."),
        Entry(
            "staging_tables",
            "Staging tables",
            "table_view",
            "Leftover staging tables and rows not yet consolidated.",
            of_date=False,
        ),
        Entry(
            "worker_capacity",
            "Worker capacity",
            "tune",
            "Max concurrent writers vs. BigQuery's DML limit.",
            of_date=False,
        ),
    ),
    "Player names": (
        Entry(
            "player_names",
            "Player names",
            "badge",
            "Odds-feed names that match no player, and the aliases that fix them.",
        ),
    ),
    "Activity": (
        Entry("alerts", "Alerts", "notifications", "Open alerts, notifications and owners.", of_date=False),
        Entry(
            "action_log",
            "Action log",
            "history",
            "Every change made from this dashboard, with its result.",
            of_date=False,
        ),
        Entry("shift_handoff", "Shift handoff", "description", "Summary for the next on-call engineer."),
    ),
    "System": (
        Entry("logs", "Logs", "article", "Service logs for this game date."),
        Entry(
            "system_health",
            "System health",
            "monitor_heart",
            "Checks on every data source and service this dashboard depends on.",
            of_date=False,
        ),
    ),
}
DETAIL_PAGES = (
    Entry("player", "Player", "person", "How far one player came through the pipeline, and what dropped the player."),
)  # that rows lead to; they have no place in the sidebar
ENTRIES = {entry.title: entry for entries in (*NAVIGATION.values(), DETAIL_PAGES) for entry in entries}
_HOME_URL_PATH = "home"  # Streamlit serves its default page at /, whatever its path is called
# Further addresses of pages: former ones, in bookmarks and old notes.
ALTERNATIVE_URL_PATHS = {
    "overview": "Overview",
    "tonight": "Overview",
    "concurrency": "Worker capacity",
    "aliases": "Player names",
    "handoff_note": "Shift handoff",
    "connections": "System health",
    "doctor": "System health",
}


def build_pages() -> list[st.Page]:
    """Streamlit's page of each entry under its own address; the first is the default page."""
    return [_to_page(entry, _HOME_URL_PATH if entry.name == "overview" else entry.name) for entry in ENTRIES.values()]


def build_alternatives() -> list[st.Page]:
    """The same pages under their further addresses."""
    return [_to_page(ENTRIES[title], url_path) for url_path, title in ALTERNATIVE_URL_PATHS.items()]


def _to_page(entry: Entry, url_path: str) -> st.Page:
    return st.Page(
        entry.path,
        title=entry.title,
        url_path=url_path,
        default=url_path == _HOME_URL_PATH,
    )
