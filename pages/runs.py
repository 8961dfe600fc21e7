"""Runs: start one, watch it, resume one that stopped; every batch of the night with its sums, so that success can be checked."""

from __future__ import annotations

import streamlit as st

from app.actions import dialog as actions
from app.components import tables, widgets
from app.components import text_format as words
from app.panels import run_panels
from app.state import reads, session
from services.batches.reader import Batch, Batches
from services.batches.state import LIVE, BatchState
from services.core.result import Health, worst
from services.runs.actions import RESUMABLE, RESUME, START

NONE, NOT_SURE = "No batch of this night is recorded", "One of the records cannot be read: whether"
cloud, game_date = session.cloud(), session.game_date()


def headline(batches: Batches) -> str:
    """The newest batch in one line: a stuck one and one at 0 % are named."""
    if not batches.batches:
        return f"{NOT_SURE} a batch ran is unknown" if batches.problems else NONE
    newest = batches.batches[0]
    asked = "unknown" if newest.requested is None else f"{newest.requested:,}"
    done = "unknown" if newest.generated is None else f"{newest.generated:,}"
    none = ", at 0 %" if newest.state in LIVE | {BatchState.STALLED} and not newest.generated else ""
    return f"{newest.batch_id}: {newest.state}, {done} of {asked} players generated{none}"


def seconds(batch: Batch) -> int | str:
    """How long it took, or has taken so far."""
    end = batch.ended or (cloud.now() if batch.state in LIVE else None)
    if batch.started is None or end is None:
        return "unknown"
    return round((end - batch.started).total_seconds())


def as_row(batch: Batch) -> dict[str, object]:
    return {
        "batch": batch.batch_id,
        "state": widgets.badge(batch.health),
        "stands": str(batch.state),
        "started": words.day_time(batch.started),
        "seconds": seconds(batch),
        "by": batch.started_by,
        "asked": words.count(batch.requested),
        "generated": words.count(batch.generated),
        "rows staged": words.count(batch.staged_rows),
        "rows written": words.count(batch.written_rows),
        "says": batch.status_text,
    }


def buttons(batches: Batches | None) -> None:
    """Start or re-run the night; resume what has stopped."""
    ran = bool(batches and batches.batches)
    with st.container(horizontal=True, gap="small"):
        label = "Re-run the lost players" if ran else "Start the run"
        actions.offer(START, label, primary=True, game_date=game_date.isoformat())
        if ran:
            actions.offer(START, "Re-run everybody", key="date", game_date=game_date.isoformat(), scope="date")
        for batch in batches.batches if batches else ():
            if batch.state in RESUMABLE and batch.recorded_in == "ledger":
                actions.offer(RESUME, f"Resume {batch.batch_id}", key=batch.batch_id, batch_id=batch.batch_id)


def show(batches: Batches) -> None:
    none = Health.UNKNOWN if batches.problems else Health.NONE_EXPECTED
    health = worst(b.health for b in batches.batches[:1]) if batches.batches else none
    told, button = widgets.answer()
    with told:
        widgets.verdict(health, headline(batches), [session.day(game_date)])
    with button:
        buttons(batches)
    widgets.gaps(batches.problems)
    for batch in batches.batches[:1]:
        if batch.state in LIVE and batch.recorded_in == "ledger":
            run_panels.live(batch)
    if batches.batches or not batches.problems:
        rows = [as_row(batch) for batch in batches.batches]
        tables.listing(
            rows, alt="Batches", empty="Start the run: its plan says first whom it asks, and nothing happens yet."
        )
    widgets.footer(batches.sources, cloud.now(), session.log("Consolidation"))
    for batch in batches.batches[:1]:
        if batch.state not in LIVE and batch.recorded_in == "ledger":
            run_panels.proof(batch)


batches = widgets.known(reads.batches(cloud, game_date), "The batches")
if batches is not None:
    show(batches)
else:
    buttons(None)
