"""Who is acting and what they may do: a viewer sees everything, an operator may also change things."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do here."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Actor:
    """Somebody looking at the desk: `name` as the record should show it."""

    name: str
    role: Role
