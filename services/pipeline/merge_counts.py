"""Proves a MERGE: what was counted before it, what BigQuery reports of it and what is read after it must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from services.batches.business_key import BusinessKey, RowVersion
from services.core.errors import OnCallError
from services.pipeline.merge import MergeCounts
from services.pipeline.warehouse import MergeResult

VersionsByKey = Mapping[BusinessKey, Sequence[RowVersion]]


class RowCountMismatch(OnCallError):
    """The numbers do not add up; nothing was cleaned up."""


def verify_merge(
    title: str,
    counts: MergeCounts,
    merge: MergeResult,
    staged: VersionsByKey,
    before: VersionsByKey,
    after: VersionsByKey,
) -> None:
    """Raises RowCountMismatch, with each pair of numbers that differ, unless all agree. `title` begins the message.

    `staged` are the rows of the merged table, `before` and `after` those of the predictions table, all of one game date.
    """
    mismatches = [
        f"{name}: {expected} expected, {found} found"
        for name, expected, found in _sums(counts, merge, staged, before, after)
        if expected != found
    ]
    if mismatches:
        raise RowCountMismatch(f"{title}: {'; '.join(mismatches)}; all tables are kept.")


def _sums(
    counts: MergeCounts, merge: MergeResult, staged: VersionsByKey, before: VersionsByKey, after: VersionsByKey
) -> Iterator[tuple[str, int, int]]:
    """(name, expected, found) of each sum that must agree."""
    newest = {key: max(versions) for key, versions in staged.items()}
    standing = counts.added + counts.changed + counts.renewed + counts.same
    superseded = counts.superseded + counts.retired + counts.moved + counts.duplicate + counts.twin
    inactive_before, inactive_after = _inactive(before), _inactive(after)
    newly_inactive = inactive_after - inactive_before - _inactive({key: [row] for key, row in newest.items()})
    yield "staged rows", standing + counts.outdated + counts.superseded + counts.collapsed, count_rows(staged)
    yield "staged keys", standing + counts.outdated + counts.superseded, len(staged)
    yield "inserted rows", counts.inserted_rows, merge.inserted_rows
    yield "updated rows", counts.updated_rows, merge.updated_rows
    yield "staged keys in the table", len(staged), sum(key in after for key in staged)
    yield "staged rows that stand", standing, sum(row in after.get(key, ()) for key, row in newest.items())
    yield "rows in the table", count_rows(before) + merge.inserted_rows, count_rows(after)
    yield "superseded rows", superseded, newly_inactive.total()
    yield "rows that were superseded before and are no longer", 0, (inactive_before - inactive_after).total()
    yield "keys with several active rows", 0, len(duplicate_active_keys(after))


def count_rows(versions_by_key: VersionsByKey) -> int:
    """Rows of all keys."""
    return sum(map(len, versions_by_key.values()))


def duplicate_active_keys(versions_by_key: VersionsByKey) -> list[BusinessKey]:
    """Business keys with more than one active row."""
    return [key for key, versions in versions_by_key.items() if sum(row.is_active for row in versions) > 1]


def _inactive(versions_by_key: Mapping[BusinessKey, Iterable[RowVersion]]) -> Counter[tuple[BusinessKey, RowVersion]]:
    return Counter((key, row) for key, versions in versions_by_key.items() for row in versions if not row.is_active)
