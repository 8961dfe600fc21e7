"""What a verb is: how to plan it, how to do it, how to see afterwards that it was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.actions.log_reader import State
from services.actions.plan import Plan, Share
from services.auth.roles import Actor, Role
from services.core.result import Source
from services.gcp.clients import Cloud

Facts = Mapping[str, Any]


class Note(Protocol):
    """Tells the record how far the action is; facts told here are there for whoever finishes a broken action."""

    def __call__(self, sentence: str, **facts: Any) -> None: ...


@dataclass(frozen=True)
class Deed:
    """One plan being carried out, by whom, under which id."""

    cloud: Cloud
    actor: Actor
    plan: Plan
    action_id: str
    note: Note


@dataclass(frozen=True)
class Verdict:
    """What a re-read says of an action: DONE, FAILED, UNVERIFIED or still UNDER_WAY, with the state after it."""

    state: State
    sentence: str
    after: Facts = field(default_factory=dict)
    coverage: Share | None = None
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Verb:
    """One thing the desk can do. `effect` acts once and returns what it made; only `run_action` calls it."""

    name: str
    label: str  # what the button says
    plan: Callable[[Cloud, Facts], Plan]
    effect: Callable[[Deed], Facts]
    verify: Callable[[Cloud, Plan, Facts], Verdict]
    needs: Role = Role.OPERATOR
