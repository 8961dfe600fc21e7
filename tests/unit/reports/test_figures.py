"""The overview's figures: their denominators and limits, what is compared, and that nothing unknown is a number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.core.result import DataSource, Health, Result
from services.judgement.judge import judge_night
from services.nights.coverage import CoverageHistory
from services.reports.figures import BARS, Figure, build_figures
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from services.scaling.deploys import Deploy, DeployHistory
from services.staging.inventory import StagingInventory, StagingTable, StagingTableState
from tests.support.alert_factories import (
    STARTED,
    make_batch,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_unrequested_players,
    make_write_report,
)
from tests.support.factories import NIGHT, NOW, make_attempt, make_history, make_night
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_batches, make_facts

WORKER = ServiceCapacity(
    "prediction-worker", CapacitySetting(None, 4, 3), "r1", NOW, "nora", "e", CapacityState.EMERGENCY, Health.OK, True
)
CAPACITIES = Result(ServiceCapacities((WORKER,), ()))
TABLE = StagingTable(
    "d._staging_x", "b", "w", NIGHT - timedelta(days=4), 25, 1, NOW, None, 25, StagingTableState.ORPHAN
)
STAGING = Result(StagingInventory((TABLE, replace(TABLE, state=StagingTableState.MERGED)), (), Health.WARNING, ()))
DEPLOYS = Result(
    DeployHistory(
        (
            Deploy("prediction-worker", "r2", NOW - timedelta(hours=5), "nora", 4, 3),
            Deploy("prediction-worker", "r1", NOW - timedelta(days=4), "nora", 20, 5),
        ),
        DataSource("Cloud Run", NOW),
    )
)
LOST = {"night": Result(make_night(*make_players(68), *make_rejected_players(90)))}


def build(
    staging: Result[Any] = STAGING, capacities: Result[Any] = CAPACITIES, deploys: Result[Any] = DEPLOYS, **changes: Any
) -> dict[str, Figure]:
    facts = make_facts(**changes)
    figures = build_figures(facts, judge_night(facts, SETTINGS), staging, capacities, deploys)
    return {figure.label: figure for figure in figures}


def test_coverage_is_of_the_eligible_and_compared_with_the_last_date_that_has_one():
    before, last, empty = make_history({"v1": (114, 2850)}, {"v1": (105, 2600)}, {}).days
    days = (before, replace(last, active=105), replace(empty, eligible=0, games=0))
    usual = Result(CoverageHistory(days, ()))
    coverage = build(**LOST, usual=usual)["Coverage"]
    assert (coverage.value, coverage.detail, coverage.health) == (
        "43.0%",
        "68 of 158 · −49.1 pt vs 27 Dec",
        Health.CRITICAL,
    )
    assert [bar.value for bar in coverage.bars][-2:] == [None, 100 * 68 / 158]
    assert coverage.bars[-2].title == "28 Dec: no games"


def test_writes_have_their_rate_their_peak_and_a_bar_for_each_minute():
    figures = build(**LOST, writes=Result(make_write_report(*make_rejection_burst(), make_attempt())))
    rejected, peak = figures["Rejected writes"], figures["Peak concurrent DML"]
    assert (rejected.value, rejected.detail, rejected.health) == ("98.9%", "90 of 91 writes", Health.CRITICAL)
    assert sum(bar.value or 0 for bar in rejected.bars) == 90
    assert (peak.value, peak.unit, peak.detail) == ("0", "of 22", "22 below the limit")


def test_after_a_repair_the_rejections_are_history_and_no_longer_red():
    repair = make_batch(started=STARTED + timedelta(hours=11), ended=STARTED + timedelta(hours=11, minutes=5))
    burst = Result(make_write_report(*make_rejection_burst()))
    rejected = build(writes=burst, batches=make_batches(repair))["Rejected writes"]
    assert (rejected.health, rejected.detail) == (Health.OK, "90 of 90 writes · repaired")


def test_a_night_before_its_run_has_no_percentage():
    figures = build(night=Result(make_night(*make_unrequested_players(28), was_run=False)))
    assert (figures["Coverage"].value, figures["Coverage"].unit) == ("0", "of 28")
    assert figures["Coverage"].health is Health.NONE_EXPECTED


def test_the_platforms_figures_name_their_dates_and_settings():
    figures = build()
    unmerged, capacity = figures["Unmerged staged rows"], figures["Worker capacity"]
    assert (unmerged.value, unmerged.detail, unmerged.health) == ("25", "25 Dec · 1 of 2 tables", Health.WARNING)
    assert [bar.value for bar in unmerged.bars] == [0] * (BARS - 5) + [25, 0, 0, 0, 0]
    assert (capacity.value, capacity.unit, capacity.detail) == ("12", "of 22", "Emergency limit 4 × 3")
    assert [bar.value for bar in capacity.bars] == [None] * (BARS - 5) + [100, 100, 100, 100, 12]


def test_what_cannot_be_read_is_unknown_and_has_no_bars_of_its_own():
    figures = build(UNREAD, UNREAD, UNREAD, night=UNREAD, writes=UNREAD, usual=UNREAD)
    assert {(f.value, f.health, f.bars) for f in figures.values()} == {("unknown", Health.UNKNOWN, ())}


def test_old_readings_of_the_platform_are_unknown():
    old = build(replace(STAGING, outdated=OUTDATED), replace(CAPACITIES, outdated=OUTDATED))
    assert {old[name].health for name in ("Unmerged staged rows", "Worker capacity")} == {Health.UNKNOWN}


def test_rows_of_a_table_that_cannot_be_proven_are_unknown():
    unproven = StagingInventory((replace(TABLE, unmerged_rows=None),), (), Health.UNKNOWN, ())
    assert build(Result(unproven))["Unmerged staged rows"].value == "unknown"
