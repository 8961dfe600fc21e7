"""The steps of a game date as rows: state, count and time against the usual, the last error; and one step in detail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from html import escape

import streamlit as st

from app.charts.html_parts import CLASS_BY_HEALTH, health_icon
from app.components import widgets
from app.state import session
from services.core import console_links
from services.core.clock import eastern_day, format_eastern
from services.core.result import Health
from services.core.text import to_printable
from services.gcp import query_catalog
from services.phases.declaration import Phase, load_steps
from services.phases.report import StepReport, StepState
from services.reports.pipeline import PREDICTIONS

_GROUPS = ((Phase.BEFORE, "Before the predictions"), (Phase.AFTER, "Predictions and after"), (Phase.QUALITY, "Quality"))
_TROUBLED = (Health.CRITICAL, Health.WARNING)
_PAGE_BY_STEP = {PREDICTIONS.name: "missing_players"}


def to_html(reports: Sequence[StepReport], game_date: date) -> str:
    """The steps in three groups, each step a row that leads to its detail."""
    return "".join(
        f'<h3 class="pipeline-head">{name}</h3><ol class="pipeline" aria-label="{name}">'
        + "".join(_row_html(report, game_date) for report in reports if report.step.phase is phase)
        + "</ol>"
        for phase, name in _GROUPS
        if any(report.step.phase is phase for report in reports)
    )


def _row_html(report: StepReport, game_date: date) -> str:
    step, css_class = report.step, CLASS_BY_HEALTH[report.health] if report.health in _TROUBLED else ""
    href = escape(widgets.page_href("pipeline", {**session.link_params(), "step": step.name}))
    error = f'<code class="cut">{_text(report.error)}</code>' if report.error else ""
    return (
        f'<li class="{css_class}">{health_icon(report.health)}'
        f'<b><a href="{href}">{escape(step.title)}</a><small>{escape(step.owner)}</small></b>'
        f'<span class="word">{report.state}</span>'
        f"<span>{_count_html(report)}</span><span>{_time_html(report, game_date)}</span>"
        f'<div class="what">{_what_html(report)}{error}</div></li>'
    )


def _what_html(report: StepReport) -> str:
    """What is wrong, or how much of what is allowed; of a step in order its dates before."""
    if report.state is StepState.OK and report.step.phase is not Phase.QUALITY and report.earlier:
        return _strip_html(report.earlier, "strip mini")
    return _text(report.text)


def _count_html(report: StepReport) -> str:
    if report.found is None:
        return "–"
    compared = f"of {report.total:,}" if report.total is not None else ""
    if report.usual is not None:
        compared = f"usually {report.usual:,}"
    return f"{report.found:,}<small>{compared or escape(report.step.unit)}</small>"


def _time_html(report: StepReport, game_date: date) -> str:
    if report.done_at is None:
        due = "" if report.step.due == timedelta() else f"due {format_time_of_day(report.step.due)}"
        return f"–<small>{due}</small>"
    usual = "" if report.usual_time is None else f"usually {format_time_of_day(report.usual_time)}"
    return f"{_format_time(report.done_at, game_date)}<small>{usual}</small>"


def _format_time(at: datetime, game_date: date) -> str:
    return format_eastern(at, "%H:%M" if eastern_day(at) == game_date else "%-d %b %H:%M")


def format_time_of_day(since_midnight: timedelta) -> str:
    """A time counted from a date's midnight: 10:40, next day 06:10, day before 17:00."""
    days, rest = divmod(round(since_midnight.total_seconds() / 60), 24 * 60)
    prefix = {0: "", 1: "next day ", -1: "day before "}.get(days, f"{days:+d} days ")
    return f"{prefix}{rest // 60:02d}:{rest % 60:02d}"


def render_detail(report: StepReport, game_date: date) -> None:
    """One step: its last dates, what is usual, its error and log, the command that does it again, and its query."""
    step, settings = report.step, session.cached_clients().settings
    with st.container(border=True, key="card step"):
        st.subheader(f"{step.title} :gray[:small[{step.owner}]]", anchor=False)
        word = f"{report.state}: {report.text}"
        st.html(f'<p class="step-text">{health_icon(report.health)} {_text(word)}</p>{_facts_html(report)}')
        if report.earlier:
            st.html(_strip_html(report.earlier))
        if report.error:
            st.caption("Last error")
            st.code(report.error, language=None, wrap_lines=True)
        if step.service and (url := _log_url(report, game_date)):
            st.link_button("Errors in Cloud Logging", url, icon=":material/article:")
        if command := step.fix_command(settings, game_date):
            st.caption("Fix command")
            st.code(command, language="bash", wrap_lines=True)
        if page := _PAGE_BY_STEP.get(step.name):
            st.page_link(f"../pages/{page}.py", label="Missing players", query_params=session.link_params())
        if step in load_steps():
            with st.expander("Query of this step", icon=":material/database:"):
                st.code(query_catalog.load(step.query).sql, language="sql", wrap_lines=True)


def _log_url(report: StepReport, game_date: date) -> str:
    settings, day = session.cached_clients().settings, report.step.due_at(game_date)
    query = f'resource.labels.service_name="{report.step.service}" AND severity>=WARNING'
    return console_links.logs_url(settings, query, day - timedelta(hours=24), day + timedelta(hours=12))


def _facts_html(report: StepReport) -> str:
    step, run = report.step, report.run
    allowed = f"{step.allowed[0]}–{step.allowed[1]}" if step.allowed else ""
    facts = [
        ("Due", f"{format_time_of_day(step.due)} ET" if step.due else ""),
        ("Usual count", f"{report.usual:,} {step.unit}" if report.usual is not None else ""),
        ("Usual time", f"{format_time_of_day(report.usual_time)} ET" if report.usual_time is not None else ""),
        ("Allowed", f"{allowed}{'%' if report.total is not None else f' {step.unit}'}" if allowed else ""),
        ("Runs", f"{run.runs:,}, {run.failed:,} failed, {run.unfinished:,} without an end" if run is not None else ""),
        ("Processor", step.processor),
        ("Service", step.service),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in facts if value)
    return f'<dl class="head-facts">{items}</dl>' if items else ""


def _strip_html(earlier: Iterable[tuple[date, StepState, int | None]], css_class: str = "strip") -> str:
    """A cell for each date before, oldest first."""
    cells = "".join(
        f'<li class="{_STRIP_CLASS.get(state, "")}" title="{day:%-d %b}: {state}{"" if found is None else f", {found:,}"}">'
        f'<span class="sr">{day:%-d %b}: {state}</span><small aria-hidden="true">{day:%-d}</small></li>'
        for day, state, found in earlier
    )
    return f'<ol class="{css_class}" aria-label="The dates before">{cells}</ol>'


_STRIP_CLASS = {
    StepState.OK: "grn",
    StepState.SHORT: "amb",
    StepState.LATE: "red",
    StepState.FAILED: "red",
    StepState.UNKNOWN: "vio",
}


def _text(value: str) -> str:
    return escape(to_printable(value))
