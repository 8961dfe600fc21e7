"""Judges the rows after a run: which are lost, doubled, of the wrong version, revived or touched, and what is left in staging."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from services.core.tables import PREDICTIONS_TABLE
from tests.faults.seeds import Key, Row, content_of, key_of
from tests.support.memory_bigquery import MemoryProject

Owner = tuple[Any, str, str, str]  # game date, game, player, system: what one delivery replaces whole
Version = frozenset[tuple[Key, str]]  # the keys of an owner, each with its content


@dataclass
class Delivery:
    """Rows that a worker made, and whether it answered that they are staged."""

    rows: list[Row]
    at: datetime
    acknowledged: bool = False


@dataclass
class Verdict:
    """Rows (keys for `doubled`) that are not as they should be; all 0 where the promises hold."""

    lost: int = 0  # keys that no row stands for, or an inactive one
    doubled: int = 0  # keys with several active rows, of players that were written
    wrong_version: int = 0  # active rows of an older delivery than the newest acknowledged
    revived: int = 0  # inactive rows that became active, or were changed
    touched: int = 0  # rows of others that were changed
    left: int = 0  # staging tables

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def is_clean(self) -> bool:
        return self == Verdict()


def judge(
    project: MemoryProject, before: Iterable[Row], deliveries: Iterable[Delivery], expected_tables: set[str]
) -> Verdict:
    """Compare the predictions table with what was delivered, and with the rows that it held before."""
    after, verdict = project.rows(PREDICTIONS_TABLE), Verdict()
    active: dict[Owner, list[Row]] = defaultdict(list)
    for row in after:
        if row["is_active"]:
            active[_owner(row)].append(row)
    versions = _versions_by_owner(deliveries)
    for owner, candidates in versions.items():
        _judge_owner(verdict, active[owner], _acceptable(candidates))
    _judge_others(verdict, list(before), after, set(versions))
    verdict.left = len(set(project.tables) - expected_tables)
    return verdict


def _owner(row: Mapping[str, Any]) -> Owner:
    return row["game_date"], row["game_id"], row["player_lookup"], row["system_id"]


def _versions_by_owner(deliveries: Iterable[Delivery]) -> dict[Owner, list[tuple[Version, Delivery]]]:
    by_owner: dict[Owner, list[tuple[Version, Delivery]]] = defaultdict(list)
    for delivery in deliveries:
        rows: dict[Owner, list[Row]] = defaultdict(list)
        for row in delivery.rows:
            rows[_owner(row)].append(row)
        for owner, owned in rows.items():
            by_owner[owner].append((frozenset((key_of(row), content_of(row)) for row in owned), delivery))
    return by_owner


def _acceptable(candidates: list[tuple[Version, Delivery]]) -> list[Version]:
    """The versions that may stand: those that no acknowledged one is certainly newer than.

    The same rows delivered again may count as made then or now, and rows that were not acknowledged may have arrived.
    """
    latest: dict[Version, datetime] = {}
    first_acknowledged: dict[Version, datetime] = {}
    for version, delivery in candidates:
        latest[version] = max(delivery.at, latest.get(version, delivery.at))
        if delivery.acknowledged:
            first_acknowledged[version] = min(delivery.at, first_acknowledged.get(version, delivery.at))
    return [
        version
        for version, at in latest.items()
        if not any(other != version and acknowledged > at for other, acknowledged in first_acknowledged.items())
    ]


def _judge_owner(verdict: Verdict, rows: list[Row], acceptable: list[Version]) -> None:
    """One player, game and system: its active rows must be one of the acceptable versions, whole."""
    per_key = Counter(key_of(row) for row in rows)
    verdict.doubled += sum(count > 1 for count in per_key.values())
    found = {(key_of(row), content_of(row)) for row in rows}

    def distance(version: Version) -> int:
        return len(version ^ found)

    best = min(acceptable, key=distance)
    best_keys, found_keys = {key for key, _ in best}, {key for key, _ in found}
    verdict.lost += len(best_keys - found_keys)
    verdict.wrong_version += len({key for key, content in found if (key, content) not in best})


def _judge_others(verdict: Verdict, before: list[Row], after: list[Row], written: set[Owner]) -> None:
    """Inactive rows stay as they are, and so do the rows of whom nothing was delivered; no key has fewer rows than before."""
    remaining = Counter(map(_whole, after))
    for row in before:
        if not row["is_active"] and not remaining[_whole(row)]:
            verdict.revived += 1
        elif row["is_active"] and _owner(row) not in written and not remaining[_whole(row)]:
            verdict.touched += 1
    rows_before, rows_after = Counter(map(key_of, before)), Counter(map(key_of, after))
    verdict.lost += sum((rows_before - rows_after).values())


def _whole(row: Mapping[str, Any]) -> str:
    return repr([row[name] for name in sorted(row)])
