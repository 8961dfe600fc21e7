"""Runs a job of Cloud Scheduler now, pauses it, resumes it: each by the one life of every action."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.core.clock import format_eastern
from services.core.commands import gcloud_command
from services.core.errors import InvalidInput, OnCallError, TableNotFound
from services.core.result import DataSource
from services.core.sources import RUN, SCHEDULER
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.telemetry.scheduler import AttemptEnd, ScheduledJob, job_resource, read_attempt_end, read_job

CALL_TIMEOUT_S = 30.0
ATTEMPT_TIMEOUT_S, POLL_INTERVAL_S = 30.0, 1.0  # how long a started attempt and its end are waited for
LOG_INTERVAL_S = 3.0  # each look is a read of the log's budget
_NAME = re.compile(r"[A-Za-z0-9_-]{1,500}")  # of Cloud Scheduler
_ENABLED, _PAUSED = "ENABLED", "PAUSED"
_ACCEPTED = "accepted at"


@dataclass(frozen=True)
class _Operation:
    """What the three plans differ in. `needs` is the state in which Cloud Scheduler accepts the call."""

    action_name: str
    verb: str  # of gcloud, and of the method
    title: str
    needs: str
    undo: str


_RUN = _Operation("scheduler.run", "run", "Run scheduled job now", _ENABLED, "What a job has started cannot be undone.")
_PAUSE = _Operation("scheduler.pause", "pause", "Pause scheduled job", _ENABLED, "Undo resumes it.")
_RESUME = _Operation("scheduler.resume", "resume", "Resume scheduled job", _PAUSED, "Undo pauses it.")


def _plan(operation: _Operation) -> Callable[[Clients, Params], Plan]:
    def plan(clients: Clients, args: Params) -> Plan:
        """The plan for the job of `args`; raises InvalidInput for a name that is none, or of no job."""
        name = str(args.get("job") or "")
        job = _require_job(clients, name)
        state = job.state.lower()
        last = format_eastern(job.last_at) if job.last_at else "never"
        change = (
            Change("last attempt", last, "now")
            if operation is _RUN
            else Change("state", state, "paused" if operation is _PAUSE else "enabled")
        )
        return Plan(
            action_name=operation.action_name,
            target=name,
            title=f"{operation.title}{TITLE_SEPARATOR}{name}",
            args={"job": name},
            preconditions={
                "state": job.state,
                "schedule": job.cron,
                "target": job.target,
                "last attempt": job.last_at.isoformat() if job.last_at else "",
            },
            changes=(change,),
            guards=(
                Guard(
                    f"job {operation.needs.lower()}",
                    job.state == operation.needs,
                    f"{name} is {state}." if job.state == operation.needs else _refusal(operation, name, state),
                ),
            ),
            planned_at=clients.now(),
            undo=operation.undo,
            cost="1 Cloud Scheduler call." + (" What the job starts has its own cost." if operation is _RUN else ""),
            warnings=tuple(_warnings(operation, job, name in clients.settings.expected_jobs.split(","))),
            commands=(gcloud_command(clients.settings, f"scheduler jobs {operation.verb} {name}", "location"),),
            sources=(DataSource("Cloud Scheduler, jobs.get", clients.now()),),
        )

    return plan


def _require_job(clients: Clients, name: str) -> ScheduledJob:
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name[:80]!r} is no name of a scheduled job.", "List them with `oncall schedule`.")
    try:
        return read_job(clients, name)
    except TableNotFound as error:
        raise InvalidInput(
            f"Cloud Scheduler has no job {name!r} in {clients.settings.region}.", "List them with `oncall schedule`."
        ) from error


def _refusal(operation: _Operation, name: str, state: str) -> str:
    if operation is _RUN:
        return f"{name} is {state}: resume it first."
    return f"{name} is {state}; only one that is {operation.needs.lower()} can be {operation.verb}d."


def _warnings(operation: _Operation, job: ScheduledJob, starts_runs: bool) -> list[str]:
    if operation is _RUN:
        calls = f"It calls {job.target or 'its target'} as its schedule does; what that changes is not planned here."
        return [calls, *(["It starts a prediction run. Re-run shows its players first."] if starts_runs else [])]
    if operation is _PAUSE and job.next_at is not None:
        return [
            f"Nothing calls {job.target or 'its target'} until it is resumed; next at {format_eastern(job.next_at)}."
        ]
    return []


def _apply(verb: str) -> Callable[[ActionContext], Details]:
    def apply(context: ActionContext) -> Details:
        clients = context.clients
        call = getattr(clients.scheduler, f"{verb}_job")
        with translate_errors("Cloud Scheduler"):
            call(name=job_resource(clients, context.plan.target), retry=None, timeout=CALL_TIMEOUT_S)
        return {_ACCEPTED: clients.now().isoformat()}

    return apply


def _verify_state(wanted: str) -> Callable[[Clients, Plan, Details], Verification]:
    def verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
        job = read_job(clients, plan.target)
        after = _after(job)
        if job.state != wanted:
            return Verification(ActionState.FAILED, f"{plan.target} is still {job.state.lower()}.", after)
        following = f"; next run {format_eastern(job.next_at)}" if job.next_at and wanted == _ENABLED else ""
        return Verification(ActionState.DONE, f"{plan.target} is {wanted.lower()}{following}.", after)

    return verify


def _verify_run(clients: Clients, plan: Plan, details: Details) -> Verification:
    """By the attempt that Cloud Scheduler records and the end that it logs, not by the answer to the call."""
    deadline = time.monotonic() + (ATTEMPT_TIMEOUT_S if _ACCEPTED in details else 0.0)
    job, before = read_job(clients, plan.target), plan.preconditions["last attempt"]
    while job.last_at is None or job.last_at.isoformat() == before:
        if time.monotonic() >= deadline:
            text = f"Cloud Scheduler has recorded no attempt of {plan.target} since."
            return Verification(ActionState.UNVERIFIED, text, _after(job))
        time.sleep(POLL_INTERVAL_S)
        job = read_job(clients, plan.target)
    called, after = f"{plan.target} was called at {format_eastern(job.last_at)}", _after(job)
    try:
        end = _wait_for_end(clients, plan.target, job.last_at, deadline)
    except OnCallError as error:
        text = f"{called}; what came of it is unknown: {error.message}"
        return Verification(ActionState.UNVERIFIED, text, after)
    if end is None:
        return Verification(ActionState.UNVERIFIED, f"{called}; no end of that attempt is logged yet.", after)
    after |= {"answer": end.status}
    http_status = f" (HTTP {end.http_status})" if end.http_status else ""
    if end.status != "OK":
        return Verification(ActionState.FAILED, f"{called} and failed: {end.status}{http_status}.", after)
    return Verification(ActionState.DONE, f"{called}; its target answered OK{http_status}.", after)


def _wait_for_end(clients: Clients, name: str, since: datetime, deadline: float) -> AttemptEnd | None:
    while (end := read_attempt_end(clients, name, since)) is None and time.monotonic() < deadline:
        time.sleep(LOG_INTERVAL_S)
    return end


def _after(job: ScheduledJob) -> dict[str, Any]:
    return {"state": job.state, "last attempt": job.last_at.isoformat() if job.last_at else ""}


_CHANGES = frozenset((SCHEDULER,))
RUN_JOB = ActionType(_RUN.action_name, "Run now", _plan(_RUN), _apply(_RUN.verb), _verify_run, RUN | _CHANGES)
PAUSE_JOB = ActionType(
    _PAUSE.action_name, "Pause", _plan(_PAUSE), _apply(_PAUSE.verb), _verify_state(_PAUSED), _CHANGES
)
RESUME_JOB = ActionType(
    _RESUME.action_name, "Resume", _plan(_RESUME), _apply(_RESUME.verb), _verify_state(_ENABLED), _CHANGES
)
