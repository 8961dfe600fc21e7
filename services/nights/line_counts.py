"""Each player's predicted lines against the odds: their newest line before tip-off, and rows made after it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from services.nights.players import newest_context
from services.nights.rows import (
    COLUMNS_TO_COMPARE_LINES,
    Column,
    ContextRow,
    OddsRow,
    PlayerRow,
    PredictionRow,
)
from services.policy.eligibility import check_eligibility

LINES_AROUND_BASE = frozenset(map(Decimal, (-2, -1, 0, 1, 2)))  # points; a system may also predict for the base alone
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class PlayerLines:
    """The lines, in points and ascending, that a player's active rows are for, and the odds' before his game.

    `offered` has the newest line of each bookmaker, empty without odds; `rerun_line` is the one that a run would take now. `tip_off`
    is None where no odds name his game.
    """

    player_lookup: str
    predicted: tuple[Decimal, ...]
    offered: tuple[Decimal, ...]
    rerun_line: Decimal | None
    tip_off: datetime | None
    late_rows: int  # active rows made at tip-off or later

    @property
    def is_compared(self) -> bool:
        """Whether rows and odds both have a line."""
        return bool(self.predicted and self.offered)

    @property
    def has_moved(self) -> bool:
        """Whether the rows are around none of the lines that the odds have."""
        return self.is_compared and not any(_is_base(line, self.predicted) for line in self.offered)

    def is_repairable_at(self, now: datetime) -> bool:
        """Whether a re-run would predict for a line that the odds have, and in time."""
        return self.has_moved and self.rerun_line in self.offered and (self.tip_off is None or now < self.tip_off)


def describe_lines(lines: PlayerLines) -> str:
    """e.g. "18.5–22.5, odds 24.5"."""
    return f"{_range(lines.predicted)}, odds {_range(lines.offered)}"


def _range(lines: Sequence[Decimal]) -> str:
    first, last = f"{lines[0].normalize():f}", f"{lines[-1].normalize():f}"
    return first if first == last else f"{first}–{last}"


def _is_base(base: Decimal, lines: Sequence[Decimal]) -> bool:
    """Whether these lines are `base` alone, or some of those around it."""
    return base == lines[0] if len(lines) == 1 else all(line - base in LINES_AROUND_BASE for line in lines)


def compare_lines(
    players: Sequence[PlayerRow],
    context: Iterable[ContextRow],
    odds: Sequence[OddsRow],
    written: Iterable[PredictionRow],
    absent_columns: Collection[Column] = (),
) -> tuple[PlayerLines, ...]:
    """Of every eligible player with active rows, by player_lookup; odds count for the player whom their name or its alias names.

    Without a column that the comparison needs, no lines are offered, so that nobody's have moved.
    """
    tip_offs, contexts = _newest_tip_offs(odds), newest_context(context)
    is_comparable = COLUMNS_TO_COMPARE_LINES.isdisjoint(absent_columns)
    odds_by_name = _newest_odds(odds, tip_offs) if is_comparable else {}
    aliases = {row["alias_canonical"]: row["player_lookup"] for row in reversed(players) if row["alias_canonical"]}
    active: dict[str | None, list[PredictionRow]] = defaultdict(list)
    for row in written:
        if row["is_active"]:
            active[row["player_lookup"]].append(row)
    requested = [row for row in players if check_eligibility(row)[0] and not row["shares_lookup_with"]]
    return tuple(
        _compare_player(
            lookup,
            contexts[lookup][0],
            odds_by_name.get(lookup) or odds_by_name.get(aliases.get(lookup, ""), ()),
            active[lookup],
            tip_offs.get(row["team"]),
        )
        for row in requested
        if (lookup := row["player_lookup"]) in active
    )


def _compare_player(
    player: str,
    context: ContextRow,
    odds: Sequence[OddsRow],
    rows: Sequence[PredictionRow],
    tip_off: datetime | None,
) -> PlayerLines:
    context_line = _to_decimal(context["current_points_line"])
    return PlayerLines(
        player,
        _distinct(row["current_points_line"] for row in rows),
        _distinct(row["points_line"] for row in odds),
        context_line if context_line is not None else _line_of_newest(odds),
        tip_off,
        sum(bool(tip_off and row["created_at"] and row["created_at"] >= tip_off) for row in rows),
    )


def _newest_tip_offs(odds: Iterable[OddsRow]) -> dict[str | None, datetime]:
    """By team, as the newest odds have it."""
    return {
        team: row["game_start_time"]
        for row in sorted(odds, key=_snapshot_at)
        if row["game_start_time"] is not None
        for team in (row["away_team_abbr"], row["home_team_abbr"])
    }


def _newest_odds(
    odds: Iterable[OddsRow], tip_offs: Mapping[str | None, datetime]
) -> dict[str | None, tuple[OddsRow, ...]]:
    """By name, the newest row of each bookmaker that is from before the game."""
    newest: dict[str | None, dict[str | None, OddsRow]] = defaultdict(dict)
    for row in sorted(odds, key=_snapshot_at):
        tip_off = tip_offs.get(row["home_team_abbr"])
        if tip_off is None or _snapshot_at(row) < tip_off:
            newest[row["player_lookup"]][row["bookmaker"]] = row
    return {name: tuple(by_bookmaker.values()) for name, by_bookmaker in newest.items()}


def _line_of_newest(odds: Sequence[OddsRow]) -> Decimal | None:
    """The line that queries/pipeline/eligible_players.sql takes: of the newest rows that of the first bookmaker."""
    latest = max(map(_snapshot_at, odds), default=None)
    newest = [row for row in odds if _snapshot_at(row) == latest]
    return _to_decimal(min(newest, key=lambda row: row["bookmaker"] or "")["points_line"]) if newest else None


def _snapshot_at(row: OddsRow) -> datetime:
    return row["snapshot_timestamp"] or _NEVER


def _to_decimal(line: object) -> Decimal | None:
    return None if line is None else Decimal(str(line))


def _distinct(lines: Iterable[object]) -> tuple[Decimal, ...]:
    return tuple(sorted({Decimal(str(line)) for line in lines if line is not None}))
