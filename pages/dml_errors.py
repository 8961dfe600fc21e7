"""DML errors: how many writes fail, why, and against which limit?"""

from __future__ import annotations

import streamlit as st

from app.charts import plotly_charts as charts
from app.components import tables, widgets
from app.state import reads, session
from services.core.clock import ET, night_window
from services.policy.dml_limits import ADMITTED
from services.telemetry.dml_jobs import DmlReport

cloud, game_date = session.cloud(), session.game_date()
rule = f"{cloud.settings.dml_alert_errors} in {cloud.settings.dml_alert_window_s} s"


def headline(report: DmlReport) -> str:
    if report.attempted is None or report.rejected is None:
        return "How many writes failed is unknown"
    if not report.attempted:
        return "No write was attempted"
    return f"{report.rejected:,} of {report.attempted:,} writes were rejected"


def figures(report: DmlReport) -> None:
    logged = report.rejected_in_logs
    agreed = (
        "unknown" if logged is None else "the log agrees" if logged == report.rejected else f"{logged:,} by the log"
    )
    with st.grid(4, min_column_width=125):
        widgets.figure("Rejected", report.rejected, report.attempted, about="attempted")
        widgets.figure("Rejection rate", report.rejected_pct, unit="%", about=agreed)
        widgets.figure("Most at once", report.peak_outstanding, ADMITTED, about="admitted")
        widgets.card("Alert rule would fire", *fires(report))


def fires(report: DmlReport) -> tuple[str, str]:
    """When the rule would have spoken, in ET, and beside it the rule and the same instant in UTC."""
    if report.alert_at is None:
        return ("unknown" if report.rejected is None else "no"), f"at {rule}"
    return f"{report.alert_at.astimezone(ET):%H:%M:%S} ET", f"at {rule}, {report.alert_at:%H:%M:%S} UTC"


def picture(report: DmlReport) -> None:
    st.subheader("Writes by minute", anchor=False)
    at_once = f"at most {report.peak_outstanding} statements stood at once, {ADMITTED} are admitted"
    charts.show(charts.of_night(report), "dml writes", f"Writes by minute: {headline(report)}; {at_once}")


def show(report: DmlReport) -> None:
    widgets.verdict(report.health, headline(report), [f"{session.day(game_date)}, 06:00 to 06:00 ET"])
    figures(report)
    widgets.gaps(report.problems)
    if report.attempted:
        picture(report)
        tables.listing(
            [{"why rejected": reason, "writes": count} for reason, count in report.by_reason],
            alt="Rejected writes by reason",
            empty="No write was rejected.",
        )
        only = st.toggle("Rejected only", value=bool(report.rejected), key="dml_rejected", bind="query-params")
        tables.table(
            [
                {
                    "at": attempt.at,
                    "outcome": {True: "done", False: "rejected", None: "running"}[attempt.ok],
                    "seconds": (attempt.ended - attempt.at).total_seconds() if attempt.ended else None,
                    "statement": attempt.statement,
                    "reason": attempt.reason,
                    "message": attempt.message,
                    "job": attempt.job_id,
                    "as": attempt.user,
                }
                for attempt in report.attempts
                if not only or attempt.ok is False
            ],
            name=f"writes-{game_date}",
            alt="Writes of the night",
            empty="No write was rejected.",
        )
    widgets.footer(report.sources, cloud.now(), session.log("DML errors"))


report = widgets.known(reads.writes(cloud, *night_window(game_date)), "Writes to the predictions table")
if report is not None:
    show(report)
