"""Whichever process dies between two steps, no row is lost and no key doubled; the older write paths do lose rows here."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults import harness, interleavings
from tests.faults.fake_warehouse import FAULTS

RUNS = range(1_000)


@pytest.fixture(scope="module")
def survey_result() -> tuple[int, int, Counter[str], Counter[str]]:
    return harness.survey(lambda seed: harness.run_staged_path(seed, rate=0.1), RUNS)


def test_no_row_is_lost_and_no_key_duplicated_whatever_fails_between_two_steps(survey_result):
    lost, doubled, _, _ = survey_result
    assert (lost, doubled) == (0, 0)


def test_every_kind_of_fault_was_injected_often(survey_result):
    _, _, _, faults = survey_result
    assert min(faults[fault] for fault in FAULTS) > 100


def test_every_run_ends_in_a_named_state(survey_result):
    _, _, states, _ = survey_result
    assert set(states) == {"consolidated"}


def test_direct_merges_lose_rows_in_the_same_harness():
    lost, _, states, _ = harness.survey(harness.run_direct_path, range(200))
    assert lost > 0
    assert set(states) == {"reported success"}


def test_responding_before_the_write_is_verified_loses_rows_in_the_same_harness():
    lost, _, _, _ = harness.survey(harness.run_early_response_path, range(200))
    assert lost > 0


@pytest.mark.parametrize("consolidators", [2, 3, 4])
def test_no_two_merges_of_one_date_ever_overlap(consolidators):
    assert interleavings.survey(range(700), consolidators) == (0, 0, 0)


def test_without_the_lease_merges_overlap_and_keys_are_duplicated():
    with interleavings.without_lease():
        overlaps, doubled, _ = interleavings.survey(range(200), 3)
    assert overlaps > 0
    assert doubled > 0
