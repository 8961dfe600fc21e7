"""The scheduled jobs, the alert rules and the thresholds as they are now, and whether the watchdog uses the same ones."""

from __future__ import annotations

import streamlit as st

from app.components import tables, text_format, widgets
from services.alerts.heartbeat import Heartbeat
from services.alerts.rules import RULES
from services.core.env_settings import list_settings
from services.core.result import Health, Result
from services.core.settings import Settings
from services.core.thresholds import Thresholds
from services.telemetry.scheduler import Schedule


def render_schedule(reading: Result[Schedule]) -> None:
    """The scheduled jobs, with what is wrong with each."""
    schedule = widgets.value_or_notice(reading, "The schedule")
    if schedule is None:
        return
    rows = [
        {
            "job": job.name,
            "next run": job.next_at,
            "last run": job.last_at,
            "issue": job.problem or "none",
            "schedule": job.cron,
            "purpose": job.description,
        }
        for job in schedule.jobs
    ]
    issues = f", {text_format.pluralize(len(schedule.job_problems), 'issue')}" if schedule.job_problems else ""
    with st.expander(f"Scheduled jobs ({len(schedule.jobs)}{issues})"):
        tables.data_grid(
            rows, name="schedule", alt="Scheduled jobs by next run", empty="Cloud Scheduler has no job.", height_rows=9
        )


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
