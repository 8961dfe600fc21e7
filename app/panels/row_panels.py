"""A night's rows by system, beside those expected."""

from __future__ import annotations

from app.components import tables
from services.nights.row_counts import RowCounts


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
