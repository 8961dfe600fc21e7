"""Logs: what the services logged for this game date, by the usual searches, each line once."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, widgets
from app.state import reads, session
from services.core.result import Health, list_outdated
from services.core.text import pluralize
from services.telemetry.log_reader import PRESETS, LogLine, LogLines

cloud, game_date = session.cached_clients(), session.game_date()
preset_names = [preset.name for preset in PRESETS]
ERROR_SEVERITIES = {"ERROR", "CRITICAL", "ALERT", "EMERGENCY"}


def headline(lines: LogLines) -> tuple[Health, str]:
    """How many lines match, by severity; no line proves nothing and is never OK."""
    if not lines.lines:
        return Health.NONE_EXPECTED, "No matching log lines"
    errors = sum(line.severity in ERROR_SEVERITIES for line in lines.lines)
    warnings = sum(line.severity == "WARNING" for line in lines.lines)
    others = len(lines.lines) - errors - warnings
    counts = ((errors, "error"), (warnings, "warning"), (others, "other line"))
    message = ", ".join(pluralize(count, noun) for count, noun in counts if count)
    if errors:
        return Health.WARNING, message
    return (Health.UNKNOWN if lines.truncated else Health.OK), message


def filter_lines(lines: LogLines) -> list[LogLine]:
    counts = Counter(line.severity for line in lines.lines)
    levels, terms = filters.filter_bar("Severity", counts, "Filter messages…", "log")
    return [
        entry
        for entry in lines.lines
        if (not levels or entry.severity in levels) and all(term in entry.message.lower() for term in terms)
    ]


def render(lines: LogLines) -> None:
    repeat_count = sum(line.entries - 1 for line in lines.lines)
    notes = [
        f"{repeat_count:,} duplicates collapsed" if repeat_count else "",
        "truncated: later lines were not read" if lines.truncated else "",
    ]
    with answer_container:
        details = [preset.description, *notes]
        widgets.verdict(*headline(lines), details, list_outdated((reading,)))
    if not lines.lines:
        st.caption("Try another search or date.")
    else:
        log_table(lines)
    widgets.source_footer((lines.source,))


def log_table(lines: LogLines) -> None:
    tables.data_grid(
        [
            {
                "time": line.at,
                "severity": line.severity,
                "message": line.message,
                "count": line.repeats,
                "service": line.service,
                "revision": line.revision,
            }
            for line in filter_lines(lines)
        ],
        name=f"log-{game_date}",
        alt=f"{preset.name}, log lines of the game date",
        empty="No line matches.",
        height_rows=22,
        expands="message",
        message=st.column_config.TextColumn(width=640),
    )


answer_container = st.container()
preset_name = widgets.segmented_choice("Search", preset_names, "search")  # in the address: ?search=DML+errors
preset = next(p for p in PRESETS if p.name == preset_name)
reading = reads.log_lines(cloud, game_date, preset.condition)
log_lines = widgets.value_or_notice(reading, "Log")
if log_lines is not None:
    render(log_lines)
manual_commands = st.expander("gcloud command", key="gcloud command", on_change="rerun")
if manual_commands.open:
    manual_commands.code(preset.command(cloud, game_date), language="bash", wrap_lines=True)
