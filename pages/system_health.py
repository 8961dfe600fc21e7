"""System health: does the dashboard reach everything, and is what the predictions run on as it is declared?"""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.actions import action_feed
from app.components import widgets
from app.components.html_table import Cell, Column, Mark, show_table
from app.panels import plumbing_panels
from app.state import reads, session
from services.core.result import Health, list_outdated
from services.doctor.check_result import CheckResult
from services.doctor.examination import ConnectionReport

COLUMNS = (Column("Status"), Column("Component"), Column("Details", grows=True))
cloud = session.cached_clients()


def headline(report: ConnectionReport) -> str:
    """How many checks passed; else how many failed or are unknown, and the worst."""
    counts = Counter(check.health for check in report.results)
    failed, unknown = counts[Health.CRITICAL] + counts[Health.WARNING], counts[Health.UNKNOWN]
    if not failed and not unknown:
        return f"{len(report.results)} of {len(report.results)} checks passed"
    words = [f"{count} {word}" for count, word in ((failed, "failed"), (unknown, "unknown")) if count]
    return f"{' and '.join(words)} of {len(report.results)} checks, first: {report.results[0].subject}"


def to_table_row(check: CheckResult) -> tuple[Cell, ...]:
    """A check as a row of the table; as Markdown its accounts would become links to write to them."""
    return Mark(str(check.health), check.health), check.subject, check.message


def render(report: ConnectionReport) -> None:
    """The report: headline, what failed with its fix, and on request what passed."""
    widgets.verdict(report.health, headline(report), [], list_outdated((reading,)))
    if repair_commands := {check.repair_command: check for check in report.results if check.repair_command}:
        with st.expander(f"Fix commands ({len(repair_commands)})", icon=":material/build:", expanded=True):
            text = "\n".join(f"# {check.subject}\n{command}" for command, check in repair_commands.items())
            st.code(text, language="bash", wrap_lines=True)
    passed = [check for check in report.results if check.health is Health.OK]
    failed = [check for check in report.results if check.health is not Health.OK]
    with st.container(key="connections"):
        if failed:
            show_table(COLUMNS, [to_table_row(check) for check in failed], alt="Failed and unknown checks", empty="")
        with st.expander(f"Passed checks ({len(passed)})"):
            show_table(
                COLUMNS, [to_table_row(check) for check in passed], alt="Passed checks", empty="No check passed."
            )
    widgets.source_footer(report.sources)
    widgets.render_query_cost()


wait_for_log = action_feed.fetch_log_async()
wait_for_jobs, wait_for_services = reads.scheduled_jobs.fetch_async(cloud), reads.service_states.fetch_async(cloud)
wait_for_calls, wait_for_subscriptions = reads.refused_calls.fetch_async(cloud), reads.subscriptions.fetch_async(cloud)
reading = reads.connection_checks(cloud)
report = widgets.value_or_notice(reading, "Checks")
if report is not None:
    render(report)
plumbing_panels.scheduled_jobs(wait_for_jobs(), wait_for_log().value)
plumbing_panels.services(wait_for_services())
plumbing_panels.subscriptions(wait_for_subscriptions())
plumbing_panels.refused_calls(wait_for_calls())
