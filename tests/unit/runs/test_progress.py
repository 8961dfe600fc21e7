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
