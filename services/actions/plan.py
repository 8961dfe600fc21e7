"""A plan: exactly what an action will do, what stops it, what it costs, how it is undone. What is shown is what is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.core.errors import OnCallError
from services.core.result import DataSource

Params = Mapping[str, Any]  # the parameters of an action, from which it is planned
TITLE_SEPARATOR = " · "
MAX_DIFFERENCES = 8  # of one part of the state, that are named one by one
MAX_REASON_LENGTH = 300  # characters of the reason that an operator gives


class PlanNotReadable(OnCallError):
    """A recorded plan cannot be read back."""


class Confirmation(StrEnum):
    """How much confirmation an action requires, in proportion to what it could destroy."""

    ONE_CLICK = "one click"
    TYPED = "a reason and the target's name typed"


@dataclass(frozen=True)
class Change:
    """One thing that the action changes, from what to what."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Figure:
    """One of the few large numbers of a plan, from what to what. `note` explains it, and may change as time passes."""

    label: str
    before: str
    after: str
    note: str = ""


@dataclass(frozen=True)
class Guard:
    """Something that must hold. `ok` None: it could not be found out, which stops the action as surely as a no."""

    name: str
    ok: bool | None
    message: str


@dataclass(frozen=True)
class CoverageCount:
    """Players active of those eligible on a game date: what the action is about, where it is about coverage."""

    active: int
    eligible: int


@dataclass(frozen=True)
class Plan:
    """What one action will do. `args` are the parameters it was planned from; `preconditions` is the state that must not change.

    `title` is a verb and its object, then after " · " where or when: "Re-run 90 missing players · Mon 29 Dec 2025".
    """

    action_name: str  # the name of its ActionType
    target: str
    title: str
    args: Params
    preconditions: Mapping[str, Any]
    changes: tuple[Change, ...]
    guards: tuple[Guard, ...]
    planned_at: datetime
    undo: str
    cost: str = ""
    confirmation: Confirmation = Confirmation.ONE_CLICK
    confirmation_text: str = ""  # what has to be typed, where something has to
    warnings: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # how to do the same with a CLI
    coverage: CoverageCount | None = None
    sources: tuple[DataSource, ...] = field(default=(), compare=False)
    figures: tuple[Figure, ...] = ()
    item: str = ""  # what each of `changes` is about, where they are a list of alike: "player", "staging table"
    evidence: tuple[str, ...] = ()  # what speaks for it, where `warnings` speak against it

    @property
    def operation(self) -> str:
        """The verb and its object: the part of the title that says what is done."""
        return self.title.partition(TITLE_SEPARATOR)[0]

    @property
    def failed_guards(self) -> tuple[Guard, ...]:
        """The guards that stop it; empty when it may go ahead."""
        return tuple(guard for guard in self.guards if guard.ok is not True)

    @property
    def hash(self) -> str:
        """The same for the same intention on the same state, in every process."""
        changes = [asdict(change) for change in self.changes]
        identity: list[object] = [self.action_name, self.target, self.args, self.preconditions, changes]
        if self.figures:  # plans of older versions have none, and keep their hash
            identity.append([[figure.label, figure.before, figure.after] for figure in self.figures])
        return hashlib.sha256(_to_json(identity).encode()).hexdigest()[:20]

    @property
    def key(self) -> str:
        """What makes two clicks the same action: name, target and plan."""
        return f"{self.action_name.replace('.', '-')}-{self.hash}"


def diff_plans(shown: Plan, current: Plan) -> tuple[str, ...]:
    """What changed between the plan that was shown and the state now, each as "name: before → after"."""
    before, after = shown.preconditions, current.preconditions
    names = sorted(before.keys() | after.keys())
    changed = [
        line for name in names for line in _differences(_STATE_WORDS.get(name, name), before.get(name), after.get(name))
    ]
    if not changed and shown.hash != current.hash:
        changed = [f"it would now do: {_format_changes(current)}"]
    return tuple(changed)


