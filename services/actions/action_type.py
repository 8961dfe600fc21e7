"""What a kind of action is: how to plan it, how to carry it out, how to verify afterwards that it was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.actions.log_reader import ActionState
from services.actions.plan import CoverageCount, Params, Plan
from services.auth.roles import Actor, Role
from services.core.result import DataSource
from services.core.sources import Sources
from services.gcp.clients import Clients

Details = Mapping[str, Any]  # what an action records on its way: batch ids, job ids, the state after it


class ProgressReporter(Protocol):
    """Records how far the action is, with details that help to finish an action whose process died."""

    def __call__(self, message: str, **details: object) -> None:
        """Report progress: a message for the log, and details to record."""


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
    """The result of re-reading after an action: DONE, FAILED, UNVERIFIED or still IN_PROGRESS, with the state after it."""

    state: ActionState
    message: str
    after: Details = field(default_factory=dict)
    coverage: CoverageCount | None = None
    sources: tuple[DataSource, ...] = ()


@dataclass(frozen=True)
class ActionType:
    """One kind of action. `apply` acts once and returns details for the record; only `executor.execute` calls it.

    `follow` waits for the end of what `apply` has set going elsewhere, with these details; None: `apply` itself is the end.
    """

    name: str
    label: str  # the text of its button
    plan: Callable[[Clients, Params], Plan]
    apply: Callable[[ActionContext], Details]
    verify: Callable[[Clients, Plan, Details], Verification]
    changes: Sources  # what is read again after it, whatever its outcome
    required_role: Role = Role.OPERATOR
    follow: Callable[[ActionContext, Details], None] | None = None
