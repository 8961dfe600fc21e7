"""Reads the action log: what was begun, how far it is, what came of it, and what has no recorded outcome."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict, cast

from services.actions.plan import CoverageCount, Plan, PlanNotReadable, plan_from_json
from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.query_catalog import QueryResult, parse_json_column

LOG_WINDOW = timedelta(days=7)  # whose actions every page reads
ABANDONED_AFTER_S = 150  # a process that works on an action records a row every 30 s
CHECKS_ABANDONED_AFTER_S = 660  # the watchdog checks every five minutes
VERIFIED_LATER = "verified later"  # key of `facts`: no process follows the action, the watchdog's checks do


class ActionState(StrEnum):
    """What came of an action."""

    IN_PROGRESS = "under way"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    DENIED = "denied"
    UNVERIFIED = "unverified"

    @property
    def word(self) -> str:
        """As it is shown; the log keeps the values that older versions recorded."""
        return {"under way": "in progress", "refused": "blocked", "denied": "forbidden"}.get(self.value, self.value)


class ActionRow(TypedDict):
    """One row of prediction_on_call.actions. The JSON columns come as text or as read, as BigQuery's client likes."""

    action_id: str
    event: str  # intent, step, heartbeat, outcome
    recorded_at: datetime
    recorded_by: str
    action_key: str
    attempt: int
    verb: str
    target: str
    title: str
    actor: str
    role: str
    reason: str | None
    state: str
    sentence: str
    plan: object
    facts: object
    eligible: int | None
    active_before: int | None
    active_after: int | None


@dataclass(frozen=True)
class Action:
    """One action as the log has it. `ended_at` None: no outcome is recorded (yet)."""

    action_id: str
    key: str
    attempt: int
    action_name: str  # the name of its ActionType
    target: str
    title: str
    actor: str
    role: str
    reason: str
    state: ActionState
    message: str
    started_at: datetime
    last_event_at: datetime  # the newest row
    ended_at: datetime | None
    recorded_by: str
    plan_json: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[tuple[datetime, str], ...] = ()
    coverage_before: CoverageCount | None = None
    coverage_after: CoverageCount | None = None

    @property
    def plan(self) -> Plan:
        """The recorded plan; raises PlanNotReadable when it cannot be read back."""
        return plan_from_json(self.plan_json)

    @property
    def undoes(self) -> str:
        """The id of the action that this one undoes, by its recorded plan; "" when it undoes none."""
        try:
            return str(self.plan.args.get("action_id") or "") if self.plan_json else ""
        except PlanNotReadable:
            return ""

    def is_abandoned(self, now: datetime) -> bool:
        """Begun but not ended, and nothing has been recorded of it lately."""
        limit_s = CHECKS_ABANDONED_AFTER_S if self.is_verified_later else ABANDONED_AFTER_S
        return self.ended_at is None and now - self.last_event_at > timedelta(seconds=limit_s)

    def is_running(self, now: datetime) -> bool:
        """Begun, without an outcome yet, and a process works on it."""
        return self.ended_at is None and not self.is_abandoned(now)

    @property
    def is_verified_later(self) -> bool:
        """Accepted by whoever carries it out, and left to the watchdog's checks, which record the outcome."""
        return bool(self.facts.get(VERIFIED_LATER))


@dataclass(frozen=True)
class ActionLog:
    """Actions, newest first."""

    actions: tuple[Action, ...]
    source: DataSource


def recent_window(now: datetime, span: timedelta = LOG_WINDOW) -> tuple[datetime, datetime]:
    """The last days and today: whole days, so that the arguments stay the same and the result stays cached."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - span, today + timedelta(days=1)


def read_action_log(clients: Clients, start: datetime, until: datetime) -> ActionLog:
    """Every action with a row between two instants; raises OnCallError when the log cannot be read."""
    result = query_catalog.run_query(clients, "actions.between", start=start, until=until)
    return ActionLog(tuple(reversed(group_by_action(_rows(result)))), result.source)


def read_action(clients: Clients, action_id: str) -> Action | None:
    """One action, or None when the log has none of that id."""
    result = query_catalog.run_query(clients, "actions.by_id", action_id=action_id)
    return next(iter(group_by_action(_rows(result))), None)


def read_by_key(clients: Clients, key: str) -> tuple[Action, ...]:
    """The actions with one key, oldest first."""
    return group_by_action(_rows(query_catalog.run_query(clients, "actions.by_key", action_key=key)))


def _rows(result: QueryResult) -> tuple[ActionRow, ...]:
    return cast("tuple[ActionRow, ...]", result.rows)


def group_by_action(rows: Iterable[ActionRow]) -> tuple[Action, ...]:
    """The rows of each action as one action, in the order in which they began."""
    by_id: dict[str, list[ActionRow]] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        by_id.setdefault(row["action_id"], []).append(row)
    return tuple(_to_action(action_rows) for action_rows in by_id.values())


def _to_action(rows: list[ActionRow]) -> Action:
    first = rows[0]
    outcome = next((row for row in rows if row["event"] == "outcome"), None)
    newest = outcome or rows[-1]
    details: dict[str, Any] = {}
    for row in rows:
        details |= parse_json_column(row["facts"]) or {}
    return Action(
        action_id=first["action_id"],
        key=first["action_key"],
        attempt=first["attempt"],
        action_name=first["verb"],
        target=first["target"],
        title=first["title"],
        actor=first["actor"],
        role=first["role"],
        reason=first["reason"] or "",
        state=ActionState(newest["state"]),
        message=newest["sentence"],
        started_at=first["recorded_at"],
        last_event_at=max(row["recorded_at"] for row in rows),
        ended_at=outcome["recorded_at"] if outcome else None,
        recorded_by=first["recorded_by"],
        plan_json=next((_to_json_text(row["plan"]) for row in rows if row["plan"] not in (None, "null")), ""),
        facts=details,
        steps=tuple((row["recorded_at"], row["sentence"]) for row in rows if row["event"] == "step"),
        coverage_before=_coverage_count(newest["active_before"], newest["eligible"]),
        coverage_after=_coverage_count(newest["active_after"], newest["eligible"]),
    )


def _to_json_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _coverage_count(active: int | None, eligible: int | None) -> CoverageCount | None:
    return CoverageCount(active, eligible) if active is not None and eligible is not None else None
