"""Logs: what did the services say this night? The searches one would type, each line once, with its severity."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app import reads, session, widgets
from services.foundation.clock import night_window
from services.foundation.reading import Health
from services.logs import PRESETS, Lines, LogLine

SEARCH = "search"  # the name in the URL: ?search=DML+errors
cloud, game_date = session.cloud(), session.game_date()
names = [preset.name for preset in PRESETS]


def chosen() -> str:
    asked = st.query_params.get(SEARCH)
    first = asked if asked in names else names[0]
    name = st.segmented_control(
        "Search", names, default=first, key="log search", required=True, label_visibility="collapsed"
    )
    st.query_params[SEARCH] = name or first
    return name or first


def headline(lines: Lines) -> tuple[Health, str]:
    """No line is not good news: it is only no line."""
    if not lines.lines:
        return Health.UNKNOWN, "No such line was logged: that proves nothing by itself"
    bad = sum(line.severity in ("ERROR", "CRITICAL", "ALERT", "EMERGENCY") for line in lines.lines)
    words = f"{len(lines.lines):,} lines" + (f", {bad:,} of them errors" if bad else "")
    return (Health.WARNING if bad else Health.OK), words


def filtered(lines: Lines) -> list[LogLine]:
    counts = Counter(line.severity for line in lines.lines)
    pills, search = st.columns([3, 1], vertical_alignment="center")
    levels = pills.pills(
        "Severity",
        list(counts),
        selection_mode="multi",
        key="log levels",
        format_func=lambda n: f"{n} · {counts[n]}",
        label_visibility="collapsed",
    )
    words = (
        search.text_input("Words", placeholder="Player, table, words…", key="log words", label_visibility="collapsed")
        or ""
    ).lower()
    return [
        x
        for x in lines.lines
        if (not levels or x.severity in levels) and all(w in x.message.lower() for w in words.split())
    ]


def show(lines: Lines) -> None:
    folded = sum(line.repeats - 1 for line in lines.lines)
    told = [
        f"{folded:,} repeated lines folded" if folded else "",
        "more lines than are shown" if lines.truncated else "",
    ]
    widgets.verdict(*headline(lines), [session.day(game_date), preset.about, *told])
    widgets.table(
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
    widgets.footer((lines.source,), cloud.now())


name = chosen()
preset = next(p for p in PRESETS if p.name == name)
found = widgets.known(reads.lines(cloud, preset.condition, *night_window(game_date)), "The log")
if found is not None:
    show(found)
with st.expander("Do it by hand"):
    st.code(preset.command(cloud), language="bash", wrap_lines=True)
