"""What a capacity would mean for the predictions table: how many concurrent direct MERGEs, and how many of them are rejected."""

from __future__ import annotations

from dataclasses import dataclass

from services.actions.plan import Confirmation
from services.core.text import pluralize
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
            f"{self.direct_rejected} of {self.capacity} rejected" if self.direct_rejected else "no rejections"
        )
        return (
            f"{pluralize(self.capacity, 'concurrent writer')} vs. limit {MAX_OUTSTANDING_DML}: {rejected_text}"
            f" with direct MERGE; staging uses {self.staged_outstanding} MERGE per batch."
        )


def confirmation_for(before: int | None, after: int | None, service: str) -> tuple[Confirmation, str]:
    """How much confirmation a change of the concurrent requests needs, and what has to be typed: beyond the DML limit the service.

    None: no maximum. A change downwards is never beyond it.
    """
    exceeds = before is not None and (after is None or after > max(MAX_OUTSTANDING_DML, before))
    return (Confirmation.TYPED, service) if exceeds else (Confirmation.ONE_CLICK, "")


def simulate_contention(instances: int, concurrency: int) -> ContentionEstimate:
    """What a capacity would mean for the predictions table. Pure."""
    capacity = instances * concurrency
    return ContentionEstimate(capacity, min(capacity, MAX_OUTSTANDING_DML), max(0, capacity - MAX_OUTSTANDING_DML), 1)
