"""The coordinator client reads both documented shapes of /status."""

from __future__ import annotations

from services.runs.coordinator_client import parse_progress
from tests.integration.runs.test_actions import BATCH


def test_both_documented_shapes_of_status_are_read():
    memory = parse_progress(
        BATCH, {"status": "in_progress", "progress": {"expected": 4, "completed": 3, "eta_seconds": 2.5}}
    )
    flat = parse_progress(
        BATCH, {"status": "complete", "expected_players": 4, "completed_players": 4, "source": "firestore"}
    )
    assert (memory.requested, memory.completed, memory.eta_s, memory.ended) == (4, 3, 2.5, False)
    assert (flat.requested, flat.completed, flat.ended) == (4, 4, True)