_PLAN = TypeAdapter(Plan)
_PLAN_HINT = "Look at its row in the action log; a newer version may have written it."
_STORED_KEYS = {  # where a field's key in the action log is not its name: what is recorded keeps its keys
    "action_name": "verb",
    "preconditions": "observed",
    "confirmation": "friction",
    "confirmation_text": "typed",
    "warnings": "cautions",
}
_STORED_GUARD_KEYS = {"message": "sentence"}
_LATER_FIELDS = (
    "figures",
    "item",
    "evidence",
)  # which older versions do not have: recorded only where there is something
_FIELD_NAMES = {key: name for name, key in _STORED_KEYS.items()}
_GUARD_FIELD_NAMES = {key: name for name, key in _STORED_GUARD_KEYS.items()}


def plan_to_json(plan: Plan) -> str:
    """A plan as text for the record; `plan_from_json` reads it back."""
    fields = asdict(plan)
    del fields["sources"]
    for name in _LATER_FIELDS:
        if not fields[name]:
            del fields[name]
    fields["guards"] = [_rename_keys(guard, _STORED_GUARD_KEYS) for guard in fields["guards"]]
    return _to_json(_rename_keys(fields, _STORED_KEYS))


def plan_from_json(text: str) -> Plan:
    """The plan that a record holds; raises PlanNotReadable for text that is not a plan."""
    try:
        stored = json.loads(text)
        if not isinstance(stored, dict):
            raise PlanNotReadable("A recorded plan cannot be read: it is not a JSON object.", _PLAN_HINT)
        fields = _rename_keys(stored, _FIELD_NAMES)
        if isinstance(guards := fields.get("guards"), list):
            fields["guards"] = [
                _rename_keys(guard, _GUARD_FIELD_NAMES) if isinstance(guard, dict) else guard for guard in guards
            ]
        return _PLAN.validate_python(fields)
    except json.JSONDecodeError as error:
        raise PlanNotReadable(f"A recorded plan cannot be read: it is not JSON ({error}).", _PLAN_HINT) from error
    except ValidationError as error:
        first = error.errors()[0]
        name, *path = map(str, first["loc"])
        keys_below = _STORED_GUARD_KEYS if name == "guards" else {}
        key_path = ".".join([_STORED_KEYS.get(name, name), *(keys_below.get(part, part) for part in path)])
        raise PlanNotReadable(f"A recorded plan cannot be read: {key_path}: {first['msg']}.", _PLAN_HINT) from error


def _rename_keys(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields under other keys, where `names` has one."""
    return {names.get(key, key): value for key, value in fields.items()}


def _to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=_to_json_value, ensure_ascii=False)


def _to_json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


_STATE_WORDS = {  # parts of the recorded state, where their names are not those that are shown
    "lost": "missing players",
    "left in staging": "unmerged staging tables",
    "noted": "saved normal capacity",
    "wanted": "requested",
}


def _differences(name: str, before: object, after: object) -> list[str]:
    """What of one part of the state differs, each value by its name; of very many only how many."""
    old, new = _flatten(before, name), _flatten(after, name)
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if len(changed) <= MAX_DIFFERENCES:
        return [f"{key}: {_format_value(old.get(key))} → {_format_value(new.get(key))}" for key in changed]
    sizes = [len(state) if isinstance(state, Mapping) else 0 for state in (before, after)]
    return [
        f"{name}: {len(changed):,} values changed" if sizes[0] == sizes[1] else f"{name}: {sizes[0]:,} → {sizes[1]:,}"
    ]


def _flatten(state: object, name: str = "") -> dict[str, object]:
    """A nested state as one level of names, so that a difference can be named."""
    if isinstance(state, Mapping) and state:
        return {k: v for key, part in state.items() for k, v in _flatten(part, f"{name} {key}".strip()).items()}
    return {name: state}


def _format_value(value: object) -> str:
    if value is None or value == {} or value == "":
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _format_changes(plan: Plan) -> str:
    lines = [(figure.label, figure.before, figure.after) for figure in plan.figures]
    lines += [(change.what, change.before, change.after) for change in plan.changes]
    return "; ".join(f"{name}: {before} → {after}" for name, before, after in lines) or "nothing"
