"""Counts the coverage of a night: how many of its eligible players have active predictions."""

from __future__ import annotations

from services.actions.plan import CoverageCount
from services.nights.player_stages import NightStatus


def count_coverage(night: NightStatus) -> CoverageCount | None:
    """Active players of eligible players; None when no player is eligible."""
    eligible = [player for player in night.players if player.eligible]
    return CoverageCount(sum(bool(player.active_rows) for player in eligible), len(eligible)) if eligible else None


def format_coverage(count: CoverageCount | None) -> str:
    """The coverage as text for an outcome."""
    return f"{count.active} of {count.eligible} eligible players are active" if count else "nobody is eligible"
