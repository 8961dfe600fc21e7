"""The figures of the customer's handoff, read through the real clients from the sandbox."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.clock import night_window
from services.core.errors import OnCallError
from services.core.result import Health
from services.nights.coverage import funnel, read_history
from services.nights.missing_players import Why, account, missing
from services.nights.player_stages import Stage, read_night
from services.sandbox.common.fault_injection import Fault
from services.scaling.service_widths import Width, read_widths
from services.staging.inventory import TableClass, read_inventory
from services.telemetry.dml_jobs import read_writes

NIGHT = date(2025, 12, 29)


@pytest.fixture
def night(cloud):
    return read_night(cloud, NIGHT)


def test_68_of_158_were_written_43_percent_of_the_eligible_and_19_3_of_those_in_context(night, settings):
    counts = funnel(night, settings).players
    assert (counts[Stage.ACTIVE], counts[Stage.ELIGIBLE], counts[Stage.GENERATED]) == (68, 158, 158)
    assert (counts[Stage.IN_CONTEXT], counts[Stage.LINED], night.games) == (352, 176, 11)
    assert f"{100 * 68 / 158:.1f} {100 * 68 / 352:.1f}" == "43.0 19.3"


def test_1700_of_3950_rows_landed(night):
    assert (night.active_rows, night.generated_rows) == (1_700, 3_950)


def test_90_were_rejected_on_write_and_none_is_unexplained(night):
    sums = account(night)
    assert sums.classified == ((Why.WRITE_REJECTED, 90),)
    assert (sums.unexplained, sums.balanced) == (0, True)


def test_15_had_odds_and_no_context_and_an_alias_would_resolve_7(night):
    found = Counter(m.why for m in missing(night))
    assert (found[Why.NOT_IN_CONTEXT_ALIAS], found[Why.NOT_IN_CONTEXT], found[Why.FILTERED_OUT]) == (7, 8, 194)


def test_the_burst_filled_the_queue_and_the_rule_would_have_fired_within_its_first_seconds(cloud):
    told = read_writes(cloud, *night_window(NIGHT))
    assert (told.attempted, told.rejected, told.rejected_in_logs, told.peak_outstanding) == (158, 90, 90, 22)
    assert told.alert_at is not None
    assert f"{told.alert_at:%H:%M}" == "19:47"
    assert told.health is Health.CRITICAL


def test_the_coordinators_own_status_said_success(cloud):
    (batch,) = read_batches(cloud, NIGHT).batches
    assert batch.state is BatchState.REPORTED_SUCCESS
    assert "158/158" in batch.status_text


def test_30_december_has_2_games_60_in_context_and_has_not_run(cloud, settings):
    tomorrow = read_night(cloud, date(2025, 12, 30))
    assert (tomorrow.games, sum(bool(p.in_context) for p in tomorrow.players), tomorrow.ran) == (2, 60, False)
    assert funnel(tomorrow, settings).health is Health.UNKNOWN


def test_the_history_has_good_bad_and_empty_days(cloud):
    days = read_history(cloud, date(2025, 12, 16), date(2025, 12, 30)).days
    words = Counter(day.health for day in days)
    assert words[Health.OK] >= 8
    assert words[Health.CRITICAL] == 2
    assert words[Health.NONE_EXPECTED] == 1


def test_the_leftovers_are_nine_orphans_with_rows_and_six_merged_tables(cloud):
    kinds = Counter(t.table_class for t in read_inventory(cloud).tables)
    assert kinds == {TableClass.ORPHAN: 9, TableClass.MERGED: 6}


def test_the_worker_is_in_emergency_and_the_coordinator_normal(cloud):
    worker, coordinator = read_widths(cloud).services
    assert (worker.max_instances, worker.request_concurrency, worker.width) == (4, 3, Width.EMERGENCY)
    assert (worker.revision, coordinator.revision) == (
        "prediction-worker-00011-zw5",
        "prediction-coordinator-00005-b2r",
    )
    assert coordinator.width is Width.NORMAL


def test_without_the_log_the_rejected_players_are_unexplained_never_ok(sandbox, cloud):
    sandbox.world.faults.set(Fault("logging", "status", status=503))
    told = read_night(cloud, NIGHT)
    assert account(told).unexplained == 90
    assert "worker log" in {problem.source for problem in told.problems}


def test_without_the_job_history_attempts_are_unknown_and_the_log_still_counts(sandbox, cloud):
    sandbox.world.faults.set(Fault("bigquery", "status", method="listJobs", status=403))
    told = read_writes(cloud, *night_window(NIGHT))
    assert (told.attempted, told.rejected, told.rejected_in_logs) == (None, None, 90)
    assert told.alert_at is not None


def test_without_cloud_run_the_widths_are_a_sentence(sandbox, cloud):
    sandbox.world.faults.set(Fault("run", "status", status=403))
    with pytest.raises(OnCallError, match="Cloud Run refused this identity"):
        read_widths(cloud)
