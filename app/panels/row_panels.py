"""A night's rows by system, beside those expected."""

from __future__ import annotations

from app.components import tables
from app.state import reads, session
from services.judgement.facts import nights_before
from services.nights.player_stages import NightStatus
from services.nights.row_counts import RowCounts, count_rows


def count_night_rows(night: NightStatus) -> RowCounts:
    """The night's rows beside those of the nights before; where these cannot be read, beside what was generated alone."""
    return count_rows(night, reads.history(session.cached_clients(), *nights_before(night.game_date)).value)


def describe_partly_there(counts: RowCounts, moved: int) -> str:
    """What follows the count of the missing players: who lacks rows, and whose rows are for another line than the odds."""
    parts = []
    if counts.incomplete:
        parts.append(
            f"{len(counts.incomplete):,} are incomplete: {counts.missing:,} of {counts.expected:,} rows missing"
        )
    if moved:
        parts.append(f"{moved:,} are predicted for an old line")
    return "".join(f"; {part}" for part in parts)


def systems_table(counts: RowCounts) -> None:
    """Each system's rows beside those it wrote on the nights before; "—" where these expect none of it."""
    tables.text_table(
        [
            {
                "system": system.system_id,
                "players": system.found.players,
                "of expected": system.players_expected,
                "rows active": system.found.active,
                "of expected rows": system.rows_expected,
                "missing": system.missing,
                "keys doubled": system.found.doubled,
                "superseded": system.found.superseded,
            }
            for system in counts.systems
        ],
        alt="Expected, active, missing, doubled and superseded rows by system",
        empty="No system has a row for this night, and none is expected by the nights before.",
    )
