"""What the predictions run on, as panels of System health: what is wrong first, everything in order folded into one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import streamlit as st

from app.actions import dialog
from app.components import text_format, widgets
from app.components.facts import fact_list
from app.components.html_table import Cell, Column, Mark, show_table
from app.panels import undo_buttons
from services.actions.log_reader import ActionLog
from services.core.result import Health, Result
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB, RUN_JOB
from services.plumbing.refused_calls import RefusalReport
from services.plumbing.scheduled_jobs import JobReport, JobStatus
from services.plumbing.service_state import ServiceReport, ServiceState
from services.plumbing.subscriptions import SubscriptionReport, SubscriptionState
from services.telemetry.scheduler import ScheduledJob

MAX_ROWS_WITH_BUTTONS = 5
_JOB_COLUMNS = (
    Column("Job"),
    Column("Status", grows=True),
    Column("Schedule", minor=True),
    Column("Last attempt", minor=True),
    Column("Next run"),
    Column("Owner", minor=True),
)


_SERVICE_COLUMNS = (
    Column("Service"),
    Column("Status", grows=True),
    Column("Revision"),
    Column("Commit"),
    Column("Variables", minor=True),
    Column("Deployed", minor=True),
    Column("By", minor=True),
)


class _Report(Protocol):
    @property
    def health(self) -> Health: ...

    @property
    def headline(self) -> str: ...


ReportT = TypeVar("ReportT", bound=_Report)


def _open_panel(title: str, reading: Result[ReportT]) -> ReportT | None:
    """The title and headline of a panel, and its report; None where it could not be read, which is said."""
    st.subheader(title, anchor=False)
    report = widgets.value_or_notice(reading, title)
    if report is not None:
        st.markdown(f"{widgets.badge(report.health)} {text_format.escape_markdown(report.headline)}")
    return report


def services(reading: Result[ServiceReport]) -> None:
    """Each service that the predictions run on as it really is, the ones that differ from the manifest first."""
    report = _open_panel("Services", reading)
    if report is None:
        return
    widgets.render_problems(report.problems)
    show_table(_SERVICE_COLUMNS, [_service_row(service) for service in report.services], "Services", "None was read.")
    with st.expander("Image, account and environment"):
        for service in report.services:
            fact_list(_service_facts(service))
    widgets.source_footer((report.source,))


def _service_row(service: ServiceState) -> tuple[Cell, ...]:
    return (
        service.name,
        Mark("; ".join(service.problems) or "as declared", service.health),
        service.revision or None,
        service.commit[:12] or "unknown",
        f"{service.variables_present} of {service.variables_declared}",
        text_format.format_day_time(service.deployed_at),
        service.deployed_by.partition("@")[0] or "unknown",
    )


def _service_facts(service: ServiceState) -> dict[str, str]:
    return {
        "service": service.name,
        "image": service.image or "unknown",
        "service account": service.service_account or "not set",
        "last deploy by": service.deployed_by or "unknown",
        "traffic": f"{str(service.traffic) or 'none'}, {'latest revision' if service.traffic.follows_latest else 'pinned'}",
        "variables changed by the last deploy": ", ".join(service.changed) or "none",
        "owner": service.owner,
    }


_SUBSCRIPTION_COLUMNS = (
    Column("Subscription"),
    Column("Status", grows=True),
    Column("Oldest unacked"),
    Column("Undelivered", numeric=True),
    Column("Dead letters", minor=True),
    Column("Owner", minor=True),
)


def subscriptions(reading: Result[SubscriptionReport]) -> None:
    """The subscriptions that carry the predictions, the ones that differ from the manifest first."""
    report = _open_panel("Subscriptions", reading)
    if report is None:
        return
    widgets.render_problems(report.problems)
    if report.subscriptions:
        rows = [_subscription_row(state) for state in report.subscriptions]
        show_table(_SUBSCRIPTION_COLUMNS, rows, "Subscriptions", "")
    if report.silent_topics:
        names = ", ".join(report.silent_topics)
        st.caption(text_format.escape_markdown(f"Topics without a subscription: {names}"))
    widgets.source_footer((report.source,))


def _subscription_row(state: SubscriptionState) -> tuple[Cell, ...]:
    age, count = state.oldest_unacked_s, state.undelivered
    return (
        state.name,
        Mark("; ".join(state.problems) or ("as declared" if state.health is Health.OK else "unknown"), state.health),
        "unknown" if age is None else f"{age} s" if age < 120 else f"{age // 60} min",
        "unknown" if count is None else count,
        state.dead_letter_topic or "none",
        state.declared.owner,
    )


_CALL_COLUMNS = (
    Column("Service"),
    Column("Status", numeric=True),
    Column("Caller", grows=True),
    Column("Calls", numeric=True),
    Column("Last"),
)


def refused_calls(reading: Result[RefusalReport]) -> None:
    """Calls between services that were refused, by service and caller."""
    report = _open_panel("Refused calls between services", reading)
    if report is None:
        return
    if report.calls:
        rows = [
            (c.service, str(c.status), c.caller, c.count, text_format.format_day_time(c.last_at)) for c in report.calls
        ]
        show_table(_CALL_COLUMNS, rows, "Refused calls", "")
    widgets.source_footer((report.source,))


def scheduled_jobs(reading: Result[JobReport], log: ActionLog | None) -> None:
    """The jobs that are not as declared, each with what fixes it; what was done to one; all of them on request."""
    report = _open_panel("Scheduled jobs", reading)
    if report is None:
        return
    for status in report.failing[:MAX_ROWS_WITH_BUTTONS]:
        _failing_job(status)
    undo_buttons.undo_lines(log, (PAUSE_JOB.name, RESUME_JOB.name))
    with st.expander(f"All jobs ({len(report.jobs) + len(report.undeclared)})"):
        show_table(_JOB_COLUMNS, [_job_row(status) for status in report.jobs], "Declared jobs", "None is declared.")
        if report.undeclared:
            names = ", ".join(job.name for job in report.undeclared)
            st.caption(text_format.escape_markdown(f"Not in the manifest: {names}"))
        _chosen_job([*(status.job for status in report.jobs if status.job is not None), *report.undeclared])
    widgets.source_footer((report.source,))


def _failing_job(status: JobStatus) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"job {status.name}"):
        text = (
            f"**{text_format.escape_markdown(status.name)}** {text_format.escape_markdown('; '.join(status.problems))}"
        )
        owner = text_format.escape_markdown(status.declared.owner)
        st.markdown(f"{widgets.badge(status.health)} {text} :gray[owner {owner}]", width="stretch")
        if status.job is not None:
            _fix_button(status.job, declared_enabled=status.declared.enabled)


def _fix_button(job: ScheduledJob, declared_enabled: bool) -> None:
    if job.state == "PAUSED" and declared_enabled:
        dialog.action_button(RESUME_JOB, key=f"fix {job.name}", job=job.name)
    elif not job.paused and not declared_enabled:
        dialog.action_button(PAUSE_JOB, key=f"fix {job.name}", job=job.name)
    elif not job.paused and job.problem:
        dialog.action_button(RUN_JOB, key=f"fix {job.name}", job=job.name)


def _job_row(status: JobStatus) -> tuple[Cell, ...]:
    job, declared = status.job, status.declared
    return (
        status.name,
        Mark("; ".join(status.problems) or "as declared", status.health),
        f"{job.cron if job else declared.schedule} {job.time_zone if job else declared.time_zone}",
        text_format.format_day_time(job.last_at) if job else None,
        text_format.format_day_time(job.next_at) if job else None,
        declared.owner,
    )


def _chosen_job(jobs: Sequence[ScheduledJob]) -> None:
    """Run, pause or resume one of the jobs that are there, declared or not."""
    by_name = {job.name: job for job in jobs}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox(
            "Job", list(by_name), key="scheduled job", index=None, placeholder="Select a job", width=320
        )
        if name:
            paused = by_name[name].paused
            dialog.action_button(RUN_JOB, key="chosen", disabled=paused, job=name)
            dialog.action_button(RESUME_JOB if paused else PAUSE_JOB, key="chosen", job=name)
