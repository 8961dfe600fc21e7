"""Roles: a viewer sees everything, an operator may also change things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.core.errors import OnCallError


class Role(StrEnum):
    """What a person may do, the lesser role first."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Actor:
    """A person who uses the dashboard: `name` as the action log shows it."""

    name: str
    role: Role


class InsufficientRole(OnCallError):
    """This role may not do that."""


def has_role(actor: Actor, required_role: Role) -> bool:
    """Whether an actor has at least `required_role`."""
    order = list(Role)
    return order.index(actor.role) >= order.index(required_role)


def require_role(actor: Actor, required_role: Role, action: str) -> None:
    """Raise InsufficientRole unless the actor has at least `required_role`; `action` names what was tried."""
    if not has_role(actor, required_role):
        raise InsufficientRole(
            f"{actor.name} is a {actor.role}; {action} needs an {required_role}.", "Ask an operator to do it."
        )
