"""Which staged rows another table of the batch replaces.

A player is in two tables of a batch when he was asked for again, in another unit, while the first one was on its way, or when a
message was delivered twice. What the newer table has of a player and system replaces all that the other one has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from services.batches.business_key import BusinessKey, PlayerSystem, RowVersion, Run

Versions = Mapping[BusinessKey, Sequence[RowVersion]]


def has_several_runs(staged: Versions) -> bool:
    """Whether rows of one player and system were made at different times."""
    runs = _runs(staged)
    return len({run.player_system for run in runs}) < len(runs)


def find_older_runs(staged: Versions, tables: Iterable[Versions]) -> frozenset[Run]:
    """Runs of a player and system that were made before all those of the table that has their newest row.

    Of a table only rows that are staged count: it may have changed since it was copied.
    """
    newest: dict[PlayerSystem, tuple[datetime, datetime]] = {}  # when the last and the first row of a table was made
    for table in tables:
        held = {key: [row for row in rows if row in staged.get(key, ())] for key, rows in table.items()}
        for player_system, runs in groupby(sorted(_runs(held)), lambda run: run.player_system):
            times = [run.made_at for run in runs]
            newest[player_system] = max((times[-1], times[0]), newest.get(player_system, (times[-1], times[0])))
    return frozenset(
        run for run in _runs(staged) if run.player_system in newest and run.made_at < newest[run.player_system][1]
    )


def without_runs(staged: Versions, runs: Collection[Run]) -> Versions:
    """The rows that are of none of these runs."""
    left = {
        key: [row for row in rows if Run(key.player_system, row.created_at) not in runs] for key, rows in staged.items()
    }
    return {key: rows for key, rows in left.items() if rows}


def _runs(versions: Versions) -> set[Run]:
    return {Run(key.player_system, row.created_at) for key, rows in versions.items() for row in rows}
