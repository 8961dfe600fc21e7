"""A plan: exactly what an action will do, what stops it, what it costs, how it is taken back. What is shown is what is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.core.result import Source


class Friction(StrEnum):
    """How much confirmation an action asks for, in proportion to what it could destroy."""

    ONE_CLICK = "one click"
    TYPED = "a reason and the target's name typed"


@dataclass(frozen=True)
class Change:
    """One thing that the action changes, from what to what."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Guard:
    """Something that must hold. `ok` None: it could not be found out, which stops the action as surely as a no."""

    name: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True)
class Share:
    """Players active of those eligible on a game date: what the action is about, where it is about coverage."""

    active: int
    eligible: int


@dataclass(frozen=True)
class Plan:
    """What one action will do. `args` are what the verb was asked with; `observed` is the state the plan hangs on."""

    verb: str
    target: str
    title: str
    args: Mapping[str, Any]
    observed: Mapping[str, Any]
    changes: tuple[Change, ...]
    guards: tuple[Guard, ...]
    planned_at: datetime
    undo: str
    cost: str = ""
    friction: Friction = Friction.ONE_CLICK
    typed: str = ""  # what has to be typed, where something has to
    cautions: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # how to do the same by hand
    coverage: Share | None = None
    sources: tuple[Source, ...] = field(default=(), compare=False)

    @property
    def blocked(self) -> tuple[Guard, ...]:
        """The guards that stop it; empty when it may go ahead."""
        return tuple(guard for guard in self.guards if guard.ok is not True)

    @property
    def hash(self) -> str:
        """The same for the same intention on the same state, in every process."""
        meant = [self.verb, self.target, self.args, self.observed, [asdict(change) for change in self.changes]]
        return hashlib.sha256(_json(meant).encode()).hexdigest()[:20]

    @property
    def key(self) -> str:
        """What makes two clicks the same action: verb, target and plan."""
        return f"{self.verb.replace('.', '-')}-{self.hash}"


def differences(shown: Plan, fresh: Plan) -> tuple[str, ...]:
    """In words, what changed between the plan that was shown and the state now."""
    before, now = _flat(shown.observed), _flat(fresh.observed)
    changed = [
        f"{name} was {_told(before.get(name))}, is {_told(now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if not changed and shown.hash != fresh.hash:
        changed = [f"it would now do: {_told_changes(fresh)}"]
    return tuple(changed)


def as_json(plan: Plan) -> str:
    """A plan as text for the record; `from_json` reads it back."""
    told = asdict(plan)
    del told["sources"]
    return _json(told)


def from_json(text: str) -> Plan:
    """The plan that a record holds, for whoever has to finish or undo it."""
    told = json.loads(text)
    coverage = told["coverage"]
    return Plan(
        **{
            **told,
            "changes": tuple(Change(**each) for each in told["changes"]),
            "guards": tuple(Guard(**each) for each in told["guards"]),
            "planned_at": datetime.fromisoformat(told["planned_at"]),
            "friction": Friction(told["friction"]),
            "cautions": tuple(told["cautions"]),
            "commands": tuple(told["commands"]),
            "coverage": Share(**coverage) if coverage else None,
        }
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _flat(state: Any, name: str = "") -> dict[str, Any]:
    """A nested state as one level of names, so that a difference can be named."""
    if isinstance(state, Mapping) and state:
        return {k: v for key, part in state.items() for k, v in _flat(part, f"{name} {key}".strip()).items()}
    return {name: state}


def _told(value: Any) -> str:
    if value is None or value == {} or value == "":
        return "not there"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _told_changes(plan: Plan) -> str:
    return "; ".join(f"{change.what}: {change.before} → {change.after}" for change in plan.changes) or "nothing"
