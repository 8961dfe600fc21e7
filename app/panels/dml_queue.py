"""The statements on the predictions table that BigQuery runs and queues now, against its limits."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.components import tables, text_format
from app.state import session
from services.nights.night_writes import describe_queue
from services.telemetry.dml_jobs import DmlReport


def render(report: DmlReport, now: datetime) -> None:
    """One line, and every statement with its job, account and age; nothing for a past night."""
    if report.queue is None:
        return
    st.caption(f"DML queue now: {describe_queue(report)}")
    if report.queue:
        rows = [
            {
                "state": "pending" if attempt.pending else "running",
                "age": text_format.format_age(attempt.at, now),
                "statement": attempt.statement,
                "job ID": attempt.job_id,
                "service account": attempt.user,
                **({"console": url} if (url := session.job_url(attempt.job_id)) else {}),
            }
            for attempt in report.queue
        ]
        tables.data_grid(
            rows,
            name="dml queue",
            alt="Statements running and queued now",
            empty="",
            height_rows=6,
            console=st.column_config.LinkColumn(display_text="open"),
        )
