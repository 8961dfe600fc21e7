"""One batch on the screen: how far it is while it runs, and what must be true when it has ended."""

from __future__ import annotations

import streamlit as st

from app.components import tables, widgets
from app.components import text_format as words
from app.state import reads, session
from services.batches.reader import Batch
from services.core.result import Health


def live(batch: Batch) -> None:
    """The stages of a batch that runs, looked at every two seconds."""

    @st.fragment(run_every=None if session.paused() else "2s", key="run progress")
    def panel() -> None:
        seen = widgets.known(reads.live(session.cloud(), batch.batch_id, batch.started), "How far the batch is")
        if seen is None:
            return
        with st.grid(5, min_column_width=110):
            for name, players in seen.stages:
                widgets.figure(name.capitalize(), players, of=seen.requested if name != "requested" else None)
        rate = f"{seen.per_minute:,.0f} players a minute" if seen.per_minute else "no rate yet"
        eta = f", all asked by {words.clock_time(seen.ready_at)}" if seen.ready_at else ""
        word = ":red[:material/hourglass_disabled:] stands still · " if seen.stalled else ""
        st.caption(f"{word}{seen.state} · {rate}{eta} · {words.plain(seen.told)}")
        widgets.footer((seen.source,), session.now(), session.log("Staging writes"))

    panel()


def proof(batch: Batch) -> None:
    """What must be true after a run, each with its numbers."""
    found = widgets.known(reads.checks(session.cloud(), batch), "The verification")
    if found is None:
        return
    healths = {True: Health.OK, False: Health.CRITICAL, None: Health.UNKNOWN}
    st.subheader(f"Verification of {batch.batch_id}", anchor=False)
    tables.listing(
        [{"": widgets.badge(healths[c.ok]), "question": c.question, "answer": c.sentence} for c in found],
        alt="Verification of the newest batch",
        empty="",
    )
