"""Writes the action log: every intent and outcome, who and why, before and after. Append-only; no action without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.actions.log_reader import Action, ActionRow, ActionState, read_by_key
from services.actions.plan import CoverageCount, Plan, plan_to_json
from services.auth.roles import Actor, Role
from services.core.errors import OnCallError
from services.core.process_id import PROCESS_ID
from services.gcp.clients import Clients
from services.gcp.insert_job import RowsNotInserted, insert_once

UNCLAIMED_ATTEMPT = -1  # the attempt number of what was denied or refused before it began


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
        """One row of the log: `event` is intent, step, heartbeat or outcome, `details` whatever JSON can hold."""
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
            "plan": plan_to_json(self.plan) if event in ("intent", "outcome") else "null",
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
    if _append(clients, f"{record.plan.key}-{record.attempt}", row):
        return True
    # After a lost answer the client retries and conflicts with its own job: then the row in the log is ours.
    return any(action.action_id == record.action_id for action in read_by_key(clients, record.plan.key))


def log_step(clients: Clients, record: ActionRecord, message: str, details: Mapping[str, Any]) -> None:
    """Record how far an action is. Losing a step does no harm: the outcome has every detail again."""
    row = record.row(clients.now(), "step", ActionState.IN_PROGRESS, message, details)
    _append(clients, f"step-{record.action_id}-{row['recorded_at']:%Y%m%dT%H%M%S%f}", row)


def log_heartbeat(clients: Clients, record: ActionRecord, message: str) -> None:
    """Record that an action is still under way."""
    row = record.row(clients.now(), "heartbeat", ActionState.IN_PROGRESS, message, {})
    _append(clients, f"heartbeat-{record.action_id}-{row['recorded_at']:%Y%m%dT%H%M%S%f}", row)


def log_refusal(clients: Clients, record: ActionRecord, state: ActionState, message: str) -> None:
    """Record an attempt that was denied or refused before anything was begun."""
    row = record.row(clients.now(), "outcome", state, message, {})
    _append(clients, f"outcome-{record.action_id}", row)


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
    _append(clients, f"outcome-{record.action_id}", row)


def _append(clients: Clients, job_id: str, row: ActionRow) -> bool:
    """Whether this call added the row; False when it had been added. Raises ActionNotRecorded."""
    try:
        return insert_once(clients, "actions.append", f"on-call-{job_id}", row)
    except RowsNotInserted as error:
        raise ActionNotRecorded(f"The action log cannot be written: {error.message}", error.hint) from error
