"""The schedule as read from the sandbox's Cloud Scheduler."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.telemetry.scheduler import read_schedule
from tests.support.clock import FixedClock


def test_the_schedule_shows_the_next_run_and_missing_jobs(clients, sandbox):
    schedule = read_schedule(clients)
    assert schedule.job_problems == ()
    assert schedule.jobs[0].next_at > clients.now()
    following = next(job for job in schedule.jobs if job.name == "same-day-predictions")
    assert following.next_at == datetime(2025, 12, 30, 16, 30, tzinfo=UTC)
    late_clients = replace(clients, clock=FixedClock(following.next_at + timedelta(minutes=11)))
    assert "same-day-predictions was due at 11:30 ET and has not been tried" in read_schedule(late_clients).job_problems
    original_jobs = list(sandbox.state.scheduler_jobs)
    try:
        sandbox.state.scheduler_jobs[:] = [job for job in original_jobs if job["name"] != "same-day-predictions"]
        assert read_schedule(clients).job_problems == ("same-day-predictions is not in Cloud Scheduler",)
        sandbox.state.scheduler_jobs[:] = [{**job, "state": "PAUSED"} for job in original_jobs]
        assert "tomorrow-predictions is paused" in read_schedule(clients).job_problems
    finally:
        sandbox.state.scheduler_jobs[:] = original_jobs
