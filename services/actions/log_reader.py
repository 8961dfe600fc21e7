"""Reads the action log: what was meant, how far it is, what came of it, and what nobody has told the end of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from services.actions.plan import Plan, Share, from_json
from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.query_catalog import parsed

QUIET_AFTER_S = 60  # an action that has told nothing for so long is not being worked on any more


class State(StrEnum):
    """What came of an action."""

    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    DENIED = "denied"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Action:
    """One action as the log tells it. `ended` None: no outcome is recorded (yet)."""

    action_id: str
    key: str
    attempt: int
    verb: str
    target: str
    title: str
    actor: str
    role: str
    reason: str
    state: State
    sentence: str
    begun: datetime
    heard_of: datetime  # the newest row
    ended: datetime | None
    recorded_by: str
    plan_json: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[tuple[datetime, str], ...] = ()
    coverage_before: Share | None = None
    coverage_after: Share | None = None

    @property
    def plan(self) -> Plan:
        return from_json(self.plan_json)

    def quiet(self, now: datetime) -> bool:
        """Meant but never ended, and nobody has told anything of it lately."""
        return self.ended is None and now - self.heard_of > timedelta(seconds=QUIET_AFTER_S)


@dataclass(frozen=True)
class Log:
    """Actions, newest first."""

    actions: tuple[Action, ...]
    source: Source


def read_log(cloud: Cloud, start: datetime, until: datetime) -> Log:
    """Every action that told anything between two instants."""
    answer = catalog.run(cloud, "actions.log", start=start, until=until)
    return Log(tuple(reversed(fold(answer.rows))), answer.source)


def read_action(cloud: Cloud, action_id: str) -> Action | None:
    """One action, or None when the log has none of that id."""
    return next(iter(fold(catalog.run(cloud, "actions.one", action_id=action_id).rows)), None)


def read_same(cloud: Cloud, key: str) -> tuple[Action, ...]:
    """The actions with one key, oldest first."""
    return fold(catalog.run(cloud, "actions.same_key", action_key=key).rows)


def fold(rows: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    """The rows of each action as one action, in the order in which they began."""
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["recorded_at"]):
        by_id.setdefault(row["action_id"], []).append(row)
    return tuple(_action(of_one) for of_one in by_id.values())


def _action(rows: list[Mapping[str, Any]]) -> Action:
    first = rows[0]
    outcome = next((row for row in rows if row["event"] == "outcome"), None)
    newest = outcome or rows[-1]
    facts: dict[str, Any] = {}
    for row in rows:
        facts |= parsed(row["facts"]) or {}
    return Action(
        action_id=first["action_id"],
        key=first["action_key"],
        attempt=first["attempt"],
        verb=first["verb"],
        target=first["target"],
        title=first["title"],
        actor=first["actor"],
        role=first["role"],
        reason=first["reason"] or "",
        state=State(newest["state"]),
        sentence=newest["sentence"],
        begun=first["recorded_at"],
        heard_of=max(row["recorded_at"] for row in rows),
        ended=outcome["recorded_at"] if outcome else None,
        recorded_by=first["recorded_by"],
        plan_json=next((_text(row["plan"]) for row in rows if row["plan"] not in (None, "null")), ""),
        facts=facts,
        steps=tuple((row["recorded_at"], row["sentence"]) for row in rows if row["event"] == "step"),
        coverage_before=_share(newest, "active_before"),
        coverage_after=_share(newest, "active_after"),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _share(row: Mapping[str, Any], which: str) -> Share | None:
    return Share(row[which], row["eligible"]) if row[which] is not None and row["eligible"] is not None else None
