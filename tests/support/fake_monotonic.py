"""A monotonic clock that moves when told to."""

from __future__ import annotations


class FakeMonotonic:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds
