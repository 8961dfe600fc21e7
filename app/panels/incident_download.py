"""The button that downloads a night's incident as a Markdown file. It is written when it is asked for."""

from __future__ import annotations

from datetime import date

import streamlit as st

from app.actions import action_feed
from app.state import reads, session
from services.gcp.clients import Clients
from services.reports.incident_file import render_incident


def button(game_date: date) -> None:
    """Nothing is read for it before the click."""
    clients = session.cached_clients()
    st.download_button(
        "Download incident",
        lambda: write_file(clients, game_date),
        file_name=f"incident-{game_date}.md",
        mime="text/markdown",
        icon=":material/download:",
        on_click="ignore",
        key=f"file of {game_date}",
    )


def write_file(clients: Clients, game_date: date) -> bytes:
    """The file as it is to be downloaded, from what is read now."""
    log = reads.action_log.fetch_async(clients, *action_feed.log_window(clients.now()))
    return render_incident(reads.handoff_inputs(clients, game_date, log), clients.settings).encode()
