"""The alert rules and the thresholds as they are now, and whether the watchdog judges by the same ones."""

from __future__ import annotations

import streamlit as st

from app.components import tables, widgets
from services.alerts.heartbeat import Heartbeat
from services.alerts.rules import RULES
from services.core.env_settings import list_settings
from services.core.result import Health
from services.core.settings import Settings
from services.core.thresholds import Thresholds


def render(settings: Settings, last_heartbeat: Heartbeat | None) -> None:
    """Every rule with its threshold, and every threshold with its value, default and variable."""
    if last_heartbeat is not None and last_heartbeat.thresholds not in ("", settings.fingerprint):
        st.markdown(
            f"{widgets.badge(Health.WARNING)} The watchdog uses other thresholds ({last_heartbeat.thresholds}) than this"
            f" dashboard ({settings.fingerprint}). Fix: set them in deploy/thresholds.env, then run deploy/apply.sh."
        )
    with st.expander(f"Alert rules ({len(RULES)})"):
        tables.text_table(
            [
                {"rule": r.title, "fires when": r.format_threshold(settings), "source": r.source, "remedy": r.hint}
                for r in RULES
            ],
            alt="Rules",
            empty="",
        )
    rows = [
        {"variable": variable, "value": value or "none", "default": default or "none", "meaning": meaning}
        for variable, value, default, meaning in list_settings(settings, Thresholds)
    ]
    with st.expander(f"Thresholds ({len(rows)}) · {settings.fingerprint}"):
        tables.text_table(rows, alt="Thresholds", empty="")
