"""The sums of a batch: they hold, they do not, or are unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.batches.conservation import conservation_sums, is_conserved
from services.batches.ledger import BatchRecord
from services.batches.state import BatchState

CONSERVED = BatchRecord(
    "batch_2025-12-29_1",
    date(2025, 12, 29),
    BatchState.CONSOLIDATED,
    5,
    "holder",
    produced_rows=10,
    staged_rows=10,
    distinct_keys=9,
    collapsed_rows=1,
    inserted=4,
    updated=3,
    unchanged=2,
)
NUMBERS = ("produced_rows", "staged_rows", "distinct_keys", "collapsed_rows", "inserted", "updated", "unchanged")


def test_a_batch_whose_rows_all_arrived_is_conserved():
    assert is_conserved(CONSERVED)
    assert [entry.holds for entry in conservation_sums(CONSERVED)] == [True, True, True]


@pytest.mark.parametrize("number", NUMBERS)
def test_one_row_more_anywhere_breaks_a_sum_and_an_unknown_number_is_not_conserved(number):
    one_more = replace(CONSERVED, **{number: getattr(CONSERVED, number) + 1})
    assert not is_conserved(one_more)
    assert False in [entry.holds for entry in conservation_sums(one_more)]
    no_number: dict[str, Any] = {number: None}
    unknown = replace(CONSERVED, **no_number)
    assert not is_conserved(unknown)
    assert None in [entry.holds for entry in conservation_sums(unknown)]
