"""The sums of a batch: they hold, they do not, or are unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.batches.conservation import conservation_sums, is_conserved
from services.batches.ledger import OUTCOMES, BatchRecord
from services.batches.state import BatchState
from services.runs.verification import conservation_checks

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
    requested=4,
    details={
        "outcomes": {"staged": 2, "not generated": 1, "write rejected": 1, "internal error": 0, "no answer": 0},
    },
)
NUMBERS = (
    "requested",
    "produced_rows",
    "staged_rows",
    "distinct_keys",
    "collapsed_rows",
    "inserted",
    "updated",
    "unchanged",
)


def test_a_batch_whose_rows_all_arrived_is_conserved():
    assert is_conserved(CONSERVED)
    assert [entry.holds for entry in conservation_sums(CONSERVED)] == [True] * 5


@pytest.mark.parametrize("number", NUMBERS)
def test_one_row_more_anywhere_breaks_a_sum_and_an_unknown_number_is_not_conserved(number):
    one_more = replace(CONSERVED, **{number: getattr(CONSERVED, number) + 1})
    assert not is_conserved(one_more)
    assert False in [entry.holds for entry in conservation_sums(one_more)]
    no_number: dict[str, Any] = {number: None}
    unknown = replace(CONSERVED, **no_number)
    assert not is_conserved(unknown)
    assert None in [entry.holds for entry in conservation_sums(unknown)]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_player_counted_under_a_second_outcome_breaks_a_sum(outcome):
    counts = dict(CONSERVED.details["outcomes"])
    counts[outcome] += 1
    assert is_conserved(replace(CONSERVED, details={"outcomes": counts})) is False


@pytest.mark.parametrize("outcome", ["internal error", "no answer"])
def test_a_batch_with_a_player_who_gave_no_answer_is_not_conserved_though_everybody_is_counted(outcome):
    counts = {**CONSERVED.details["outcomes"], "staged": 1, outcome: 1}
    record = replace(CONSERVED, details={"outcomes": counts})
    assert [entry.name for entry in conservation_sums(record) if entry.holds is False] == ["Every player answered"]
    assert is_conserved(record) is False


def test_whether_a_batch_of_an_earlier_version_without_counted_players_is_conserved_is_unknown():
    earlier = replace(CONSERVED, details={"players": ["lebronjames"]})
    assert is_conserved(earlier) is None
    assert is_conserved(replace(earlier, staged_rows=9)) is False


def test_rows_that_were_rejected_on_write_are_part_of_the_sum_where_they_were_counted():
    rejected = replace(CONSERVED, produced_rows=12, details={**CONSERVED.details, "rejected_rows": 2})
    produced = conservation_sums(rejected)[2]
    assert (produced.parts, produced.parts_name) == ((10, 2), "staged + rejected")
    assert is_conserved(rejected) is True
    assert is_conserved(replace(rejected, produced_rows=13)) is False


def test_each_sum_says_what_it_counts():
    said = [(entry.name, entry.total_name, entry.parts, entry.parts_name) for entry in conservation_sums(CONSERVED)]
    assert said == [
        (
            "One outcome per player",
            "requested",
            (2, 1, 1, 0, 0),
            "staged + not generated + write rejected + internal error + no answer",
        ),
        ("Every player answered", "missing", (0, 0), "internal error + no answer"),
        ("Produced = staged", "produced", (10,), "staged"),
        ("Staged = unique + duplicate keys", "staged", (9, 1), "unique + duplicate"),
        ("Unique = inserted + updated + unchanged", "unique", (4, 3, 2), "inserted + updated + unchanged"),
    ]


def test_a_stopped_batch_counts_the_players_that_were_not_asked_and_is_not_conserved_without_them():
    counts = {**CONSERVED.details["outcomes"], "staged": 1, "not asked": 1}
    stopped = replace(CONSERVED, state=BatchState.STOPPED, details={"outcomes": counts})
    players = conservation_sums(stopped)[0]
    assert (players.holds, players.parts_name[-15:]) == (True, "+ not requested")
    assert is_conserved(stopped) is False
    assert [check.detail for check in conservation_checks(stopped) if check.ok is False] == [
        "Stopped: 1 not requested."
    ]
    assert conservation_sums(replace(stopped, requested=5))[0].holds is False
    nobody_left = replace(stopped, details={"outcomes": {**counts, "staged": 2, "not asked": 0}})
    assert is_conserved(nobody_left) is True


def test_a_batch_that_an_earlier_version_stopped_does_not_add_up():
    counts = {**CONSERVED.details["outcomes"], "staged": 1}
    assert is_conserved(replace(CONSERVED, state=BatchState.STOPPED, details={"outcomes": counts})) is False
