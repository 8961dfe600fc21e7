"""Coverage: how many players reach each stage, by date, with every denominator named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.foundation.clients import Cloud
from services.foundation.reading import Health, Source
from services.foundation.settings import Settings
from services.night import Night, Stage


@dataclass(frozen=True)
class Funnel:
    """Players per stage of one game date; None where the stage's source could not be read."""

    game_date: date
    players: dict[Stage, int | None]
    health: Health


@dataclass(frozen=True)
class DayCoverage:
    """One game date of the history. Percentages are None when their denominator is 0 or unknown."""

    game_date: date
    games: int
    lined: int
    in_context: int
    eligible: int
    active: int
    rows_active: int
    by_system: tuple[tuple[str, int], ...]  # (system_id, players active)
    health: Health

    def pct_of(self, denominator: int) -> float | None:
        """Active players as a percentage of a denominator."""
        return 100 * self.active / denominator if denominator else None


@dataclass(frozen=True)
class History:
    days: tuple[DayCoverage, ...]
    sources: tuple[Source, ...]


def judge(active: int | None, eligible: int | None, games: int | None, settings: Settings) -> Health:
    """The health word of a coverage: thresholds from settings, none expected without games, unknown before a run."""
    raise NotImplementedError


def funnel(night: Night, settings: Settings) -> Funnel:
    """Count a night's players by stage."""
    raise NotImplementedError


def read_history(cloud: Cloud, first: date, last: date) -> History:
    """Coverage of each date from `first` to `last`, days without games included."""
    raise NotImplementedError
