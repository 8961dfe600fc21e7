"""Each fault of the write path raises its own incident and no other; found on the facts that the batch left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import pytest
import requests
from google.api_core.exceptions import BadRequest, ServiceUnavailable

from services.alerts.incidents import group_by_cause
from tests.faults.checks import WatchedNight, open_night
from tests.faults.slates import Slate, make_entries
from tests.faults.world import Boundary, Injector, ProcessKilled, World, no_faults

SLATE = Slate(make_entries(games=2, per_team=3), unit_players=2)
INVALID = BadRequest("Unrecognized name", errors=[{"reason": "invalidQuery", "message": "Unrecognized name"}])


class Fault(NamedTuple):
    """What goes wrong, and the incidents of the night: the leading rule of each, and its cause."""

    incidents: dict[str, str]
    injector: Injector = no_faults
    prepare: Callable[[WatchedNight], None] = lambda _: None


def kill(who: str, call: str, phase: str, at: int = 1) -> Injector:
    """Kill the process `who` when it comes to such a boundary for the `at`-th time, and each one after that."""
    count = 0

    def injector(_world: World, boundary: Boundary) -> None:
        nonlocal count
        process, its_call, its_phase, _ = boundary
        if (process.name, its_call, its_phase) != (who, call, phase):
            return
        count += 1
        if count >= at:
            process.dead = True
            raise ProcessKilled

    return injector


def fail(call: str, phase: str, error: Exception) -> Injector:
    """Every such call fails with this error."""

    def injector(_world: World, boundary: Boundary) -> None:
        if boundary[1:3] == (call, phase):
            raise error

    return injector


def change_merged_rows(change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> Injector:
    """The MERGE stores other rows than it says."""

    def injector(world: World, boundary: Boundary) -> None:
        if boundary[1:3] == ("MERGE", "commit"):
            table = world.project.tables[boundary[3].table]
            table.set_rows(change(table.rows), world.clock.at)

    return injector


def refuse_players(count: int) -> Callable[[WatchedNight], None]:
    """BigQuery refuses the rows of so many players."""

    def prepare(night: WatchedNight) -> None:
        refused = SLATE.eligible[:count]
        night.world.project.refuse_row = lambda row: row["player_lookup"] in refused

    return prepare


FAULTS = {
    "coordinator killed halfway": Fault({"stalled": "run"}, kill("coordinator", "predict", "after", at=3)),
    "coordinator killed before the MERGE": Fault({"stalled": "run"}, kill("coordinator", "MERGE", "before")),
    "MERGE fails": Fault({"consolidation": "run"}, fail("MERGE", "job", INVALID)),
    "copy fails": Fault({"consolidation": "run"}, fail("copy", "job", INVALID)),
    "every worker dies": Fault({"stalled": "run"}, kill("worker", "load", "before")),
    "one worker in the end dies": Fault({"stalled": "run"}, kill("worker", "load", "before", at=6)),
    "no request reaches a worker": Fault(
        {"stalled": "run"}, fail("predict", "before", requests.ConnectionError("gone"))
    ),
    "workers answer 503": Fault({"stalled": "run"}, fail("predict", "before", ServiceUnavailable("no instance"))),
    "BigQuery refuses one player": Fault({"write_success": "writes"}, prepare=refuse_players(1)),
    "BigQuery refuses a third": Fault({"write_success": "writes"}, prepare=refuse_players(4)),
    "a row is lost by the MERGE": Fault(
        {"consolidation": "run", "rows_short": "rows"}, change_merged_rows(lambda rows: rows[:-1])
    ),
    "a row is doubled by the MERGE": Fault(
        {"consolidation": "run", "duplicates": "rows"}, change_merged_rows(lambda rows: [*rows, dict(rows[-1])])
    ),
}


def list_incidents(night: WatchedNight, after_h: float) -> dict[str, str]:
    """The leading rule of each incident so many hours later, with its cause."""
    night.world.clock.at += timedelta(hours=after_h)
    return {incident.rule.name: incident.cause for incident in group_by_cause(night.evaluate())}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_raises_its_incident_and_no_other(name):
    fault = FAULTS[name]
    with open_night(SLATE, fault.injector) as night:
        fault.prepare(night)
        with suppress(ProcessKilled):
            night.start()
        assert list_incidents(night, after_h=0.4) == fault.incidents
        assert list_incidents(night, after_h=14) == fault.incidents


def test_a_coordinator_killed_after_its_merge_leaves_nothing_but_old_tables():
    with open_night(SLATE, kill("coordinator", "MERGE", "after")) as night:
        with pytest.raises(ProcessKilled):
            night.start()
        assert list_incidents(night, after_h=0.4) == {}
        assert list_incidents(night, after_h=30) == {"staging_orphans": "staging"}
