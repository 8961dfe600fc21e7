"""Rows by business key and version, as a consolidation needs them: the staged ones each, those of the predictions table as sums.

A batch may have half a million rows. A staged row costs a key, a version and their place in one dict; a stored row only a place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from services.batches.business_key import BusinessKey, RowVersion

KeyedVersion = tuple[BusinessKey, RowVersion]


class StagedRows:
    """Rows of a batch: the newest of each key, and the `others`, by how often each is there."""

    def __init__(self, rows: Iterable[KeyedVersion] = ()) -> None:
        self.newest: dict[BusinessKey, RowVersion] = {}
        self.others: Counter[KeyedVersion] = Counter()
        for key, row in rows:
            self.add(key, row)

    def add(self, key: BusinessKey, row: RowVersion) -> None:
        """Add one more row."""
        if key in self.newest:
            older, row = sorted((row, self.newest[key]))
            self.others[key, older] += 1
        self.newest[key] = row

    def __len__(self) -> int:
        return len(self.newest) + self.others.total()

    def __iter__(self) -> Iterator[KeyedVersion]:
        return chain(self.newest.items(), self.others.elements())

    def __contains__(self, keyed: KeyedVersion) -> bool:
        return self.newest.get(keyed[0]) == keyed[1] or keyed in self.others


def group_by_date(rows: Iterable[KeyedVersion]) -> dict[str, StagedRows]:
    """Rows by their game date as the key has it: "" for those without one."""
    staged = defaultdict[str, StagedRows](StagedRows)
    for key, row in rows:
        staged[key.game_date].add(key, row)
    return staged


@dataclass(frozen=True)
class StoredRows:
    """Rows of the predictions table of a game date. `inactive`: each superseded row, by how often it is there."""

    rows: int
    active_rows: int
    active_players: int
    inactive: Counter[KeyedVersion]
    staged_keys: int  # keys that are staged too
    staged_rows: int  # of the newest rows of staged keys, how many are there
    doubled_keys: int  # keys with more than one active row


_IS_STORED, _STANDS, _IS_ACTIVE, _IS_DOUBLED = 1, 2, 4, 8


def count_stored(rows: Iterable[KeyedVersion], staged: StagedRows) -> StoredRows:
    """Count rows of the predictions table as they are read, in comparison with those that are staged."""
    facts_by_key = dict.fromkeys(staged.newest, 0)  # which keeps the key objects of the staged rows
    count = active_rows = 0
    active_players: set[str] = set()
    inactive: Counter[KeyedVersion] = Counter()
    for key, row in rows:
        count += 1
        facts = facts_by_key.get(key, 0) | _IS_STORED
        if staged.newest.get(key) == row:
            facts |= _STANDS
        if row.is_active:
            active_rows += 1
            active_players.add(key.player_lookup)
            facts |= _IS_DOUBLED if facts & _IS_ACTIVE else _IS_ACTIVE
        else:
            inactive[key, row] += 1
        facts_by_key[key] = facts
    return StoredRows(
        rows=count,
        active_rows=active_rows,
        active_players=len(active_players),
        inactive=inactive,
        staged_keys=sum(facts_by_key[key] & _IS_STORED for key in staged.newest),
        staged_rows=sum(facts & _STANDS > 0 for facts in facts_by_key.values()),
        doubled_keys=sum(facts & _IS_DOUBLED > 0 for facts in facts_by_key.values()),
    )
