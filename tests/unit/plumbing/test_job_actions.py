"""Running, pausing and resuming a job: what its plan holds fast and warns of, and that only what is read back proves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.action_type import ActionType
from services.actions.log_reader import ActionState
from services.core.errors import InvalidInput, SourceUnavailable, TableNotFound
from services.core.settings import Settings
from services.core.sources import RUN, SCHEDULER
from services.plumbing import job_actions
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB, RUN_JOB
from services.telemetry.scheduler import AttemptEnd, ScheduledJob

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
TARGET = "https://prediction-coordinator-x.a.run.app/start"
JOB = ScheduledJob("nightly", "", "0 7 * * *", "ET", NOW + timedelta(hours=5), NOW, "", "ENABLED", TARGET)
PAUSED = replace(JOB, state="PAUSED", next_at=None)
ACCEPTED = {"accepted at": NOW.isoformat()}
CLIENTS: Any = SimpleNamespace(now=lambda: NOW, settings=Settings.from_env({"EXPECTED_JOBS": "nightly"}))


class Google:
    """The job as it is read, one answer after another, the last one for ever; and the ends that are logged."""

    def __init__(self) -> None:
        self.jobs: list[ScheduledJob | Exception] = [JOB]
        self.ends: list[AttemptEnd | Exception | None] = [AttemptEnd(NOW, "OK", 200)]
        self.seconds, self.since = 0.0, [NOW]

    def read_job(self, *_: object) -> ScheduledJob:
        return self._next(self.jobs)

    def read_attempt_end(self, _clients: object, _name: str, since: datetime) -> AttemptEnd | None:
        self.since = [since]
        return self._next(self.ends)

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        assert self.seconds < 1000


@pytest.fixture
def google(monkeypatch):
    google = Google()
    monkeypatch.setattr(job_actions, "read_job", google.read_job)
    monkeypatch.setattr(job_actions, "read_attempt_end", google.read_attempt_end)
    monkeypatch.setattr(job_actions, "time", SimpleNamespace(monotonic=lambda: google.seconds, sleep=google.sleep))
    return google


def plan(action_type: ActionType, name: object = "nightly") -> Any:
    return action_type.plan(CLIENTS, {"job": name})


@pytest.mark.parametrize(
    ("action_type", "job", "refusal"),
    [
        (RUN_JOB, PAUSED, "nightly is paused: resume it first."),
        (PAUSE_JOB, PAUSED, "nightly is paused; only one that is enabled can be paused."),
        (RESUME_JOB, JOB, "nightly is enabled; only one that is paused can be resumed."),
    ],
)
def test_a_job_in_another_state_is_refused(google, action_type, job, refusal):
    google.jobs = [job]
    assert [guard.message for guard in plan(action_type).failed_guards] == [refusal]
    google.jobs = [JOB if job is PAUSED else PAUSED]
    assert plan(action_type).failed_guards == ()


@pytest.mark.parametrize(
    "changes", [{"cron": "0 8 * * *"}, {"target": "https://else/"}, {"last_at": None}, {"state": "PAUSED"}]
)
def test_a_job_that_changed_is_another_plan(google, changes):
    before = plan(RUN_JOB)
    google.jobs = [replace(JOB, **changes)]
    assert plan(RUN_JOB).preconditions != before.preconditions


def test_what_a_run_or_a_pause_sets_going_is_warned_of(google):
    run, pause = plan(RUN_JOB), plan(PAUSE_JOB)
    assert run.warnings[1:] == ("It starts a prediction run. Re-run shows its players first.",)
    assert pause.warnings == (f"Nothing calls {TARGET} until it is resumed; next at 06:45 ET.",)
    google.jobs = [replace(JOB, next_at=None)]
    assert plan(PAUSE_JOB).warnings == ()
    assert len(plan(RUN_JOB, "another").warnings) == 1
    assert RUN_JOB.changes == RUN | {SCHEDULER}


@pytest.mark.parametrize("name", [None, "", "../x", "a b", "nightly/x", "x" * 501])
def test_what_is_no_name_is_refused_before_anything_is_read(google, name):
    google.jobs = [AssertionError("it was read")]
    with pytest.raises(InvalidInput, match="is no name of a scheduled job") as refused:
        plan(RUN_JOB, name)
    assert len(refused.value.message) < 130


def test_a_job_that_does_not_exist_is_said_so(google):
    google.jobs = [TableNotFound("no")]
    with pytest.raises(InvalidInput, match="Cloud Scheduler has no job 'nightly'"):
        plan(RUN_JOB)


@pytest.mark.parametrize(("action_type", "before", "after"), [(PAUSE_JOB, JOB, PAUSED), (RESUME_JOB, PAUSED, JOB)])
def test_a_state_is_proven_by_the_job_as_it_is_read_again(google, action_type, before, after):
    google.jobs = [before]
    planned = plan(action_type)
    still = action_type.verify(CLIENTS, planned, {})
    assert (still.state, still.message) == (ActionState.FAILED, f"nightly is still {before.state.lower()}.")
    google.jobs = [replace(after, next_at=JOB.next_at)]
    done = action_type.verify(CLIENTS, planned, {})
    following = "; next run 06:45 ET" if after is JOB else ""
    assert (done.state, done.message) == (ActionState.DONE, f"nightly is {after.state.lower()}{following}.")


LATER = replace(JOB, last_at=NOW + timedelta(seconds=1))


def verify_run(google: Google, *jobs: ScheduledJob, details: Any = ACCEPTED) -> Any:
    google.jobs = [JOB]
    planned = plan(RUN_JOB)
    google.jobs = list(jobs)
    return RUN_JOB.verify(CLIENTS, planned, details)


def test_a_run_is_proven_by_a_new_attempt_and_its_own_end(google):
    google.ends = [None, AttemptEnd(NOW, "OK", 200)]
    done = verify_run(google, replace(JOB, last_at=None), JOB, LATER)
    assert (done.state, done.message.endswith("its target answered OK (HTTP 200).")) == (ActionState.DONE, True)
    assert google.since == [LATER.last_at]
    google.ends = [AttemptEnd(NOW, "OK", 0)]
    assert verify_run(google, LATER).message.endswith("answered OK.")


@pytest.mark.parametrize(
    ("end", "state", "text"),
    [
        (AttemptEnd(NOW, "UNAVAILABLE", 503), ActionState.FAILED, "and failed: UNAVAILABLE (HTTP 503)."),
        (None, ActionState.UNVERIFIED, "no end of that attempt is logged yet."),
        (SourceUnavailable("Denied."), ActionState.UNVERIFIED, "what came of it is unknown: Denied."),
    ],
)
def test_an_attempt_that_failed_or_whose_end_is_not_known_is_never_done(google, end, state, text):
    google.ends = [end]
    found = verify_run(google, LATER)
    assert (found.state, text in found.message) == (state, True)
    assert google.seconds < job_actions.ATTEMPT_TIMEOUT_S + job_actions.LOG_INTERVAL_S + 1


@pytest.mark.parametrize(("details", "waited"), [(ACCEPTED, job_actions.ATTEMPT_TIMEOUT_S), ({}, 0.0)])
def test_a_run_without_a_new_attempt_is_unverified_and_is_waited_for_only_where_it_was_accepted(
    google, details, waited
):
    found = verify_run(google, JOB, details=details)
    assert (found.state, "has recorded no attempt" in found.message) == (ActionState.UNVERIFIED, True)
    assert google.seconds == waited


def test_a_call_is_made_once_and_never_repeated_by_the_client(google):
    calls: list[dict[str, Any]] = []
    scheduler = SimpleNamespace(run_job=lambda **options: calls.append(options))
    clients = SimpleNamespace(**vars(CLIENTS), scheduler=scheduler)
    context: Any = SimpleNamespace(clients=clients, plan=plan(RUN_JOB))
    assert RUN_JOB.apply(context) == ACCEPTED
    assert [(call["retry"], call["timeout"]) for call in calls] == [(None, job_actions.CALL_TIMEOUT_S)]
