"""The proof of a MERGE: every sum holds for a night in which each outcome occurs, and none of them may be off by one."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from services.batches.business_key import BusinessKey, RowVersion
from services.pipeline.merge import MergeCounts
from services.pipeline.merge_counts import (
    RowCountMismatch,
    VersionsByKey,
    count_rows,
    duplicate_active_keys,
    verify_merge,
)
from services.pipeline.warehouse import MergeResult
from tests.unit.pipeline.conftest import made


def versions(**rows_by_player: str) -> VersionsByKey:
    """`ann="5 4-"`: Ann's rows made in minutes 5 and 4, of which the second is inactive."""
    return {
        BusinessKey("2025-12-29", "g", player, "s", "20.5"): [
            RowVersion(made(int(text.rstrip("-"))), f"{player}-{text.rstrip('-')}", not text.endswith("-"))
            for text in rows.split()
        ]
        for player, rows in rows_by_player.items()
    }


COUNTS = MergeCounts(
    added=2,
    changed=1,
    renewed=1,
    same=1,
    outdated=1,
    superseded=1,
    collapsed=1,
    retired=1,
    moved=1,
    duplicate=2,
    twin=1,
    inserted_rows=4,
    updated_rows=7,
)
STAGED = versions(added="5 4", inactive="5-", changed="5", renewed="5", same="5", outdated="0", superseded="0")
BEFORE = versions(
    changed="0", renewed="0", same="5", outdated="5", retired="0", moved="0", duplicate="0 1", twin="0 0", earlier="0-"
)
AFTER = versions(
    added="5",
    inactive="5-",
    changed="5",
    renewed="5",
    same="5",
    outdated="5",
    superseded="0-",
    retired="0-",
    moved="0-",
    duplicate="0- 1",
    twin="0- 0- 0",
    earlier="0-",
)


def verify(
    counts: MergeCounts = COUNTS,
    merge: MergeResult = MergeResult(4, 7),  # noqa: B008  (a frozen value)
    after: VersionsByKey = AFTER,
) -> None:
    verify_merge("After it", counts, merge, STAGED, BEFORE, after)


def test_a_merge_in_which_each_outcome_occurs_is_proven():
    verify()


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize("outcome", [field.name for field in fields(MergeCounts)])
def test_no_count_may_be_off_by_one(outcome, change):
    counted = {outcome: getattr(COUNTS, outcome) + change}
    with pytest.raises(RowCountMismatch, match=r"^After it: .*; all tables are kept\.$"):
        verify(replace(COUNTS, **counted))


@pytest.mark.parametrize("merge", [MergeResult(5, 7), MergeResult(3, 7), MergeResult(4, 8), MergeResult(4, 6)])
def test_bigquery_must_report_the_rows_that_were_counted(merge):
    with pytest.raises(RowCountMismatch, match=r"(inserted|updated) rows: [47] expected"):
        verify(merge=merge)


@pytest.mark.parametrize(
    ("player", "rows", "message"),
    [
        ("added", "4", "staged rows that stand: 5 expected, 4 found"),
        (
            "added",
            "5 5",
            "rows in the table: 15 expected, 16 found; keys with several active rows: 0 expected, 1 found",
        ),
        ("retired", "0", "superseded rows: 6 expected, 5 found"),
        ("earlier", "0", "rows that were superseded before and are no longer: 0 expected, 1 found"),
        ("outdated", "5-", "superseded rows: 6 expected, 7 found"),
    ],
)
def test_no_row_may_be_left_otherwise_than_it_must_be(player, rows, message):
    with pytest.raises(RowCountMismatch) as failure:
        verify(after={**AFTER, **versions(**{player: rows})})
    assert str(failure.value) == f"After it: {message}; all tables are kept."


def test_a_staged_key_that_the_table_lacks_is_a_mismatch():
    after = {key: rows for key, rows in AFTER.items() if key.player_lookup != "added"}
    with pytest.raises(
        RowCountMismatch, match="staged keys in the table: 7 expected, 6 found; staged rows that stand: 5"
    ):
        verify(after=after)


def test_rows_and_keys_with_several_active_rows_are_counted():
    assert (count_rows(STAGED), count_rows(BEFORE), count_rows(AFTER), count_rows({})) == (8, 11, 15, 0)
    assert [key.player_lookup for key in duplicate_active_keys(BEFORE)] == ["duplicate", "twin"]
    assert duplicate_active_keys(AFTER) == []
