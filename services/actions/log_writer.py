"""Writes the action log: every intent and outcome, who and why, before and after. Append-only; no action without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.api_core.exceptions import Conflict

from services.actions.log_reader import Action, ActionRow, ActionState, read_by_key
from services.actions.plan import CoverageCount, Plan, plan_to_json
from services.auth.roles import Actor, Role
from services.core.errors import OnCallError
from services.core.process_id import PROCESS_ID
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

TABLE = "prediction_on_call.actions"
UNCLAIMED_ATTEMPT = -1  # the attempt number of what was denied or refused before it began
MAX_JOB_ID_SUFFIXES = 5


class ActionNotRecorded(OnCallError):
    """The action could not be recorded, so it was not done."""


@dataclass(frozen=True)
class ActionRecord:
    """What every row of one action has in common, so that each row can be read by itself."""

    action_id: str
    actor: Actor
    plan: Plan
    attempt: int
    reason: str

    def row(self, now: datetime, event: str, state: ActionState, message: str, details: Mapping[str, Any]) -> ActionRow:
        """One row of the log: `event` is intent, step or outcome, `details` whatever JSON can hold."""
        coverage = self.plan.coverage
        return {
            "action_id": self.action_id,
            "event": event,
            "recorded_at": now,
            "recorded_by": PROCESS_ID,
            "action_key": self.plan.key,
            "attempt": self.attempt,
            "verb": self.plan.action_name,
            "target": self.plan.target,
            "title": self.plan.title,
            "actor": self.actor.name,
            "role": str(self.actor.role),
            "reason": self.reason,
            "state": str(state),
            "sentence": message,
            "plan": plan_to_json(self.plan) if event != "step" else "null",
            "facts": json.dumps(details, default=str),
            "eligible": coverage.eligible if coverage else None,
            "active_before": coverage.active if coverage else None,
            "active_after": None,
        }


def record_for(action: Action) -> ActionRecord:
    """The record under which an outcome is added to an action that another process began."""
    return ActionRecord(
        action.action_id, Actor(action.actor, Role(action.role)), action.plan, action.attempt, action.reason
    )


def claim_attempt(clients: Clients, record: ActionRecord) -> bool:
    """Record the intent and by that claim this attempt; False when it is claimed already. Raises ActionNotRecorded.

    The row is written by a job whose id is the key and the attempt. BigQuery takes a job id once per project, so of any
    number of clicks, browsers and processes exactly one writes the row: it, and only it, may act.
    """
    row = record.row(clients.now(), "intent", ActionState.IN_PROGRESS, "begun", {})
    if insert_once(clients, f"on-call-{record.plan.key}-{record.attempt}", row):
        return True
    # After a lost answer the client retries and conflicts with its own job: then the row in the log is ours.
    return any(action.action_id == record.action_id for action in read_by_key(clients, record.plan.key))


def log_step(clients: Clients, record: ActionRecord, message: str, details: Mapping[str, Any]) -> None:
    """Record how far an action is. Streamed: a step costs no job, and losing one does no harm."""
    row = record.row(clients.now(), "step", ActionState.IN_PROGRESS, message, details)
    _streaming_insert(clients, row)


def log_refusal(clients: Clients, record: ActionRecord, state: ActionState, message: str) -> None:
    """Record an attempt that was denied or refused before anything was begun."""
    _streaming_insert(clients, record.row(clients.now(), "outcome", state, message, {}))


def log_outcome(
    clients: Clients,
    record: ActionRecord,
    state: ActionState,
    message: str,
    details: Mapping[str, Any],
    coverage_after: CoverageCount | None,
) -> None:
    """Record what came of an action, once: a second outcome for the same action changes nothing."""
    row = record.row(clients.now(), "outcome", state, message, details)
    if coverage_after is not None:
        row["active_after"], row["eligible"] = coverage_after.active, coverage_after.eligible
    insert_once(clients, f"on-call-outcome-{record.action_id}", row)


def insert_once(clients: Clients, job_id: str, row: Mapping[str, Any], query_name: str = "actions.append") -> bool:
    """Insert a row by the job of this id; False when that has been done. A job that failed leaves its id used: try the next."""
    for suffix in range(MAX_JOB_ID_SUFFIXES):
        suffixed_id = f"{job_id}-{suffix}"
        try:
            query_catalog.run_query(clients, query_name, job_id=suffixed_id, **row)
        except OnCallError as error:
            if not isinstance(error.__cause__, Conflict):
                raise ActionNotRecorded(f"The action log cannot be written: {error.message}", error.hint) from error
            if not _job_failed(clients, suffixed_id):
                return False
        else:
            return True
    raise ActionNotRecorded("The action log could not be written: every try failed.", "Look at BigQuery's job history.")


def _job_failed(clients: Clients, job_id: str) -> bool:
    """Whether the job of this id ended without writing; waits for one that is still running."""
    with translate_errors("BigQuery (jobs)"):
        job = clients.bigquery.get_job(job_id, timeout=clients.settings.query_timeout_s)
        return job.exception(timeout=clients.settings.query_timeout_s) is not None


def _streaming_insert(clients: Clients, row: ActionRow) -> None:
    json_row = {**row, "recorded_at": row["recorded_at"].isoformat()}
    insert_id = f"{row['action_id']}-{row['event']}-{json_row['recorded_at']}"
    try:
        with translate_errors("BigQuery (insertAll)"):
            errors = clients.bigquery.insert_rows_json(TABLE, [json_row], row_ids=[insert_id], timeout=10)
    except OnCallError as error:
        raise ActionNotRecorded(f"The action log cannot be written: {error.message}", error.hint) from error
    if errors:
        raise ActionNotRecorded(f"The action log refused a row: {errors[0]['errors'][0].get('message', errors)}")
