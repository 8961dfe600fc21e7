"""One batch: its progress while it runs, and its verification when it has ended."""

from __future__ import annotations

import streamlit as st

from app.components import tables, text_format, widgets
from app.state import reads, session
from services.batches.reader import Batch
from services.core.result import Health


def run_progress(batch: Batch) -> None:
    """The stages of a running batch, refreshed every two seconds."""

    @st.fragment(run_every=None if session.paused_since() else "2s", key="run progress")
    def refresh() -> None:
        progress = widgets.value_or_notice(
            reads.run_progress(session.cached_clients(), batch.batch_id, batch.started), "How far the batch is"
        )
        if progress is None:
            return
        with st.grid(5, min_column_width=110):
            for name, players in progress.stages:
                widgets.metric_of_total(
                    name.capitalize(), players, total=progress.requested if name != "requested" else None
                )
        rate = f"{progress.per_minute:,.0f} players a minute" if progress.per_minute else "no rate yet"
        eta = f", all asked by {text_format.format_clock_time(progress.ready_at)}" if progress.ready_at else ""
        stalled_prefix = ":red[:material/hourglass_disabled:] stalled · " if progress.stalled else ""
        not_staged = (
            f" · :orange[:material/warning:] {text_format.escape_markdown(progress.not_staged)}"
            if progress.not_staged
            else ""
        )
        message = text_format.escape_markdown(progress.message)
        state = text_format.escape_markdown(progress.state)
        st.caption(f"{stalled_prefix}{state}{not_staged} · {rate}{eta} · {message}")
        widgets.source_footer((progress.source,), session.log_link_params("Staging writes"))

    refresh()


def run_verification(batch: Batch) -> None:
    """The verification of a run, each check with its numbers."""
    checks = widgets.value_or_notice(reads.run_verification(session.cached_clients(), batch), "The verification")
    if checks is None:
        return
    health_by_ok = {True: Health.OK, False: Health.CRITICAL, None: Health.UNKNOWN}
    st.subheader(f"Verification of {batch.batch_id}", anchor=False)
    tables.text_table(
        [
            {"": widgets.badge(health_by_ok[check.ok]), "question": check.name, "answer": check.detail}
            for check in checks
        ],
        alt="Verification of the newest batch",
        empty="",
    )
