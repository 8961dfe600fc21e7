"""What jobs, services and subscriptions beside their declarations have in common: the worst first, and how many are as declared. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from services.core.result import SEVERITY_ORDER, Health


class DeclaredState(Protocol):
    """One declared thing as it is; `problems` are sentences that follow its name."""

    @property
    def name(self) -> str:
        """Its short name."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with it."""

    @property
    def health(self) -> Health:
        """How bad that is."""


StateT = TypeVar("StateT", bound=DeclaredState)


def sort_worst_first(states: Iterable[StateT]) -> tuple[StateT, ...]:
    """The states by health, then by name."""
    return tuple(sorted(states, key=lambda state: (SEVERITY_ORDER.index(state.health), state.name)))


def list_failing(states: Iterable[StateT]) -> tuple[StateT, ...]:
    """Those that are not as declared."""
    return tuple(state for state in states if state.problems)


def count_as_declared(kind: str, states: Sequence[DeclaredState], unread: int = 0, unknown: str = "") -> str:
    """How many are as declared, and the first that is not; `unread` could not be read, and `unknown` says what that is."""
    total, failing = len(states) + unread, list_failing(states)
    if not total:
        return f"The manifest declares no {kind}"
    text = f"{len(states) - len(failing)} of {total} {kind}s as declared" + (f", {unknown} unknown" if unknown else "")
    return f"{text}; {failing[0].name} {failing[0].problems[0]}" if failing else text
