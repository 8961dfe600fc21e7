"""What a capacity would mean for the predictions table: how many concurrent direct MERGEs, and how many of them are rejected."""

from __future__ import annotations

from dataclasses import dataclass

from services.policy.dml_limits import MAX_OUTSTANDING_DML


@dataclass(frozen=True)
class ContentionEstimate:
    """Worst case, in statements, if every slot of a capacity writes at the same moment."""

    capacity: int
    direct_outstanding: int
    direct_rejected: int
    staged_outstanding: int

    @property
    def summary(self) -> str:
        """The estimate as one sentence."""
        rejected_text = (
            f"{self.direct_rejected} of {self.capacity} would be rejected"
            if self.direct_rejected
            else "none is rejected"
        )
        return (
            f"{self.capacity} writes at once against {MAX_OUTSTANDING_DML} admitted: with direct MERGEs {rejected_text};"
            f" with staging there is {self.staged_outstanding} MERGE a batch at any width."
        )


def simulate_contention(instances: int, concurrency: int) -> ContentionEstimate:
    """What a capacity would mean for the predictions table. Pure."""
    capacity = instances * concurrency
    return ContentionEstimate(capacity, min(capacity, MAX_OUTSTANDING_DML), max(0, capacity - MAX_OUTSTANDING_DML), 1)
