"""What keeps a job of Cloud Scheduler from running, which jobs are missing, and what came of an attempt by its own end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import scheduler_v1
from google.cloud.logging_v2.resource import Resource
from google.rpc.status_pb2 import Status

from services.core.settings import Settings
from services.gcp.read_cache import ReadCache
from services.telemetry import scheduler
from services.telemetry.log_pages import ListedEntry
from services.telemetry.scheduler import ATTEMPT_FINISHED, OVERDUE_AFTER, read_attempt_end, read_job, read_schedule

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
State = scheduler_v1.Job.State


def make_job(name: str = "a", **fields: Any) -> scheduler_v1.Job:
    return scheduler_v1.Job(**{"name": f"projects/p/locations/us-west2/jobs/{name}", "state": State.ENABLED, **fields})


def clients_of(*jobs: scheduler_v1.Job, expected: str = "a") -> Any:
    settings = Settings.from_env({"EXPECTED_JOBS": expected})
    api = SimpleNamespace(list_jobs=lambda **_: jobs, get_job=lambda **_: jobs[0])
    return SimpleNamespace(settings=settings, now=lambda: NOW, cache=ReadCache(), scheduler=api)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"schedule_time": NOW + timedelta(hours=1)}, ""),
        ({"schedule_time": NOW - OVERDUE_AFTER}, ""),
        (
            {"schedule_time": NOW - OVERDUE_AFTER - timedelta(seconds=1)},
            "was due at 01:34 ET and has not been tried",
        ),
        ({}, ""),
        ({"state": State.PAUSED}, "is paused"),
        ({"state": State.DISABLED}, "is disabled"),
        ({"state": State.UPDATE_FAILED, "status": Status(code=13)}, "is update failed"),
        ({"status": Status(code=13)}, "failed at its last attempt (code 13)"),
        ({"status": Status(code=13, message="no")}, "failed at its last attempt (code 13: no)"),
        (
            {"status": Status(code=13), "schedule_time": NOW - timedelta(days=1)},
            "failed at its last attempt (code 13)",
        ),
    ],
)
def test_what_keeps_a_job_from_running_is_said(fields, problem):
    job = read_job(clients_of(make_job(**fields)), "a")
    assert (job.name, job.problem) == ("a", problem)
    assert job.paused is (fields.get("state", State.ENABLED) is not State.ENABLED)


def test_a_job_without_a_time_or_an_attempt_has_none():
    job = read_job(clients_of(make_job()), "a")
    assert (job.next_at, job.last_at, job.attempt_error) == (None, None, "")


def test_jobs_are_in_the_order_of_their_next_time_and_one_without_is_last():
    jobs = [
        make_job("never"),
        make_job("late", schedule_time=NOW + timedelta(hours=9)),
        make_job("a", schedule_time=NOW),
    ]
    assert [job.name for job in read_schedule(clients_of(*jobs)).jobs] == ["a", "late", "never"]


def test_problems_are_of_the_expected_jobs_that_have_one_or_are_missing():
    paused = [make_job(name, state=State.PAUSED) for name in ("a", "other")]
    schedule = read_schedule(clients_of(*paused, make_job("b"), expected="a,b,,gone"))
    assert (schedule.expected, schedule.missing) == (("a", "b", "gone"), ("gone",))
    assert schedule.job_problems == ("gone is not in Cloud Scheduler", "a is paused")


def make_entry(payload: object, request: dict[str, Any] | None = None, seconds: int = 0) -> ListedEntry:
    resource = Resource(type="cloud_scheduler_job", labels={})
    return ListedEntry(payload, "INFO", NOW + timedelta(seconds=seconds), "i", resource, "l", request or {})


@pytest.fixture
def searches(monkeypatch):
    """The searches of the log; `found` are the entries of each."""
    log = SimpleNamespace(texts=[], found=[])

    def read_entries(_clients: object, text: str, _limit: int) -> Any:
        log.texts.append(text)
        return log.found, False

    monkeypatch.setattr(scheduler, "read_entries", read_entries)
    return log


def test_the_first_end_of_an_attempt_is_what_came_of_it(searches):
    searches.found = [
        make_entry("a text"),
        make_entry({"status": "UNAVAILABLE"}, {"status": 503}, 1),
        make_entry({}, {"status": 200}, 2),
    ]
    clients = clients_of(make_job())
    end = read_attempt_end(clients, "a", NOW)
    assert end is not None
    assert (end.at, end.status, end.http_status) == (NOW + timedelta(seconds=1), "UNAVAILABLE", 503)
    for part in ('job_id="a"', f'"@type"="{ATTEMPT_FINISHED}"', 'timestamp>="2025-12-30T06:45:00.000000Z"'):
        assert part in searches.texts[0]
    assert clients.cache.log_reads_last_minute() == 1, "a read of the budget that all share"


def test_an_end_without_a_status_is_ok_and_without_an_answer_has_no_http_status(searches):
    searches.found = [make_entry({})]
    end = read_attempt_end(clients_of(make_job()), "a", NOW)
    assert end is not None
    assert (end.status, end.http_status) == ("OK", 0)
    searches.found = []
    assert read_attempt_end(clients_of(make_job()), "a", NOW) is None


def test_where_no_job_is_expected_none_is_missing():
    clients = clients_of(make_job())
    clients.settings = clients.settings.model_copy(update={"expected_jobs": ""})
    assert read_schedule(clients).missing == ()
