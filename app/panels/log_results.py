"""Log lines as a page shows them: how many of which severity, over time, and one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.charts import log_histogram
from app.components import filters, tables
from services.core.result import Health
from services.core.text import pluralize
from services.telemetry.log_reader import ERROR_SEVERITIES, LogLine, LogLines


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


def duplicates_note(lines: LogLines) -> str:
    """How many entries repeat a line that is shown; "" for none."""
    repeats = sum(line.entries - 1 for line in lines.lines)
    return f"{repeats:,} duplicates collapsed" if repeats else ""


def histogram(lines: LogLines, start: datetime, end: datetime) -> None:
    """The lines between two instants over time; of a search that was truncated only the newest were read."""
    with st.container(key="log-histogram"):
        st.html(log_histogram.to_html(lines.lines, start, end, lines.truncated))


def log_table(lines: Sequence[LogLine], name: str, alt: str, height_rows: int = 22) -> None:
    """The lines that the filter bar leaves, in their order; a selected one shows its whole message."""
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
            for line in _filter_lines(lines)
        ],
        name=name,
        alt=alt,
        empty="No line matches.",
        height_rows=height_rows,
        expands="message",
        message=st.column_config.TextColumn(width=640),
    )


def _filter_lines(lines: Sequence[LogLine]) -> list[LogLine]:
    counts = Counter(line.severity for line in lines)
    levels, terms = filters.filter_bar("Severity", counts, "Filter messages…", "log")
    return [
        entry
        for entry in lines
        if (not levels or entry.severity in levels) and all(term in entry.message.lower() for term in terms)
    ]
