"""The active prediction rows of a game date, and the one that stands for each business key: the newest."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.batches.business_key import BusinessKey, RowVersion, business_key, row_version
from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients


@dataclass(frozen=True)
class ActiveRows:
    """The versions of each key's active rows, newest first, and how many rows each superseded_reason has."""

    game_date: date
    versions: Mapping[BusinessKey, tuple[RowVersion, ...]]
    superseded: Mapping[str, int]
    source: DataSource

    @property
    def duplicates(self) -> dict[BusinessKey, tuple[RowVersion, ...]]:
        """The keys with more than one active row."""
        return {key: versions for key, versions in self.versions.items() if len(versions) > 1}

    @property
    def digest(self) -> str:
        """The same for the same active rows."""
        return _digest((key, version) for key, versions in self.versions.items() for version in versions)

    @property
    def digest_without_duplicates(self) -> str:
        """The digest that these rows have once only the newest of each key is active."""
        return _digest((key, versions[0]) for key, versions in self.versions.items())


def read_active_rows(clients: Clients, game_date: date) -> ActiveRows:
    """The active rows of a game date; raises OnCallError when the predictions table cannot be read."""
    result = query_catalog.run_query(clients, "staging.prediction_rows", game_date=game_date)
    versions: dict[BusinessKey, list[RowVersion]] = defaultdict(list)
    superseded: dict[str, int] = defaultdict(int)
    for row in result.rows:
        if row["is_active"]:
            versions[business_key(row)].append(row_version(row))
        else:
            superseded[row["superseded_reason"] or ""] += 1
    newest_first = {key: tuple(sorted(rows, reverse=True)) for key, rows in versions.items()}
    return ActiveRows(game_date, newest_first, superseded, result.source)


def _digest(rows: Iterable[tuple[BusinessKey, RowVersion]]) -> str:
    lines = sorted("|".join(map(str, (*key, v.created_at, v.prediction_id))) for key, v in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
