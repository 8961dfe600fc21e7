"""The sums over a night's eligible players: each is counted on both sides, so a sum that does not hold shows a loss. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.nights.missing_players import REASONS_BY_SEVERITY, LossReason, list_missing_players
from services.nights.player_stages import NightStatus, PlayerStatus


@dataclass(frozen=True)
class PlayerSum:
    """Players who reached a stage, and what became of them: both sides are counted, so that they can contradict each other."""

    total: int
    total_name: str
    parts: tuple[tuple[int, str], ...]

    @property
    def holds(self) -> bool:
        """Whether both sides are equal."""
        return self.total == sum(count for count, _ in self.parts)

    def __str__(self) -> str:
        """e.g. "158 requested = 150 generated + 6 not generated + 2 without an answer"."""
        parts = " + ".join(f"{count:,} {name}" for count, name in self.parts)
        return f"{self.total:,} {self.total_name} {'=' if self.holds else '≠'} {parts}"


@dataclass(frozen=True)
class Balance:
    """The eligible players of a night: how many are active, why the others are not, and the sums from stage to stage."""

    expected: int
    active: int
    classified: tuple[tuple[LossReason, int], ...]
    unexplained: int
    sums: tuple[PlayerSum, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether every sum holds."""
        return all(player_sum.holds for player_sum in self.sums)


_NOT_REQUESTED = (LossReason.NOT_RUN_YET, LossReason.SHARES_LOOKUP, LossReason.NEVER_REQUESTED)
_LOST_AFTER_GENERATION = (
    LossReason.WRITE_REJECTED,
    LossReason.NOT_CONSOLIDATED,
    LossReason.INACTIVE,
    LossReason.UNEXPLAINED,
)


def balance(night: NightStatus) -> Balance:
    """The conservation sum of a night over its eligible players."""
    eligible = night.eligible_players
    reasons = [(missing.player, missing.reason) for missing in list_missing_players(night) if missing.player.eligible]
    counts = Counter(reason for _, reason in reasons)
    unexplained = counts.pop(LossReason.UNEXPLAINED, 0)
    active = sum(bool(player.active_rows) for player in eligible)
    return Balance(
        len(eligible),
        active,
        tuple(sorted(counts.items(), key=lambda item: REASONS_BY_SEVERITY.index(item[0]))),
        unexplained,
        _count_stages(eligible, reasons),
    )


def _count_stages(
    eligible: Sequence[PlayerStatus], reasons: Sequence[tuple[PlayerStatus, LossReason]]
) -> tuple[PlayerSum, ...]:
    """Left the players with a trace of the stage, right where each of them is now."""
    requested = [player for player in eligible if player.requested]
    generated = [player for player in requested if player.generated_rows]
    counts = Counter(reason for _, reason in reasons)
    lost = Counter(reason for player, reason in reasons if player.generated_rows)
    unknown = sum(reason is LossReason.UNEXPLAINED and player.requested is None for player, reason in reasons)
    unanswered = sum(player.generated_rows is None for player in requested)
    return (
        PlayerSum(
            len(eligible),
            "eligible",
            (
                (len(requested), "requested"),
                (sum(counts[reason] for reason in _NOT_REQUESTED), "not requested"),
                (unknown, "of whom that is unknown"),
            ),
        ),
        PlayerSum(
            len(requested),
            "requested",
            (
                (len(generated), "generated"),
                (counts[LossReason.NOT_GENERATED], LossReason.NOT_GENERATED),
                (unanswered, "without an answer"),
            ),
        ),
        PlayerSum(
            len(generated),
            "generated",
            (
                (sum(bool(player.active_rows) for player in eligible), "active"),
                *((lost[reason], str(reason)) for reason in _LOST_AFTER_GENERATION if lost[reason]),
            ),
        ),
    )
