"""The rows a night should have and has, by system and by player: missing, doubled and superseded. Pure.

What is expected is read from data: the rows that were generated for a player, and what each system wrote on the nights before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import sqrt
from statistics import median

from services.core.thresholds import Thresholds
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.player_stages import NightStatus, PlayerStatus
from services.nights.written_rows import SystemRows

RECENT_NIGHTS, NIGHTS_TO_EXPECT = 3, 2  # a system is expected that ran on so many of the last played nights
CONSTANT_NIGHTS = 0.75  # a system writes always the same if it did on this part of the nights before
CHANCE = 4.0  # one that leaves players out is short only where so many standard deviations of a count of players do not explain it
PLAYERS_TO_EXPECT_ONE = 10  # of fewer, a system that leaves players out may by chance have none


@dataclass(frozen=True)
class UsualRows:
    """What a system wrote on the nights before, for each active player of the night: the median."""

    players: Fraction  # share of the active players it covers
    rows: Fraction
    is_constant: bool  # the same on nearly every night

    @property
    def rows_of_every_player(self) -> int | None:
        """The rows that each player has; None where the system leaves players out, or gives some more rows than others."""
        return int(self.rows) if self.is_constant and self.players == 1 else None


@dataclass(frozen=True)
class SystemCount:
    """A system's rows beside those expected; `missing` is 0 within what is usual, None expected without earlier nights."""

    found: SystemRows
    players_expected: int | None
    rows_expected: int | None
    missing: int

    @property
    def system_id(self) -> str:
        """The system's name."""
        return self.found.system_id

    @property
    def is_absent(self) -> bool:
        """Whether an expected system has no active row at all."""
        return bool(self.missing) and not self.found.keys


@dataclass(frozen=True)
class IncompletePlayer:
    """An eligible player with active rows who has fewer than expected; `absent` names the systems that have none of him."""

    player: PlayerStatus
    rows: int
    missing: int
    absent: tuple[str, ...]


@dataclass(frozen=True)
class RowCounts:
    """Rows of a night as business keys. `missing` is the greater of what systems and what players lack."""

    systems: tuple[SystemCount, ...]
    incomplete: tuple[IncompletePlayer, ...]
    keys: int
    missing: int
    is_expected_known: bool  # whether any record or earlier night says what to expect

    @property
    def expected(self) -> int:
        """The rows there are and those missing."""
        return self.keys + self.missing

    @property
    def doubled(self) -> int:
        """Business keys with several active rows."""
        return sum(system.found.doubled for system in self.systems)

    @property
    def short_systems(self) -> tuple[SystemCount, ...]:
        """The systems with fewer rows than usual, the emptiest first."""
        short = [system for system in self.systems if system.missing]
        return tuple(sorted(short, key=lambda s: (s.found.keys / (s.found.keys + s.missing), s.system_id)))


def count_rows(night: NightStatus, history: CoverageHistory | None, settings: Thresholds) -> RowCounts:
    """A night's rows beside those expected; without a history by what was generated alone."""
    usual = find_usual_rows(history, night.game_date) if history else {}
    found = {system.system_id: system for system in night.systems}
    systems = tuple(
        _count_system(found.get(system_id, SystemRows(system_id)), usual.get(system_id), night.active_players, settings)
        for system_id in sorted(found.keys() | usual.keys())
    )
    short = {system.system_id for system in systems if system.missing}
    with_rows = [player for player in night.eligible_players if player.active_rows]
    incomplete = tuple(filter(None, (_find_incomplete(player, usual, short) for player in with_rows)))
    return RowCounts(
        systems=systems,
        incomplete=incomplete,
        keys=sum(system.keys for system in night.systems),
        missing=max(sum(system.missing for system in systems), sum(player.missing for player in incomplete)),
        is_expected_known=bool(usual) or any(player.recorded_rows for player in with_rows),
    )


def _count_system(found: SystemRows, usual: UsualRows | None, active_players: int, settings: Thresholds) -> SystemCount:
    if usual is None:
        return SystemCount(found, None, None, 0)
    players, rows = round(usual.players * active_players), round(usual.rows * active_players)
    is_absent = not found.keys and players >= (1 if usual.players == 1 else PLAYERS_TO_EXPECT_ONE)
    is_short = is_absent or found.keys < rows * _least_usual_part(usual, players, settings)
    return SystemCount(found, players, rows, rows - found.keys if is_short else 0)


def _least_usual_part(usual: UsualRows, players: int, settings: Thresholds) -> float:
    """Below which part of its usual rows a system is short, of so many players that it usually covers."""
    if usual.is_constant:
        return settings.rows_usual_pct / 100
    return min(settings.rows_usual_varying_pct / 100, 1 - CHANCE / sqrt(players)) if players else 0.0


def _find_incomplete(player: PlayerStatus, usual: dict[str, UsualRows], short: set[str]) -> IncompletePlayer | None:
    """By what was generated for him; by the usual rows in systems that are short, and in all where nothing is recorded."""
    keys = dict(player.keys)
    rows = sum(keys.values())
    compared = short if player.recorded_rows else usual.keys()
    lacking = {system: _lacking(usual[system], keys.get(system, 0), system in short) for system in compared}
    missing = max((player.recorded_rows or 0) - rows, sum(lacking.values()))
    if missing <= 0:
        return None
    absent = sorted(system for system, count in lacking.items() if count and system not in keys)
    return IncompletePlayer(player, rows, missing, tuple(absent))


def _lacking(usual: UsualRows, keys: int, is_short: bool) -> int:
    """The rows a player lacks in a system: where players differ at least one, and only while the system is short."""
    of_every_player = usual.rows_of_every_player
    if of_every_player is None:
        return int(is_short and not keys)
    return max(0, of_every_player - keys)


def find_usual_rows(history: CoverageHistory, game_date: date) -> dict[str, UsualRows]:
    """What to expect of each system that ran on most of the last played nights before a date."""
    played = [day for day in history.days if day.game_date < game_date and day.active]
    recent = Counter(system for day in played[-RECENT_NIGHTS:] for system, *_ in day.by_system)
    expected = sorted(system for system, nights in recent.items() if nights >= NIGHTS_TO_EXPECT)
    return {system: _describe_usual(system, played) for system in expected}


def _describe_usual(system_id: str, played: Sequence[NightCoverage]) -> UsualRows:
    nights = [
        (Fraction(players, day.active), Fraction(rows, day.active))
        for day in played
        for system, players, rows in day.by_system
        if system == system_id
    ]
    usual = median(players for players, _ in nights), median(rows for _, rows in nights)
    return UsualRows(*usual, is_constant=nights.count(usual) >= CONSTANT_NIGHTS * len(nights))
