"""The head of a page while a run is under way: how far it is, and never a number that is not known."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from app.panels.run_panels import run_html
from services.core.result import DataSource, Health
from services.runs.active_run import ActiveRun
from services.runs.progress import RunProgress
from tests.support.factories import NOW

RUN = ActiveRun("batch_x", NOW, 90, stoppable=True, repeats=True)
PROGRESS = RunProgress(
    "batch_x",
    "running",
    (("requested", 90), ("answered", 53), ("staged", 41), ("consolidated", 0), ("active on the date", None)),
    90,
    90.0,
    NOW + timedelta(seconds=25),
    stalled=False,
    message="",
    not_staged="2 no answer",
    source=DataSource("The coordinator, /status", NOW),
)
TEXT = "68 of 158 eligible players are active so far"


def show(run: ActiveRun, progress: RunProgress | None, health: Health = Health.UNKNOWN) -> str:
    head = run_html(run, progress, "Progress unknown: it did not answer.", TEXT, health)
    return " ".join(re.sub(r"<[^>]+>", " ", head).split())


def test_a_run_shows_its_stages_its_rate_and_its_end():
    text = show(RUN, PROGRESS)
    assert "Re-running 90 players progress_activity Running" in text
    assert f"90 players/min · ETA 01:45:25 ET · 2 no answer · {TEXT}" in text
    assert text.endswith("Requested 90 of 90 Answered 53 of 90 Staged 41 of 90 Consolidated 0 of 90")
    assert 'aria-valuemax="90" aria-valuenow="41"' in run_html(RUN, PROGRESS, "", TEXT, Health.UNKNOWN)


def test_a_critical_night_keeps_its_word_while_a_run_mends_it():
    assert "error Critical" in show(RUN, PROGRESS, Health.CRITICAL)
    assert "error Critical" not in show(RUN, PROGRESS)


def test_what_the_coordinator_does_not_say_is_unknown():
    text = show(RUN, None)
    assert "Progress unknown: it did not answer." in text
    assert text.endswith("Requested 90 of 90 Answered unknown Staged unknown Consolidated unknown")


def test_a_batch_that_ended_is_verified_until_its_action_has_an_outcome():
    text = show(RUN, replace(PROGRESS, state="consolidated", ready_at=None))
    assert "Verifying" in text
    assert "players/min" not in text, "the rate falls after the end"


def test_a_stalled_run_is_a_warning_with_its_reason():
    text = show(RUN, replace(PROGRESS, stalled=True, message="no progress for 95 s"))
    assert "warning Stalled" in text
    assert "no progress for 95 s" in text


def test_a_run_that_is_only_requested_starts():
    assert "Starting" in show(ActiveRun("", NOW, None, stoppable=False, repeats=True), None)
