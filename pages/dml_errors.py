"""DML errors: how many writes fail, why, and against which limit?"""

from __future__ import annotations

import streamlit as st

from app.charts import dml_chart
from app.components import tables, widgets
from app.panels import dml_queue
from app.state import reads, session
from services.core.clock import format_day, format_eastern, night_window
from services.judgement.statement import Subject
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.reports.event import ACTIONS, SCALED, Event
from services.reports.events import night_events
from services.telemetry.dml_jobs import DmlReport

cloud, game_date = session.cached_clients(), session.game_date()
facts, judgement = reads.judgement(cloud, game_date)
judged = judgement.get(Subject.WRITES)
alert_rule_text = f"{cloud.settings.dml_alert_errors} in {cloud.settings.dml_alert_window_s} s"


def metrics(report: DmlReport) -> None:
    logged_count = report.rejected_in_logs
    agreement = (
        "logs unavailable"
        if logged_count is None
        else "matches the logs"
        if logged_count == report.rejected
        else f"logs show {logged_count:,}"
    )
    with st.grid(4, min_column_width=125, key="figures"):
        widgets.metric_of_total("Rejected", report.rejected, report.attempted, note="attempted")
        if report.attempted == 0:
            widgets.metric_card("Rejection rate", "no writes", agreement)
        else:
            widgets.metric_card("Rejection rate", _format_pct(report.rejected_pct), agreement)
        widgets.metric_of_total("Peak concurrent DML", report.peak_outstanding, MAX_OUTSTANDING_DML, note="allowed")
        widgets.metric_card("Alert threshold reached", *alert_metric(report))


def _format_pct(pct: float | None) -> str:
    return "unknown" if pct is None else f"{pct:.1f}%"


def alert_metric(report: DmlReport) -> tuple[str, str]:
    """When the writes reached the alert rule's threshold, in ET, and beside it the rule and the same instant in UTC."""
    if report.alert_at is None:
        return ("unknown" if report.rejected is None else "no"), f"≥{alert_rule_text}"
    return format_eastern(report.alert_at, "%H:%M:%S"), f"≥{alert_rule_text}, {report.alert_at:%H:%M:%S} UTC"


def chart(report: DmlReport) -> None:
    """The writes at once; on request the same in a chart to zoom into, whose script is large."""
    with st.container(horizontal=True, vertical_alignment="center", key="dml-heading"):
        st.subheader("Writes per minute and concurrent statements", anchor=False, width="stretch")
        zoom = st.toggle("Zoom", key="dml_zoom", bind="query-params", help="An interactive chart of the same writes")
    peak_text = f"peak {report.peak_outstanding or 'unknown'} concurrent, {dml_chart.LIMIT_TEXT}"
    alt = f"Writes per minute: {judged.text}; {peak_text}"
    with st.container(key="dml-chart"):
        if zoom:
            from app.charts import plotly_charts

            plotly_charts.show_figure(plotly_charts.dml_figure(report), "dml writes", alt)
        else:
            st.html(dml_chart.to_html(report, list_changes(), alt))


def list_changes() -> list[Event]:
    """The deploys and actions of the night, which the chart marks."""
    deploys = reads.deploys.fetch_async(cloud)
    log = reads.action_log.fetch_async(cloud, *night_window(game_date))
    timeline = night_events(game_date, cloud.now(), facts.batches, facts.writes, deploys(), reads.alerts(cloud), log())
    return [*timeline.in_lane(SCALED), *timeline.in_lane(ACTIONS)]


def render(report: DmlReport) -> None:
    scope = f"All writes of the runs of {format_day(game_date)}, 06:00 ET – 06:00 ET next day and later"
    widgets.verdict(judged.health, f"{judged.sentence[0].upper()}{judged.sentence[1:]}", [scope], facts.outdated)
    metrics(report)
    widgets.render_problems(report.problems)
    dml_queue.render(report, cloud.now())
    if report.attempts:
        chart(report)
        tables.text_table(
            [{"reason": reason, "rejected writes": count} for reason, count in report.by_reason],
            alt="Rejected writes by reason",
            empty="No rejected writes.",
        )
        rejected_only = st.toggle(
            "Rejected only", value=bool(report.rejected_at_least), key="dml_rejected", bind="query-params"
        )
        tables.data_grid(
            [
                {
                    "time": attempt.at,
                    "outcome": {True: "done", False: "rejected", None: "running"}[attempt.ok],
                    "duration (s)": (attempt.ended - attempt.at).total_seconds() if attempt.ended else None,
                    "statement": attempt.statement,
                    "reason": attempt.reason,
                    "message": attempt.message,
                    "job ID": attempt.job_id,
                    "service account": attempt.user,
                    **({"console": url} if (url := session.job_url(attempt.job_id)) else {}),
                }
                for attempt in report.attempts
                if not rejected_only or attempt.ok is False
            ],
            name=f"writes-{game_date}",
            alt="Writes of this date",
            empty="No rejected writes.",
            console=st.column_config.LinkColumn(display_text="open"),
        )
    widgets.source_footer(report.sources, session.log_link_params("DML errors"))


report = widgets.value_or_notice(facts.writes, "Write failures")
if report is not None:
    render(report)
