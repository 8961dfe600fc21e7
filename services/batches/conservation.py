"""Neither rows nor players are lost or invented on the way: the sums of a batch that must hold.

requested = staged + not generated + write rejected + internal error + no answer, of which the last two are 0, and of a stopped
batch + not asked;
produced = staged + rejected on write; staged = distinct + collapsed; distinct = inserted + updated + unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.batches.ledger import NOT_ASKED, OUTCOME_WORDS, OUTCOMES, UNANSWERED_OUTCOMES, BatchRecord
from services.core.result import sum_or_unknown


@dataclass(frozen=True)
class ConservationSum:
    """`total` must equal the sum of `parts`; a number that is not known is None."""

    name: str
    total: int | None
    total_name: str
    parts: tuple[int | None, ...]
    parts_name: str
    of_players: bool = False

    @property
    def holds(self) -> bool | None:
        """None as long as one of the numbers is not known."""
        parts_total = sum_or_unknown(self.parts)
        return None if self.total is None or parts_total is None else self.total == parts_total


def conservation_sums(record: BatchRecord) -> tuple[ConservationSum, ...]:
    """The sums of a batch, in the order in which its rows travel. Earlier versions did not count players or rejected rows."""
    counts = record.outcome_counts or {}
    counted = OUTCOMES if record.not_asked is None else (*OUTCOMES, NOT_ASKED)
    players = tuple(counts.get(outcome) for outcome in counted)
    unanswered = tuple(counts.get(outcome) for outcome in OUTCOMES if outcome in UNANSWERED_OUTCOMES)
    rejected = record.rejected_rows
    staged = (record.staged_rows,) if rejected is None else (record.staged_rows, rejected)
    staged_name = "staged" if rejected is None else "staged + rejected"
    distinct = (record.distinct_keys, record.collapsed_rows)
    merged = (record.inserted, record.updated, record.unchanged)
    return (
        ConservationSum(
            "One outcome per player",
            record.requested,
            "requested",
            players,
            " + ".join(OUTCOME_WORDS.get(name, name) for name in counted),
            True,
        ),
        ConservationSum("Every player answered", 0, "missing", unanswered, "internal error + no answer", True),
        ConservationSum("Produced = staged", record.produced_rows, "produced", staged, staged_name),
        ConservationSum(
            "Staged = unique + duplicate keys", record.staged_rows, "staged", distinct, "unique + duplicate"
        ),
        ConservationSum(
            "Unique = inserted + updated + unchanged",
            record.distinct_keys,
            "unique",
            merged,
            "inserted + updated + unchanged",
        ),
    )


def is_conserved(record: BatchRecord) -> bool | None:
    """Whether every sum holds and every player was asked; None while a sum is not known and none is wrong."""
    if record.not_asked:
        return False
    results = [conservation_sum.holds for conservation_sum in conservation_sums(record)]
    return False if False in results else None if None in results else True
