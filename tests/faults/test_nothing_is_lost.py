"""Whatever dies when: no row is lost, no key is doubled; and the same harness shows that the old ways do lose."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults import harness, interleavings
from tests.faults.simulated import FAULTS

RUNS = range(1_000)


@pytest.fixture(scope="module")
def surveyed() -> tuple[int, int, Counter[str], Counter[str]]:
    return harness.survey(lambda seed: harness.staged_path(seed, rate=0.1), RUNS)


def test_no_row_is_lost_and_no_key_is_doubled_whatever_fails_between_two_steps(surveyed):
    lost, doubled, _, _ = surveyed
    assert (lost, doubled) == (0, 0)


def test_every_kind_of_fault_was_met_often(surveyed):
    _, _, _, faults = surveyed
    assert min(faults[fault] for fault in FAULTS) > 100


def test_every_run_ends_in_a_named_state(surveyed):
    _, _, states, _ = surveyed
    assert set(states) == {"consolidated"}


def test_direct_merges_lose_rows_in_the_same_harness():
    lost, _, states, _ = harness.survey(harness.direct_path, range(200))
    assert lost > 0
    assert set(states) == {"reported success"}


def test_answering_before_the_write_is_verified_loses_rows_in_the_same_harness():
    lost, _, _, _ = harness.survey(harness.early_answer_path, range(200))
    assert lost > 0


@pytest.mark.parametrize("consolidators", [2, 3, 4])
def test_no_two_merges_of_one_date_ever_overlap(consolidators):
    assert interleavings.survey(range(700), consolidators) == (0, 0, 0)


def test_without_the_lease_merges_overlap_and_keys_double():
    with interleavings.lease_off():
        overlaps, doubled, _ = interleavings.survey(range(200), 3)
    assert overlaps > 0
    assert doubled > 0
