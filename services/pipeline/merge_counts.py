"""Proves a MERGE: what was counted before it, what BigQuery reports of it and what is read after it must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.core.errors import OnCallError
from services.pipeline.merge import MergeCounts
from services.pipeline.row_versions import StagedRows, StoredRows
from services.pipeline.warehouse import MergeResult


class RowCountMismatch(OnCallError):
    """The numbers do not add up; nothing was cleaned up."""


def verify_merge(
    title: str,
    counts: MergeCounts,
    merge: MergeResult,
    staged: StagedRows,
    before: StoredRows,
    after: StoredRows,
) -> None:
    """Raises RowCountMismatch, with each pair of numbers that differ, unless all agree. `title` begins the message.

    `staged` are the rows of the merged table, `before` and `after` those of the predictions table,
    all of one game date; `after` is counted in comparison with `staged`.
    """
    mismatches = [
        f"{name}: {expected} expected, {found} found"
        for name, expected, found in _sums(counts, merge, staged, before, after)
        if expected != found
    ]
    if mismatches:
        raise RowCountMismatch(f"{title}: {'; '.join(mismatches)}; all tables are kept.")


def _sums(
    counts: MergeCounts, merge: MergeResult, staged: StagedRows, before: StoredRows, after: StoredRows
) -> Iterator[tuple[str, int, int]]:
    """(name, expected, found) of each sum that must agree."""
    standing = counts.added + counts.changed + counts.renewed + counts.same
    superseded = counts.superseded + counts.retired + counts.moved + counts.duplicate + counts.twin
    staged_inactive = Counter((key, row) for key, row in staged.newest.items() if not row.is_active)
    newly_inactive = after.inactive - before.inactive - staged_inactive
    yield "staged rows", standing + counts.outdated + counts.superseded + counts.collapsed, len(staged)
    yield "staged keys", standing + counts.outdated + counts.superseded, len(staged.newest)
    yield "inserted rows", counts.inserted_rows, merge.inserted_rows
    yield "updated rows", counts.updated_rows, merge.updated_rows
    yield "staged keys in the table", len(staged.newest), after.staged_keys
    yield "staged rows that stand", standing, after.staged_rows
    yield "rows in the table", before.rows + merge.inserted_rows, after.rows
    yield "superseded rows", superseded, newly_inactive.total()
    yield "rows that were superseded before and are no longer", 0, (before.inactive - after.inactive).total()
    yield "keys with several active rows", 0, after.doubled_keys
