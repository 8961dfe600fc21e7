"""Missing players: who is not there, at which stage each was lost, on what evidence, and what repairs it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.night import Night, PlayerNight, Stage


class Why(StrEnum):
    """Why a player is missing: the first stage it did not reach. See architecture.md §4."""

    NOT_IN_CONTEXT_ALIAS = "not in context, an alias would resolve it"
    NOT_IN_CONTEXT = "not in context, no alias"
    FILTERED_OUT = "filtered out"
    NEVER_REQUESTED = "never requested"
    NOT_GENERATED = "not generated"
    WRITE_REJECTED = "generated but rejected on write"
    NOT_CONSOLIDATED = "staged but not consolidated"
    INACTIVE = "written but inactive"
    NOT_RUN_YET = "not run yet"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Missing:
    """One missing player: why, the stage where it was lost, the evidence in words, and what would repair it."""

    player: PlayerNight
    why: Why
    lost_at: Stage
    evidence: str
    repair: str
    expected: bool  # filtered out: missing on purpose, shown apart


@dataclass(frozen=True)
class Account:
    """The sum that must hold: expected = active + Σ classified + unexplained, over the eligible players."""

    expected: int
    active: int
    classified: tuple[tuple[Why, int], ...]
    unexplained: int

    @property
    def balanced(self) -> bool:
        return self.expected == self.active + sum(n for _, n in self.classified) + self.unexplained


def why_missing(player: PlayerNight, night: Night) -> Missing | None:
    """The first stage a player did not reach, or None when it is active."""
    raise NotImplementedError


def missing(night: Night) -> tuple[Missing, ...]:
    """Every player of a night without an active row, worst first; those filtered out on purpose last."""
    raise NotImplementedError


def account(night: Night) -> Account:
    """The conservation sum of a night."""
    raise NotImplementedError
