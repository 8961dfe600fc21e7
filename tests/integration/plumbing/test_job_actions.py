"""Scheduled jobs through the real Cloud Scheduler client: run, pause and resume, their refusals, and what proves each."""

from __future__ import annotations

import asyncio

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, NotFound

from services.action_registry import find_undo
from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.core.errors import InvalidInput
from services.gcp.clients import connect
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB, RUN_JOB
from services.plumbing.scheduled_jobs import read_job_report
from services.sandbox.common.fault_injection import Fault
from services.telemetry.scheduler import job_resource, read_job
from tests.support.actors import OPERATOR
from tests.support.sandbox import settings_as

CHECK, RUN = "missing-prediction-check", "same-day-predictions"


@pytest.fixture(autouse=True)
def jobs_as_before(module_sandbox):
    before = [dict(job) for job in module_sandbox.state.scheduler_jobs]
    yield
    module_sandbox.state.scheduler_jobs[:] = before


def test_a_paused_job_is_missing_from_the_schedule_until_it_is_resumed(module_clients, plan_and_execute):
    paused = plan_and_execute(PAUSE_JOB, job=RUN)
    assert (paused.state, paused.message) == (ActionState.DONE, f"{RUN} is paused.")
    assert read_job_report(module_clients).headline == f"8 of 9 jobs as declared; {RUN} is paused"
    undo = find_undo(paused, [paused], module_clients.now())
    assert undo is not None
    assert (undo.action_type, undo.args) == (RESUME_JOB, {"job": RUN})
    resumed = plan_and_execute(RESUME_JOB, job=RUN)
    assert resumed.state is ActionState.DONE
    assert f"{RUN} is enabled; next run " in resumed.message
    assert find_undo(paused, [resumed, paused], module_clients.now()) is None
    assert read_job_report(module_clients).headline == "9 of 9 jobs as declared"


def test_a_run_is_proved_by_the_attempt_and_the_end_that_is_logged(module_clients, plan_and_execute):
    before = read_job(module_clients, CHECK).last_at
    done = plan_and_execute(RUN_JOB, job=CHECK)
    assert done.state is ActionState.DONE, done.message
    assert done.message.endswith("its target answered OK (HTTP 200).")
    after = read_job(module_clients, CHECK).last_at
    assert before is not None
    assert after is not None
    assert before < after


def test_a_target_that_does_not_answer_is_a_failed_attempt(module_clients, plan_and_execute):
    failed = plan_and_execute(RUN_JOB, job=RUN)  # no coordinator runs beside this sandbox
    assert failed.state is ActionState.FAILED
    assert failed.message.endswith("and failed: UNAVAILABLE (HTTP 503).")
    assert read_job_report(module_clients).failing[0].problems == ("failed at its last attempt (code 14)",)


def test_the_answer_to_the_attempt_before_proves_nothing(module_sandbox, module_clients, plan_and_execute, monkeypatch):
    """While an attempt runs, the job has its start and the answer to the one before."""

    async def never_answer(*_: object, **__: object) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(module_sandbox.state.instances_http, "post", never_answer)
    monkeypatch.setitem(module_sandbox.state.cloud_run.backends, "prediction-coordinator", "http://127.0.0.1:9")
    monkeypatch.setattr("services.plumbing.job_actions.ATTEMPT_TIMEOUT_S", 1.0)
    monkeypatch.setattr("services.plumbing.job_actions.LOG_INTERVAL_S", 0.5)
    running = plan_and_execute(RUN_JOB, job=RUN)
    assert not read_job(module_clients, RUN).attempt_error
    assert running.state is ActionState.UNVERIFIED
    assert running.message.endswith("no end of that attempt is logged yet.")


def test_an_unreadable_execution_log_leaves_a_run_unverified(module_sandbox, plan_and_execute):
    module_sandbox.state.faults.set(Fault("logging", "status", status=403, method="list"))
    unverified = plan_and_execute(RUN_JOB, job=CHECK)
    module_sandbox.state.faults.clear()
    assert unverified.state is ActionState.UNVERIFIED
    assert "; what came of it is unknown: " in unverified.message


def test_a_run_without_a_recorded_attempt_is_unverified(module_clients, plan_and_execute, monkeypatch):
    monkeypatch.setattr("services.plumbing.job_actions.ATTEMPT_TIMEOUT_S", 0.0)
    monkeypatch.setattr(type(module_clients.scheduler), "run_job", lambda *_, **__: None)
    unverified = plan_and_execute(RUN_JOB, job=CHECK)
    assert (unverified.state, "has recorded no attempt" in unverified.message) == (ActionState.UNVERIFIED, True)


def test_a_job_in_another_state_is_refused_before_and_by_google(module_clients, plan_and_execute):
    plan = PAUSE_JOB.plan(module_clients, {"job": CHECK})
    paused = execute(module_clients, OPERATOR, PAUSE_JOB, plan, "calm")
    for action_type in (PAUSE_JOB, RUN_JOB):
        assert action_type.plan(module_clients, {"job": CHECK}).failed_guards
    assert execute(module_clients, OPERATOR, PAUSE_JOB, plan, "twice").action_id == paused.action_id
    with pytest.raises(ActionRefused, match=f"{CHECK} is paused; only one that is enabled can be paused"):
        plan_and_execute(PAUSE_JOB, job=CHECK)
    name = job_resource(module_clients, CHECK)
    for call in (module_clients.scheduler.pause_job, module_clients.scheduler.run_job):
        with pytest.raises(BadRequest, match="Job state must be ENABLED"):
            call(name=name, retry=None)
    module_clients.scheduler.resume_job(name=name, retry=None)
    with pytest.raises(BadRequest, match="Job state must be PAUSED"):
        module_clients.scheduler.resume_job(name=name, retry=None)


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 501, None, 7])
def test_a_name_of_no_job_is_refused_in_a_sentence(module_clients, name):
    with pytest.raises(InvalidInput):
        RUN_JOB.plan(module_clients, {"job": name})


def test_a_job_that_does_not_exist_is_said_so(module_clients):
    with pytest.raises(InvalidInput, match="Cloud Scheduler has no job 'nightly' in us-west2"):
        PAUSE_JOB.plan(module_clients, {"job": "nightly"})
    with pytest.raises(NotFound, match="Job not found"):
        module_clients.scheduler.run_job(name=job_resource(module_clients, "nightly"), retry=None)


def test_the_reading_account_changes_no_job(module_sandbox):
    reading = connect(settings_as(module_sandbox, "read"))
    name = job_resource(reading, CHECK)
    for call, permission in (("run_job", "run"), ("pause_job", "pause"), ("resume_job", "enable")):
        with pytest.raises(Forbidden, match=f'lacks IAM permission "cloudscheduler.jobs.{permission}"'):
            getattr(reading.scheduler, call)(name=name, retry=None)


def test_a_job_is_in_its_own_project_and_region_alone(module_clients):
    scheduler, project = module_clients.scheduler, module_clients.settings.project
    elsewhere = f"projects/{project}/locations/us-east1"
    assert list(scheduler.list_jobs(parent=elsewhere)) == []
    with pytest.raises(NotFound):
        scheduler.get_job(name=f"{elsewhere}/jobs/{RUN}")
    with pytest.raises(NotFound):
        scheduler.pause_job(name=f"{elsewhere}/jobs/{RUN}")
    with pytest.raises(Forbidden):
        scheduler.get_job(name=f"projects/other-project/locations/us-west2/jobs/{RUN}")
