"""Logs: what the services logged, by the usual searches of this game date or a filter of one's own, each line once."""

from __future__ import annotations

import streamlit as st

from app.components import text_format, widgets
from app.panels import log_form, log_results
from app.state import reads, session
from services.core.freshness import TAIL_TTL_S
from services.core.result import Result, list_outdated
from services.core.text import pluralize
from services.gcp.read_cache import MAX_TAIL_READS_PER_MIN
from services.telemetry.log_reader import PRESETS, LogLines, Preset
from services.telemetry.log_search import TAIL_SPAN, LogAnswer, LogSearch

cloud, game_date = session.cached_clients(), session.game_date()
preset_names = [preset.name for preset in PRESETS]


def render_preset(preset: Preset) -> None:
    """What one of the usual searches finds in the runs of the date."""
    reading = reads.log_lines(cloud, game_date, preset.condition)
    lines = widgets.value_or_notice(reading, "Log")
    if lines is not None:
        notes = [
            log_results.duplicates_note(lines),
            "truncated: later lines were not read" if lines.truncated else "",
        ]
        with answer_container:
            widgets.verdict(*log_results.headline(lines), [preset.description, *notes], list_outdated((reading,)))
        if not lines.lines:
            st.caption("Try another search or date.")
        else:
            log_results.log_table(lines.lines, f"log-{game_date}", f"{preset.name}, log lines of the game date")
        widgets.source_footer((lines.source,))
    manual_commands = st.expander("gcloud command", key="gcloud command", on_change="rerun")
    if manual_commands.open:
        manual_commands.code(preset.command(cloud, game_date), language="bash", wrap_lines=True)


def render_own() -> None:
    """A filter of one's own: its form, and what it finds in its time, or the newest lines while they are followed."""
    search = log_form.choose_search(cloud, game_date)
    is_tail = st.toggle("Tail", key="log_tail", bind="query-params", help=f"Newest first, each {TAIL_TTL_S:.0f} s")
    if search is None:
        return
    if is_tail:
        answer_container.markdown("## :blue[:material/article:] The newest log lines")
        st.fragment(render_tail, run_every=None if session.paused_since() else TAIL_TTL_S + 1)(search)
    else:
        render_search(search)
    log_form.show_commands(cloud, search)


def render_search(search: LogSearch) -> None:
    """The lines that a search finds, the newest of them where there are too many."""
    reading = reads.own_log(cloud, search)
    lines = answered(reading)
    if lines is None:
        return
    notes = [log_results.duplicates_note(lines), "truncated: earlier lines were not read" if lines.truncated else ""]
    with answer_container:
        widgets.verdict(*log_results.headline(lines), notes, list_outdated((reading,)))
    if lines.lines:
        log_results.histogram(lines, search.start, search.end)
        log_results.log_table(lines.lines, "log-own", "Log lines of your filter")
    widgets.source_footer((lines.source,))


def render_tail(search: LogSearch) -> None:
    """The newest lines, newest first, as often as all tails together may read."""
    lines = answered(reads.log_tail(cloud, search.text, search.source))
    if lines is None:
        return
    pace = f"all viewers' tails together read at most {MAX_TAIL_READS_PER_MIN} times a minute"
    read_at = text_format.format_exact_time(lines.source.read_at)
    count = pluralize(len(lines.lines), "line")
    st.caption(f"{count} of the last {TAIL_SPAN.seconds // 60} min, read at {read_at}; {pace}.")
    log_results.log_table(lines.lines[::-1], "log-tail", "The newest log lines of your filter")


def answered(reading: Result[LogAnswer]) -> LogLines | None:
    """The lines of an answer; None after saying why there are none."""
    answer = widgets.value_or_notice(reading, "Log")
    if answer is not None and answer.refusal:
        st.error(text_format.escape_markdown(answer.refusal), icon=":material/error:")
    return answer.lines if answer is not None else None


answer_container = st.container()
search_name = widgets.segmented_choice("Search", [*preset_names, log_form.OWN], "search")  # in the address
if search_name == log_form.OWN:
    render_own()
else:
    render_preset(next(preset for preset in PRESETS if preset.name == search_name))
