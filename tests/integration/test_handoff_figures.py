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
from services.nights.balance import balance
from services.nights.coverage import funnel, read_history
from services.nights.missing_players import LossReason, list_missing_players
from services.nights.player_stages import Stage, read_night
from services.sandbox.common.fault_injection import Fault
from services.scaling.capacity import CapacityState, read_service_capacities
from services.staging.inventory import StagingTableState, read_inventory
from services.telemetry.dml_jobs import read_writes

NIGHT = date(2025, 12, 29)


@pytest.fixture
def night(clients):
    return read_night(clients, NIGHT)


def test_68_of_158_were_written_43_percent_of_the_eligible_and_19_3_of_those_in_context(night):
    counts = funnel(night).players
    assert (counts[Stage.ACTIVE], counts[Stage.ELIGIBLE], counts[Stage.GENERATED]) == (68, 158, 158)
    assert (counts[Stage.IN_CONTEXT], counts[Stage.WITH_ODDS], night.games) == (352, 176, 11)
    assert f"{100 * 68 / 158:.1f} {100 * 68 / 352:.1f}" == "43.0 19.3"


def test_1700_of_3950_rows_landed(night):
    assert (night.active_rows, night.generated_rows) == (1_700, 3_950)


def test_90_were_rejected_on_write_and_none_is_unexplained(night):
    totals = balance(night)
    assert totals.classified == ((LossReason.WRITE_REJECTED, 90),)
    assert (totals.unexplained, totals.is_balanced) == (0, True)


def test_15_had_odds_and_no_context_and_an_alias_would_resolve_7(night):
    reasons = Counter(m.reason for m in list_missing_players(night))
    assert (
        reasons[LossReason.NOT_IN_CONTEXT_ALIAS],
        reasons[LossReason.NOT_IN_CONTEXT],
        reasons[LossReason.FILTERED_OUT],
    ) == (7, 8, 194)


def test_the_burst_filled_the_queue_and_would_have_fired_the_alert_within_seconds(clients):
    write_report = read_writes(clients, *night_window(NIGHT))
    assert (
        write_report.attempted,
        write_report.rejected,
        write_report.rejected_in_logs,
        write_report.peak_outstanding,
    ) == (158, 90, 90, 22)
    assert write_report.alert_at is not None
    assert f"{write_report.alert_at:%H:%M}" == "19:47"
    assert write_report.health is Health.CRITICAL


def test_the_coordinator_reported_success(clients):
    (batch,) = read_batches(clients, NIGHT).batches
    assert batch.state is BatchState.UNVERIFIED_SUCCESS
    assert "158/158" in batch.status_text


def test_30_december_has_2_games_60_in_context_and_has_not_run(clients):
    tomorrow = read_night(clients, date(2025, 12, 30))
    assert (tomorrow.games, sum(bool(p.in_context) for p in tomorrow.players), tomorrow.was_run) == (2, 60, False)


def test_the_history_has_good_bad_and_empty_days(clients):
    days = read_history(clients, date(2025, 12, 16), date(2025, 12, 30)).days
    health_counts = Counter(day.health for day in days)
    assert health_counts[Health.OK] >= 8
    assert health_counts[Health.CRITICAL] == 2
    assert health_counts[Health.NONE_EXPECTED] == 1


def test_the_leftovers_are_nine_orphans_with_rows_and_six_merged_tables(clients):
    kinds = Counter(t.state for t in read_inventory(clients).tables)
    assert kinds == {StagingTableState.ORPHAN: 9, StagingTableState.MERGED: 6}


def test_the_worker_is_in_emergency_and_the_coordinator_normal(clients):
    worker, coordinator = read_service_capacities(clients).services
    assert (worker.max_instances, worker.concurrency, worker.state) == (4, 3, CapacityState.EMERGENCY)
    assert (worker.revision, coordinator.revision) == (
        "prediction-worker-00011-zw5",
        "prediction-coordinator-00005-b2r",
    )
    assert coordinator.state is CapacityState.NORMAL


def test_without_the_log_the_rejected_players_are_unexplained_never_ok(sandbox, clients):
    sandbox.state.faults.set(Fault("logging", "status", status=503))
    night_status = read_night(clients, NIGHT)
    assert balance(night_status).unexplained == 90
    assert "worker log" in {problem.source for problem in night_status.problems}


def test_without_the_job_history_attempts_are_unknown_and_the_log_still_counts(sandbox, clients):
    sandbox.state.faults.set(Fault("bigquery", "status", method="listJobs", status=403))
    write_report = read_writes(clients, *night_window(NIGHT))
    assert (write_report.attempted, write_report.rejected, write_report.rejected_in_logs) == (None, None, 90)
    assert write_report.alert_at is not None


def test_without_cloud_run_the_capacities_are_an_error(sandbox, clients):
    sandbox.state.faults.set(Fault("run", "status", status=403))
    with pytest.raises(OnCallError, match="Permission denied for Cloud Run"):
        read_service_capacities(clients)
