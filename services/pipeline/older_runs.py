"""Which staged rows another table of the batch replaces.

A player is in two tables of a batch when he was asked for again, in another unit, while the first one was on its way, or when a
message was delivered twice. What the newer table has of a player and system replaces all that the other one has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from itertools import groupby

from services.batches.business_key import PlayerSystem, Run
from services.pipeline.row_versions import KeyedVersion, StagedRows


def has_several_runs(staged: StagedRows) -> bool:
    """Whether rows of one player and system were made at different times."""
    runs = _runs(staged)
    return len({run.player_system for run in runs}) < len(runs)


def find_older_runs(staged: StagedRows, tables: Iterable[Iterable[KeyedVersion]]) -> frozenset[Run]:
    """Runs of a player and system that were made before all those of the table that has their newest row.

    Of a table only rows that are staged count: it may have changed since it was copied.
    """
    newest: dict[PlayerSystem, tuple[datetime, datetime]] = {}  # when the last and the first row of a table was made
    for table in tables:
        held = (keyed for keyed in table if keyed in staged)
        for player_system, runs in groupby(sorted(_runs(held)), lambda run: run.player_system):
            times = [run.made_at for run in runs]
            newest[player_system] = max((times[-1], times[0]), newest.get(player_system, (times[-1], times[0])))
    return frozenset(
        run for run in _runs(staged) if run.player_system in newest and run.made_at < newest[run.player_system][1]
    )


def without_runs(staged: StagedRows, runs: Collection[Run]) -> StagedRows:
    """The rows that are of none of these runs."""
    if not runs:
        return staged
    return StagedRows((key, row) for key, row in staged if Run(key.player_system, row.created_at) not in runs)


def _runs(rows: Iterable[KeyedVersion]) -> set[Run]:
    return {Run(key.player_system, row.created_at) for key, row in rows}
