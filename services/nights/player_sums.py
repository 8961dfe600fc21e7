"""A sum over the players of a night, with both its sides counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PlayerSum:
    """Players who reached a stage, and what became of them: both sides are counted, so that they can contradict each other."""

    total: int
    total_name: str
    parts: tuple[tuple[int, str], ...]

    @property
    def holds(self) -> bool:
        """Whether both sides are the same number."""
        return self.total == sum(count for count, _ in self.parts)

    def __str__(self) -> str:
        """e.g. "158 requested = 150 generated + 6 not generated + 2 without an answer"."""
        parts = " + ".join(f"{count:,} {name}" for count, name in self.parts)
        return f"{self.total:,} {self.total_name} {'=' if self.holds else '≠'} {parts}"
