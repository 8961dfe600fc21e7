"""The signals of the platform: apart from the night, worst first, and never OK while something is unread or old."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.core.result import Health, Problem, Result
from services.reports.overview import platform_signals
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from services.staging.inventory import StagingInventory, StagingTable, StagingTableState
from tests.support.alert_factories import make_schedule
from tests.support.factories import NIGHT, NOW

UNAVAILABLE: Result[Any] = Result(None, Problem("x", NOW, "x did not answer."))
WORKER = ServiceCapacity(
    "prediction-worker",
    CapacitySetting(None, 4, 3),
    "r1",
    NOW,
    "nora",
    "e",
    CapacityState.EMERGENCY,
    Health.OK,
    writes_predictions=True,
)
CAPACITIES = Result(ServiceCapacities((WORKER,), ()))
TABLE = StagingTable("d._staging_x", "batch_x", "w", NIGHT, 25, 1, NOW, None, 25, StagingTableState.WAITING)


def make_inventory(*tables: StagingTable, health: Health = Health.OK) -> Result[StagingInventory]:
    return Result(StagingInventory(tables, (), health, ()))


def signals_by_name(staging=None, capacities=CAPACITIES, schedule=None):
    signals = platform_signals(staging or make_inventory(), capacities, schedule or Result(make_schedule()))
    return {signal.name: (signal.health, signal.text) for signal in signals}


def test_a_quiet_platform_is_ok_with_its_numbers():
    assert signals_by_name() == {
        "Worker capacity": (Health.OK, "prediction-worker: emergency limit, 12 concurrent (4 × 3), DML limit 22"),
        "Staging, all dates": (Health.OK, "no leftover staging tables"),
        "Scheduler": (Health.OK, "1 job, next run 15:07 ET"),
    }


def test_what_cannot_be_read_is_unknown_since_when():
    text = "unknown since 01:45 ET (06:45 UTC): x did not answer."
    unread = signals_by_name(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    assert set(unread.values()) == {(Health.UNKNOWN, text)}
    assert len(unread) == 3


@pytest.mark.parametrize(("health", "shown"), [(Health.OK, Health.UNKNOWN), (Health.CRITICAL, Health.CRITICAL)])
def test_an_old_reading_is_never_ok_and_a_critical_one_stays(health, shown):
    outdated = replace(make_inventory(health=health), outdated=Problem("x", NOW, "x did not answer."))
    assert signals_by_name(outdated)["Staging, all dates"] == (
        shown,
        "no leftover staging tables" + (", but x did not answer." if health is Health.OK else ""),
    )


def test_rows_in_staging_are_counted_over_all_nights():
    inventory = make_inventory(TABLE, replace(TABLE, state=StagingTableState.MERGED), health=Health.WARNING)
    assert signals_by_name(inventory)["Staging, all dates"] == (
        Health.WARNING,
        "25 unmerged rows in 1 of 2 staging tables",
    )
    unknown_rows = make_inventory(replace(TABLE, unmerged_rows=None), health=Health.UNKNOWN)
    assert "unknown number of unmerged rows" in signals_by_name(unknown_rows)["Staging, all dates"][1]


def test_a_schedule_that_will_not_run_is_critical_and_comes_first():
    signals = platform_signals(make_inventory(), CAPACITIES, Result(make_schedule(problem="is paused")))
    assert (signals[0].name, signals[0].health, signals[0].text) == (
        "Scheduler",
        Health.CRITICAL,
        "same-day-predictions is paused",
    )
