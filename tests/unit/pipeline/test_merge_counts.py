"""The proof of a MERGE: every sum holds for a night in which each outcome occurs, and none of them may be off by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import chain

import pytest

from services.batches.business_key import BusinessKey, RowVersion
from services.pipeline.merge import MergeCounts
from services.pipeline.merge_counts import (
    RowCountMismatch,
    verify_merge,
)
from services.pipeline.row_versions import KeyedVersion, StagedRows, count_stored
from services.pipeline.warehouse import MergeResult
from tests.unit.pipeline.conftest import made


def versions(**rows_by_player: str) -> dict[str, list[KeyedVersion]]:
    """`ann="5 4-"`: Ann's rows made in minutes 5 and 4, of which the second is inactive."""
    return {
        player: [
            (
                BusinessKey("2025-12-29", "g", player, "s", "20.5"),
                RowVersion(made(int(text.rstrip("-"))), f"{player}-{text.rstrip('-')}", not text.endswith("-")),
            )
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
    after: Mapping[str, list[KeyedVersion]] = AFTER,
) -> None:
    staged = StagedRows(flatten(STAGED))
    before, stored = count_stored(flatten(BEFORE), StagedRows()), count_stored(flatten(after), staged)
    verify_merge("After it", counts, merge, staged, before, stored)


def flatten(rows_by_player: Mapping[str, list[KeyedVersion]]) -> Iterator[KeyedVersion]:
    return chain.from_iterable(rows_by_player.values())


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
    after = {player: rows for player, rows in AFTER.items() if player != "added"}
    with pytest.raises(
        RowCountMismatch, match="staged keys in the table: 7 expected, 6 found; staged rows that stand: 5"
    ):
        verify(after=after)


def test_the_rows_of_a_table_are_counted_in_comparison_with_those_that_are_staged():
    stored = count_stored(flatten(BEFORE), StagedRows(flatten(STAGED)))
    assert (stored.rows, stored.active_rows, stored.active_players, stored.doubled_keys) == (11, 10, 8, 2)
    assert (stored.staged_keys, stored.staged_rows) == (4, 1), "of these four keys only `same` has its newest row"
    assert list(stored.inactive.elements()) == versions(earlier="0-")["earlier"]


def test_a_row_that_is_there_twice_stands_once():
    rows = versions(ann="5 5 5-", bob="1")
    stored = count_stored(flatten(rows), StagedRows(rows["ann"][:1]))
    assert (stored.staged_keys, stored.staged_rows, stored.doubled_keys) == (1, 1, 1)


def test_staged_rows_are_the_newest_of_each_key_and_the_others_by_how_often_they_are_there():
    rows = [*versions(ann="2 5 2 3")["ann"], *versions(bob="1")["bob"]]
    staged = StagedRows(rows)
    assert sorted(staged) == sorted(rows)
    assert (len(staged), [row.prediction_id for row in staged.newest.values()]) == (5, ["ann-5", "bob-1"])
    assert all(row in staged for row in rows)
    assert versions(ann="4")["ann"][0] not in staged
