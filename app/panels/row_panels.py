"""A date's rows by model, beside those expected."""

from __future__ import annotations

from app.components import tables
from services.nights.row_counts import RowCounts


def describe_partly_there(counts: RowCounts, moved: int) -> str:
    """What follows the count of the missing players: who lacks rows, and whose rows are for another line than the odds."""
    parts = []
    if counts.incomplete:
        parts.append(
            f"{len(counts.incomplete):,} are incomplete ({counts.missing:,} of {counts.expected:,} rows missing)"
        )
    if moved:
        parts.append(f"{moved:,} have predictions for an old line")
    return "".join(f"; {part}" for part in parts)


def _of_expected(found: int, expected: int | None) -> str:
    return f"{found:,}" if expected is None else f"{found:,} of {expected:,}"


def systems_table(counts: RowCounts) -> None:
    """Each system's active players and rows, of those expected; without "of" where the nights before expect none of it."""
    tables.text_table(
        [
            {
                "system": system.system_id,
                "players": _of_expected(system.found.players, system.players_expected),
                "rows": _of_expected(system.found.active, system.rows_expected),
                "rows missing": system.missing,
                "duplicate keys": system.found.doubled,
                "superseded": system.found.superseded,
            }
            for system in counts.systems
        ],
        alt="Expected, active, missing, duplicate and superseded rows by system",
        empty="No active rows from any system, and none expected.",
    )
