"""A stand-in for time.monotonic."""

from __future__ import annotations


class FakeMonotonic:
    """Called, it gives `seconds`; a test moves it by adding to them."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds
