"""Test night events: moved here by the new layout."""

from __future__ import annotations

from services.batches.reader import read_batches
from services.core.clock import night_window
from services.core.result import Health, Result
from services.reports.night_events import BATCHES, REJECTED, SCALED
from services.scaling.capacity import read_service_capacities
from services.telemetry.dml_jobs import read_writes
from tests.support.factories import NIGHT
from tests.unit.reports.test_night_events import build_events


def test_29_december_has_its_batch_its_90_rejections_and_its_revisions(clients):
    events = build_events(
        batches=Result(read_batches(clients, NIGHT)),
        writes=Result(read_writes(clients, *night_window(NIGHT))),
        capacities=Result(read_service_capacities(clients)),
    )
    assert events.unknown_lanes == {}
    assert sum(mark.count for mark in events.in_lane(REJECTED)) == 90
    (batch,) = events.in_lane(BATCHES)
    assert (batch.label, batch.health) == ("158 asked, reported success", Health.UNKNOWN)
    assert [mark.label for mark in events.in_lane(SCALED)] == ["coordinator 1 × 8", "worker 4 × 3"]
