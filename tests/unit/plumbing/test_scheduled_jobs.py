"""Each way in which a job differs from its declaration has a sentence, a health and an owner; a healthy schedule is one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.core.result import DataSource, Health
from services.plumbing.manifest import DeclaredJob
from services.plumbing.scheduled_jobs import compare_jobs, matches_target
from services.telemetry.scheduler import Schedule, ScheduledJob

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
NAME, TARGET = "overnight-predictions", "https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/start"
DECLARED = DeclaredJob(
    name=NAME,
    owner="predictions",
    schedule="0 7 * * *",
    time_zone="America/New_York",
    target="prediction-coordinator/start",
    enabled=True,
)
JOB = ScheduledJob(NAME, "", "0 7 * * *", "America/New_York", NOW, NOW, "", "ENABLED", TARGET)


def report(*jobs: ScheduledJob, declared: DeclaredJob = DECLARED, expected: tuple[str, ...] = ()):
    return compare_jobs([declared], Schedule(jobs, (), expected, DataSource("Cloud Scheduler", NOW)))


def test_jobs_as_declared_are_one_line():
    as_declared = report(JOB)
    assert (as_declared.health, as_declared.failing) == (Health.OK, ())
    assert as_declared.headline == "1 of 1 jobs as declared"


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (None, "is not in Cloud Scheduler"),
        (replace(JOB, state="PAUSED", problem="is paused"), "is paused"),
        (replace(JOB, problem="failed at its last attempt (code 13)"), "failed at its last attempt (code 13)"),
    ],
)
def test_a_job_that_does_not_run_is_critical_where_it_starts_the_runs(job, sentence):
    jobs = (job,) if job else ()
    for expected, health in (((NAME,), Health.CRITICAL), ((), Health.WARNING)):
        found = report(*jobs, expected=expected)
        assert (found.health, found.failing[0].problems) == (health, (sentence,))
        assert found.headline == f"0 of 1 jobs as declared; {NAME} {sentence}"
        assert found.failing[0].declared.owner == "predictions"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cron": "0 8 * * *"}, "runs at 0 8 * * * America/New_York, declared 0 7 * * * America/New_York"),
        ({"time_zone": "Etc/UTC"}, "runs at 0 7 * * * Etc/UTC, declared 0 7 * * * America/New_York"),
        (
            {"target": "https://dead.a.run.app/start"},
            "calls https://dead.a.run.app/start, declared prediction-coordinator/start",
        ),
        ({"target": ""}, "calls nothing by HTTP, declared prediction-coordinator/start"),
    ],
)
def test_a_job_that_runs_otherwise_than_declared_is_a_warning(changes, sentence):
    found = report(replace(JOB, **changes), expected=(NAME,))
    assert (found.health, found.failing[0].problems) == (Health.WARNING, (sentence,))


def test_a_job_that_is_paused_on_purpose_is_in_order_and_one_that_runs_nevertheless_is_not():
    declared = DECLARED.model_copy(update={"enabled": False})
    paused = replace(JOB, state="PAUSED", problem="is paused")
    assert report(paused, declared=declared, expected=(NAME,)).health is Health.OK
    assert report(JOB, declared=declared).failing[0].problems == ("is enabled, and declared as paused",)
    failing = report(replace(JOB, problem="failed"), declared=declared, expected=(NAME,))
    assert failing.failing[0].problems == ("failed", "is enabled, and declared as paused")
    assert failing.health is Health.CRITICAL


def test_an_undeclared_job_is_listed_and_no_manifest_is_not_in_order():
    other = replace(JOB, name="nightly-export")
    found = report(JOB, other)
    assert (found.health, [job.name for job in found.undeclared]) == (Health.OK, ["nightly-export"])
    nothing = compare_jobs([], Schedule((JOB,), (), (), DataSource("Cloud Scheduler", NOW)))
    assert (nothing.health, nothing.headline) == (Health.NONE_EXPECTED, "The manifest declares no job")


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("https://prediction-coordinator-756957797294.us-west2.run.app/start", True),
        ("https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/start/", True),
        ("http://127.0.0.1:9050/run/prediction-coordinator/start", True),
        ("https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/reset", False),
        ("https://prediction-worker-f7p3g7f6ya-wl.a.run.app/start", False),
        ("https://evil.example.com/?x=prediction-coordinator-/start", False),
        ("https://evil.example.com/start?x=prediction-coordinator-", False),
        ("https://prediction-coordinator.example.com/start", False),
        ("http://127.0.0.1:9050/run/not-prediction-coordinator/start", False),
        ("https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/start/over", False),
        ("https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/restart", False),
    ],
)
def test_a_target_is_the_service_and_the_path_whatever_the_address_of_the_service(address, same):
    assert matches_target("prediction-coordinator/start", address) is same
    assert matches_target("prediction-coordinator/start/", address) is same


@pytest.mark.parametrize(
    "address",
    [
        "https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app",
        "https://prediction-coordinator-f7p3g7f6ya-wl.a.run.app/start",
        "http://127.0.0.1:9050/run/prediction-coordinator",
    ],
)
def test_a_target_without_a_path_is_the_service_at_any_path(address):
    assert matches_target("prediction-coordinator", address)
    assert not matches_target("prediction-worker", address)


def test_the_worst_job_comes_first_and_of_equal_ones_the_first_by_name():
    declared = [DECLARED.model_copy(update={"name": name}) for name in ("c", "b", "d", "a")]
    jobs = tuple(replace(JOB, name=name) for name in ("a", "b"))
    found = compare_jobs(declared, Schedule(jobs, (), ("d",), DataSource("Cloud Scheduler", NOW)))
    assert [job.name for job in found.jobs] == ["d", "c", "a", "b"]
