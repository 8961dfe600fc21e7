"""Writes the action log: every intent and outcome, who and why, before and after. Only ever added to; no action without it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.api_core.exceptions import Conflict

from services.actions.log_reader import Action, State, read_same
from services.actions.plan import Plan, Share, as_json
from services.auth.roles import Actor, Role
from services.core.errors import OnCallError
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from

TABLE = "prediction_on_call.actions"
NOT_CLAIMED = -1  # the attempt number of what was denied or refused before it began
SPARE_IDS = 5
_HERE = f"{socket.gethostname()}:{os.getpid()}"


class NotRecorded(OnCallError):
    """The action could not be recorded, so it was not done."""


@dataclass(frozen=True)
class Entry:
    """What every row of one action has in common, so that each row can be read by itself."""

    action_id: str
    actor: Actor
    plan: Plan
    attempt: int
    reason: str

    def row(self, now: datetime, event: str, state: State, sentence: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        before = self.plan.coverage
        return {
            "action_id": self.action_id,
            "event": event,
            "recorded_at": now,
            "recorded_by": _HERE,
            "action_key": self.plan.key,
            "attempt": self.attempt,
            "verb": self.plan.verb,
            "target": self.plan.target,
            "title": self.plan.title,
            "actor": self.actor.name,
            "role": str(self.actor.role),
            "reason": self.reason,
            "state": str(state),
            "sentence": sentence,
            "plan": as_json(self.plan) if event != "step" else "null",
            "facts": json.dumps(facts, default=str),
            "eligible": before.eligible if before else None,
            "active_before": before.active if before else None,
            "active_after": None,
        }


def entry_of(action: Action) -> Entry:
    """The entry under which an outcome is added to an action that somebody else began."""
    return Entry(action.action_id, Actor(action.actor, Role(action.role)), action.plan, action.attempt, action.reason)


def claim(cloud: Cloud, entry: Entry) -> bool:
    """Record the intent and by that claim this attempt; False when somebody has claimed it. Raises NotRecorded.

    The row is written by a job whose id is the key and the attempt. BigQuery takes a job id once per project, so of any
    number of clicks, browsers and processes exactly one writes the row: it, and only it, may act.
    """
    row = entry.row(cloud.now(), "intent", State.UNDER_WAY, "begun", {})
    if append_once(cloud, f"on-call-{entry.plan.key}-{entry.attempt}", row):
        return True
    # A lost answer makes the client ask again and meet its own job: then the row in the log is ours.
    return any(action.action_id == entry.action_id for action in read_same(cloud, entry.plan.key))


def step(cloud: Cloud, entry: Entry, sentence: str, facts: Mapping[str, Any]) -> None:
    """Tell how far an action is. Streamed: a step costs no job, and one that is lost harms nobody."""
    row = entry.row(cloud.now(), "step", State.UNDER_WAY, sentence, facts)
    _stream(cloud, row)


def refusal(cloud: Cloud, entry: Entry, state: State, sentence: str) -> None:
    """Record an attempt that was denied or refused before anything was begun."""
    _stream(cloud, entry.row(cloud.now(), "outcome", state, sentence, {}))


def outcome(
    cloud: Cloud, entry: Entry, state: State, sentence: str, facts: Mapping[str, Any], after: Share | None
) -> None:
    """Record what came of an action, once: a second outcome for the same action changes nothing."""
    row = entry.row(cloud.now(), "outcome", state, sentence, facts)
    if after is not None:
        row |= {"active_after": after.active, "eligible": after.eligible}
    append_once(cloud, f"on-call-outcome-{entry.action_id}", row)


def append_once(cloud: Cloud, job_id: str, row: Mapping[str, Any], query: str = "actions.append") -> bool:
    """Insert a row by the job of this id; False when that has been done. A job that failed leaves its id used: try the next."""
    for spare in range(SPARE_IDS):
        spare_id = f"{job_id}-{spare}"
        try:
            catalog.run(cloud, query, job_id=spare_id, **row)
        except OnCallError as error:
            if not isinstance(error.__cause__, Conflict):
                raise NotRecorded(f"The action log cannot be written: {error.sentence}", error.remedy) from error
            if not _failed(cloud, spare_id):
                return False
        else:
            return True
    raise NotRecorded("The action log could not be written: every try failed.", "Look at BigQuery's job history.")


def _failed(cloud: Cloud, job_id: str) -> bool:
    """Whether the job of this id ended without writing; waits for one that is still running."""
    with reading_from("BigQuery (jobs)"):
        job = cloud.bigquery.get_job(job_id, timeout=cloud.settings.query_timeout_s)
        return job.exception(timeout=cloud.settings.query_timeout_s) is not None


def _stream(cloud: Cloud, row: Mapping[str, Any]) -> None:
    told = {**row, "recorded_at": row["recorded_at"].isoformat()}
    once = f"{row['action_id']}-{row['event']}-{told['recorded_at']}"
    try:
        with reading_from("BigQuery (insertAll)"):
            errors = cloud.bigquery.insert_rows_json(TABLE, [told], row_ids=[once], timeout=10)
    except OnCallError as error:
        raise NotRecorded(f"The action log cannot be written: {error.sentence}", error.remedy) from error
    if errors:
        raise NotRecorded(f"The action log refused a row: {errors[0]['errors'][0].get('message', errors)}")
