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


class Denied(OnCallError):
    """This role may not do that."""


def may(actor: Actor, needs: Role) -> bool:
    """Whether an actor's role reaches the one that is needed."""
    order = list(Role)
    return order.index(actor.role) >= order.index(needs)


def authorise(actor: Actor, needs: Role, deed: str) -> None:
    """Raise Denied unless the actor's role reaches `needs`."""
    if not may(actor, needs):
        raise Denied(f"{actor.name} is a {actor.role}; {deed} needs an {needs}.", "Ask an operator to do it.")
