"""Logs: what did the services log this night? The usual searches, each line once, with its severity."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, widgets
from app.state import reads, session
from services.core.result import Health, list_outdated
from services.telemetry.log_reader import PRESETS, LogLine, LogLines

cloud, game_date = session.cached_clients(), session.game_date()
preset_names = [preset.name for preset in PRESETS]


def headline(lines: LogLines) -> tuple[Health, str]:
    """How many lines match; no line is unknown, never OK."""
    if not lines.lines:
        return Health.UNKNOWN, "No such line was logged: that proves nothing by itself"
    error_count = sum(line.severity in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY") for line in lines.lines)
    message = f"{len(lines.lines):,} lines" + (f", {error_count:,} of them errors" if error_count else "")
    if error_count:
        return Health.WARNING, message
    return (Health.UNKNOWN if lines.truncated else Health.OK), message


def filter_lines(lines: LogLines) -> list[LogLine]:
    counts = Counter(line.severity for line in lines.lines)
    levels, terms = filters.filter_bar("Severity", counts, "Player, table, words…", "log")
    return [
        entry
        for entry in lines.lines
        if (not levels or entry.severity in levels) and all(term in entry.message.lower() for term in terms)
    ]


def render(lines: LogLines) -> None:
    repeat_count = sum(line.entries - 1 for line in lines.lines)
    notes = [
        f"{repeat_count:,} repeated lines folded" if repeat_count else "",
        "more lines match, later ones, which are not read" if lines.truncated else "",
    ]
    with answer_container:
        details = [session.format_day(game_date), preset.description, *notes]
        widgets.verdict(*headline(lines), details, list_outdated((reading,)))
    if not lines.lines:
        st.caption("Look at the night before and after, or choose another search.")
    else:
        log_table(lines)
    widgets.source_footer((lines.source,))


def log_table(lines: LogLines) -> None:
    tables.data_grid(
        [
            {
                "at": line.at,
                "severity": line.severity,
                "message": line.message,
                "times": line.repeats,
                "service": line.service,
                "revision": line.revision,
            }
            for line in filter_lines(lines)
        ],
        name=f"log-{game_date}",
        alt=f"{preset.name}, lines of the night",
        empty="No line matches.",
        height_rows=22,
        message=st.column_config.TextColumn(width="large"),
    )


answer_container = st.container()
preset_name = widgets.segmented_choice("Search", preset_names, "search")  # in the address: ?search=DML+errors
preset = next(p for p in PRESETS if p.name == preset_name)
reading = reads.log_lines(cloud, game_date, preset.condition)
log_lines = widgets.value_or_notice(reading, "The log")
if log_lines is not None:
    render(log_lines)
manual_commands = st.expander("Do it by hand", key="log by hand", on_change="rerun")
if manual_commands.open:
    manual_commands.code(preset.command(cloud, game_date), language="bash", wrap_lines=True)
