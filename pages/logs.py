"""Logs: what did the services say this night? The searches one would type, each line once, with its severity."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, widgets
from app.state import reads, session
from services.core.clock import night_window
from services.core.result import Health
from services.telemetry.log_reader import PRESETS, Lines, LogLine

cloud, game_date = session.cloud(), session.game_date()
names = [preset.name for preset in PRESETS]


def headline(lines: Lines) -> tuple[Health, str]:
    """No line is not good news: it is only no line."""
    if not lines.lines:
        return Health.UNKNOWN, "No such line was logged: that proves nothing by itself"
    bad = sum(line.severity in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY") for line in lines.lines)
    told = f"{len(lines.lines):,} lines" + (f", {bad:,} of them errors" if bad else "")
    return (Health.WARNING if bad else Health.OK), told


def filtered(lines: Lines) -> list[LogLine]:
    counts = Counter(line.severity for line in lines.lines)
    levels, sought = filters.bar("Severity", counts, "Player, table, words…", "log")
    return [
        x for x in lines.lines if (not levels or x.severity in levels) and all(w in x.message.lower() for w in sought)
    ]


def show(lines: Lines) -> None:
    folded = sum(line.repeats - 1 for line in lines.lines)
    told = [
        f"{folded:,} repeated lines folded" if folded else "",
        "more lines than are shown" if lines.truncated else "",
    ]
    with answer:
        widgets.verdict(*headline(lines), [session.day(game_date), preset.about, *told])
    if not lines.lines:
        st.caption("Look at the night before and after, or choose another search.")
    else:
        rows(lines)
    widgets.footer((lines.source,), cloud.now())


def rows(lines: Lines) -> None:
    tables.table(
        [
            {
                "at": line.at,
                "severity": line.severity,
                "message": line.message,
                "times": line.repeats,
                "service": line.service,
                "revision": line.revision,
            }
            for line in filtered(lines)
        ],
        name=f"log-{game_date}",
        alt=f"{preset.name}, lines of the night",
        empty="No line matches.",
        height_rows=22,
        message=st.column_config.TextColumn(width="large"),
    )


answer = st.container()
name = widgets.choice("Search", names, "search")  # in the address: ?search=DML+errors
preset = next(p for p in PRESETS if p.name == name)
found = widgets.known(reads.lines(cloud, preset.condition, *night_window(game_date)), "The log")
if found is not None:
    show(found)
by_hand = st.expander("Do it by hand", key="log by hand", on_change="rerun")
if by_hand.open:
    by_hand.code(preset.command(cloud), language="bash", wrap_lines=True)
