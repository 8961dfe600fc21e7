"""Who is acting and what they may do: a viewer sees everything, an operator may also change things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.core.errors import OnCallError


class Role(StrEnum):
    """What somebody may do here."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Actor:
    """Somebody looking at the desk: `name` as the record should show it."""

    name: str
    role: Role


class InsufficientRole(OnCallError):
    """This role may not do that."""


def has_role(actor: Actor, required_role: Role) -> bool:
    """Whether an actor's role reaches the one that is needed."""
    order = list(Role)
    return order.index(actor.role) >= order.index(required_role)


def require_role(actor: Actor, required_role: Role, action: str) -> None:
    """Raise Denied unless the actor's role reaches `needs`."""
    if not has_role(actor, required_role):
        raise InsufficientRole(
            f"{actor.name} is a {actor.role}; {action} needs an {required_role}.", "Ask an operator to do it."
        )
