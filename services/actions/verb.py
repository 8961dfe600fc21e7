"""What a verb is: how to plan it, how to do it, how to see afterwards that it was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.actions.log_reader import ActionState
from services.actions.plan import CoverageCount, Plan
from services.auth.roles import Actor, Role
from services.core.result import DataSource
from services.gcp.clients import Clients

Details = Mapping[str, Any]


class ProgressReporter(Protocol):
    """Tells the record how far the action is; facts told here are there for whoever finishes a broken action."""

    def __call__(self, message: str, **details: Any) -> None: ...


@dataclass(frozen=True)
class ActionContext:
    """One plan being carried out, by whom, under which id."""

    clients: Clients
    actor: Actor
    plan: Plan
    action_id: str
    report_progress: ProgressReporter


@dataclass(frozen=True)
class Verification:
    """What a re-read says of an action: DONE, FAILED, UNVERIFIED or still UNDER_WAY, with the state after it."""

    state: ActionState
    message: str
    after: Details = field(default_factory=dict)
    coverage: CoverageCount | None = None
    sources: tuple[DataSource, ...] = ()


@dataclass(frozen=True)
class ActionType:
    """One thing the desk can do. `effect` acts once and returns what it made; only `run_action` calls it."""

    name: str
    label: str  # what the button says
    plan: Callable[[Clients, Details], Plan]
    apply: Callable[[ActionContext], Details]
    verify: Callable[[Clients, Plan, Details], Verification]
    required_role: Role = Role.OPERATOR
