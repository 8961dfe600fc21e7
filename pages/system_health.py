"""System health: does the dashboard reach everything it depends on, and which commands repair what it does not reach?"""

from __future__ import annotations

import streamlit as st

from app.components import tables, widgets
from app.state import reads, session
from services.core.result import Health, list_outdated
from services.doctor.check_result import CheckResult
from services.doctor.examination import ConnectionReport

cloud = session.cached_clients()


def headline(report: ConnectionReport) -> str:
    """How many checks passed, and the worst state."""
    failing = [check for check in report.results if check.health not in (Health.OK, Health.NONE_EXPECTED)]
    if not failing:
        return f"All {len(report.results)} connections stand"
    return f"{len(failing)} of {len(report.results)} connections need a look; first: {failing[0].subject}"


def to_table_row(check: CheckResult) -> dict[str, object]:
    """A check as a row of the table."""
    return {"state": widgets.badge(check.health), "about": check.subject, "what was found": check.message}


def render(report: ConnectionReport) -> None:
    """The report: headline, failures first, then every check."""
    widgets.verdict(report.health, headline(report), ["Nothing is changed by looking"], list_outdated((reading,)))
    if repair_commands := {check.repair_command: check for check in report.results if check.repair_command}:
        with st.expander(f"{len(repair_commands)} commands that repair it", icon=":material/build:", expanded=True):
            text = "\n".join(f"# {check.subject}\n{command}" for command, check in repair_commands.items())
            st.code(text, language="bash", wrap_lines=True)
    with st.container(key="connections"):
        tables.text_table(
            [to_table_row(check) for check in report.results], alt="Connections", empty="Nothing was looked at."
        )
    widgets.source_footer(report.sources)
    widgets.render_query_cost()


reading = reads.connection_checks(cloud)
report = widgets.value_or_notice(reading, "The connections")
if report is not None:
    render(report)
