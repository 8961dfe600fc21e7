"""A busy project's night: 25,000 other jobs and 11,000 other log lines hide no rejection and no failed consolidation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerts.heartbeat import read_last_heartbeat
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.clock import night_window
from services.core.result import Health
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.scenarios.log_and_job_history import COORDINATOR, WORKER, json_entry, text_entries
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, start_sandbox
from services.telemetry import log_phrases, log_reader
from services.telemetry.dml_jobs import read_writes
from services.telemetry.job_history import MAX_LISTED_JOBS
from tests.support.factories import NIGHT
from tests.support.job_history import make_query_job

START, END = night_window(NIGHT)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def busy_sandbox() -> Iterator[Sandbox]:
    """29 December, its 158 MERGEs followed by 24,932 queries of others within the same night."""
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    first = START + timedelta(hours=9.5)
    sandbox.state.bigquery.jobs.seed([make_query_job(f"q{n}", first + timedelta(seconds=n / 2)) for n in range(24_932)])
    yield sandbox
    sandbox.stop()


@pytest.fixture
def busy_clients(busy_sandbox: Sandbox) -> Iterator[Clients]:
    busy_sandbox.state.reset_limits()
    busy_sandbox.state.meter.reset()
    yield connect(Settings.from_env({"SANDBOX_URL": busy_sandbox.url}))
    busy_sandbox.state.reset_limits()


def test_ninety_rejections_behind_25_000_newer_jobs_are_ninety_of_158(busy_clients, busy_sandbox, record_property):
    started_at = time.monotonic()
    report = read_writes(busy_clients, START, END)
    record_property("seconds", time.monotonic() - started_at)
    assert (report.attempted, report.rejected, report.problems) == (158, 90, ())
    assert report.health is Health.CRITICAL
    assert busy_sandbox.state.meter.calls["bigquery.JobService.listJobs"] == 1
    assert busy_sandbox.state.meter.bytes_billed == 10 * MIB


def test_a_quiet_range_is_listed_free_of_charge(busy_clients, busy_sandbox):
    report = read_writes(busy_clients, START, START + timedelta(hours=9))
    assert (report.attempted, report.rejected) == (158, 90)
    assert busy_sandbox.state.meter.bytes_billed == 0


def test_where_the_view_is_refused_the_jobs_that_were_not_listed_are_unknown(busy_clients, busy_sandbox):
    poor_clients = replace(
        busy_clients, settings=Settings.from_env({"SANDBOX_URL": busy_sandbox.url, "QUERY_LIMIT_MIB": "1"})
    )
    report = read_writes(poor_clients, START, END)
    assert (report.attempted, report.rejected, report.peak_outstanding) == (None, None, None)
    assert report.health is not Health.OK
    (problem,) = report.problems
    assert problem.message.startswith(f"The newest {MAX_LISTED_JOBS:,} jobs were read, back to ")
    assert "would bill more than its limit" in problem.message


def test_a_later_look_reads_on_free_of_charge_and_sees_what_is_new(busy_clients, busy_sandbox):
    clients, meter = replace(busy_clients, cache=ReadCache()), busy_sandbox.state.meter
    start, end = clients.now() - timedelta(hours=12), clients.now() + timedelta(hours=1)
    first = read_writes(clients, start, end)
    meter.reset()
    error = {
        "reason": "invalidQuery",
        "message": f"Too many DML statements outstanding against table {PREDICTIONS_TABLE}",
    }
    job = make_query_job("late", clients.now(), "MERGE", PREDICTIONS_TABLE, error)
    busy_sandbox.state.bigquery.jobs.seed([job])
    second = read_writes(clients, start, end)
    assert first.rejected is not None
    assert (second.rejected, second.attempted) == (first.rejected + 1, (first.attempted or 0) + 1)
    assert (meter.bytes_billed, meter.calls["bigquery.JobService.listJobs"]) == (0, 1)


def test_a_statement_that_was_running_is_read_again_until_it_ends(busy_clients, busy_sandbox):
    clients = replace(busy_clients, cache=ReadCache())
    start, end = START + timedelta(hours=1), START + timedelta(hours=2)
    job = make_query_job("slow", start, "MERGE", PREDICTIONS_TABLE)
    busy_sandbox.state.bigquery.jobs.seed([{**job, "status": {"state": "RUNNING"}}])
    assert [attempt.ok for attempt in read_writes(clients, start, end).attempts] == [None]
    busy_sandbox.state.bigquery.jobs.seed([job])
    assert [attempt.ok for attempt in read_writes(clients, start, end).attempts] == [True]
    busy_sandbox.state.meter.reset()
    read_writes(clients, start, end)
    assert busy_sandbox.state.meter.calls["bigquery.JobService.listJobs"] == 0, "a closed range cannot change any more"


def test_a_failed_consolidation_behind_11_000_other_lines_is_shown(busy_clients, busy_sandbox):
    batch = read_batches(busy_clients, NIGHT).newest
    assert batch is not None
    flood = [
        entry
        for n in range(11_000)
        for entry in text_entries(
            WORKER,
            START + timedelta(hours=10, seconds=n / 2),
            "worker",
            "WARNING",
            f"TRANSIENT failure for p{n}: again",
        )
    ]
    failed_at = START + timedelta(hours=15)
    (failed,) = text_entries(
        COORDINATOR, failed_at, "coordinator", "ERROR", f"Consolidation FAILED for {batch.batch_id}"
    )
    busy_sandbox.state.logs.add([*flood, failed])
    night = log_reader.read_lines(busy_clients, log_phrases.NIGHT_FILTER, START, END, log_reader.MAX_NIGHT_LINES)
    assert night.truncated
    assert not any("Consolidation FAILED" in line.message for line in night.lines)
    assert len(busy_clients.cache.usage.log_read_times) >= 10, "each further page counts against the quota"
    batches = read_batches(busy_clients, NIGHT)
    assert batches.newest is not None
    assert batches.newest.state is BatchState.CONSOLIDATION_FAILED
    assert batches.problems == (), "the coordinator's own lines were read to the last one"
    report = read_writes(busy_clients, START, END)
    assert report.rejected_in_logs == 90


def test_lines_that_were_not_read_are_named(busy_clients):
    lines = log_reader.read_lines(
        busy_clients, log_phrases.CONSOLIDATION_FILTER, START - timedelta(days=9), END, limit=3
    )
    assert lines.problem is not None
    assert "More lines match than a search reads" in lines.problem.message
    newest = log_reader.read_lines(
        busy_clients, log_phrases.CONSOLIDATION_FILTER, START - timedelta(days=9), END, limit=3, newest_first=True
    )
    assert [line.at for line in newest.lines] == sorted(line.at for line in newest.lines)
    assert newest.lines[-1].at > lines.lines[-1].at


def test_of_300_heartbeats_the_newest_counts(busy_clients, busy_sandbox):
    now = busy_clients.now()
    beats = [
        json_entry("prediction-watchdog", now - timedelta(seconds=n), "INFO", "Watchdog looked: ok")
        for n in range(1, 301)
    ]
    busy_sandbox.state.logs.add(beats)
    newest = read_last_heartbeat(busy_clients)
    assert newest is not None
    assert now - newest.at < timedelta(seconds=2)


def test_jobs_that_are_listed_without_their_statement_are_no_proof_that_nothing_was_rejected(
    busy_clients, busy_sandbox
):
    day = START - timedelta(days=60)
    job = make_query_job("hidden", day)
    del job["configuration"]["query"]["query"]
    busy_sandbox.state.bigquery.jobs.seed([job])
    report = read_writes(busy_clients, day, day + timedelta(hours=1))
    assert (report.attempted, report.health) == (None, Health.UNKNOWN)
    assert "1 jobs are listed without their statement" in report.problems[0].message


@pytest.mark.parametrize("location", ["us-west2", "US"])
def test_the_region_is_the_one_of_the_datasets_and_a_wrong_location_is_no_empty_history(location):
    sandbox = start_sandbox(Seed(location="us-west2"))
    try:
        clients = connect(Settings.from_env({"SANDBOX_URL": sandbox.url, "BIGQUERY_LOCATION": location}))
        others = [make_query_job(f"q{n}", START + timedelta(seconds=n), location="us-west2") for n in range(1_100)]
        error = {"reason": "invalidQuery", "message": "Too many DML statements outstanding"}
        merges = [
            make_query_job(f"m{n}", START, "MERGE", PREDICTIONS_TABLE, error, location="us-west2") for n in range(3)
        ]
        sandbox.state.bigquery.jobs.seed([*merges, *others])
        report = read_writes(clients, START, END)
        assert (report.attempted, report.rejected) == (3, 3)
        assert report.sources[0].bytes_billed == (10 * MIB if location == "us-west2" else 0), "the view; else jobs.list"
    finally:
        sandbox.stop()
