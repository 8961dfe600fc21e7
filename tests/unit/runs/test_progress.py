"""Progress of a batch: its rate, when it will be done, and that it has stalled."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.runs.coordinator_client import parse_progress
from services.runs.progress import to_run_progress
from tests.integration.runs.test_actions import BATCH, in_memory_status


def test_progress_has_a_rate_and_an_eta_and_detects_a_stall():
    began, now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC), datetime(2025, 12, 30, 6, 47, tzinfo=UTC)
    progress = to_run_progress(parse_progress(BATCH, in_memory_status(60)[1]), began, now)
    assert (progress.per_minute, progress.stalled) == (30, False)
    assert progress.ready_at is not None
    assert (progress.ready_at - now).total_seconds() == pytest.approx(196)
    assert to_run_progress(parse_progress(BATCH, in_memory_status(0)[1]), began, now).stalled


def test_players_who_gave_no_answer_are_counted_as_such_and_never_as_answered_or_staged():
    outcomes = {
        "staged": 60,
        "not generated": 1,
        "write rejected": 0,
        "internal error": 2,
        "no answer": 3,
        "not asked": 7,
    }
    payload = in_memory_status(66)[1] | {"state": "running", "outcomes": outcomes}
    now = datetime(2025, 12, 30, 6, 47, tzinfo=UTC)
    progress = to_run_progress(parse_progress(BATCH, payload), None, now)
    stages = dict(progress.stages)
    assert (stages["answered"], stages["staged"]) == (63, 60)
    assert (
        progress.summary
        == "running: 63 of 158 players done, 1 not generated, 2 internal error, 3 no answer, 7 not requested"
    )
    assert stages["active on the date"] is None, "a night that ran before has active players already"
    unreported = to_run_progress(parse_progress(BATCH, in_memory_status(66)[1]), None, now)
    assert (dict(unreported.stages)["answered"], unreported.not_staged) == (66, "")


def test_a_batch_that_was_told_to_stop_says_so():
    payload = in_memory_status(60)[1] | {"state": "running", "stopping": True}
    now = datetime(2025, 12, 30, 6, 47, tzinfo=UTC)
    assert to_run_progress(parse_progress(BATCH, payload), None, now).summary == "stopping: 60 of 158 players done"
