"""The first stage that a player did not reach, on evidence; each case differs from a healthy player by one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.result import Problem
from services.nights.missing_players import Why, account, missing, why_missing
from tests.factories import NOW, lost, night, player, write_error

CASES = {
    Why.NOT_IN_CONTEXT_ALIAS: lost(
        in_context=False, eligible=None, alias_canonical="herbertjones", player_lookup="herbjones"
    ),
    Why.NOT_IN_CONTEXT: lost(in_context=False, eligible=None, player_lookup="kevinporterjr"),
    Why.FILTERED_OUT: lost(eligible=False, not_eligible_reason="OUT"),
    Why.NEVER_REQUESTED: lost(requested=False, generated_rows=0),
    Why.NOT_GENERATED: lost(generated_rows=0, generation_error="no_features"),
    Why.WRITE_REJECTED: lost(write_error=write_error()),
    Why.NOT_CONSOLIDATED: lost(staged_rows=25, staging_table="nba_predictions._staging_x"),
    Why.INACTIVE: player(active_rows=0, superseded=True),
    Why.UNEXPLAINED: lost(),
}


@pytest.mark.parametrize("why", CASES, ids=lambda why: why.value)
def test_each_reason_is_told_for_the_player_it_fits(why):
    found = why_missing(CASES[why], night(CASES[why]))
    assert found is not None
    assert found.why is why
    assert found.evidence
    assert found.repair


def test_an_active_player_is_not_missing():
    assert why_missing(player(), night(player())) is None


def test_generated_but_rejected_is_never_called_not_generated():
    found = why_missing(lost(write_error=write_error(), generation_error="some old message"), night())
    assert found is not None
    assert found.why is Why.WRITE_REJECTED
    assert "14:47:51 ET" in found.evidence


def test_before_any_batch_has_run_nobody_is_lost():
    waiting = lost(requested=False, generated_rows=0)
    assert why_missing(waiting, night(waiting, ran=False)).why is Why.NOT_RUN_YET


def test_when_the_log_cannot_be_read_a_lost_write_is_unexplained_and_says_why():
    problem = Problem("worker log", NOW, "Cloud Logging did not answer.")
    found = why_missing(lost(), night(lost(), problems=(problem,)))
    assert found.why is Why.UNEXPLAINED
    assert "worker log" in found.evidence


def test_players_left_out_on_purpose_stand_last():
    listed = missing(night(CASES[Why.FILTERED_OUT], CASES[Why.WRITE_REJECTED], CASES[Why.UNEXPLAINED]))
    assert [m.why for m in listed] == [Why.UNEXPLAINED, Why.WRITE_REJECTED, Why.FILTERED_OUT]


@given(st.lists(st.sampled_from([*CASES.values(), player()])))
def test_expected_is_always_active_plus_classified_plus_unexplained(players):
    sums = account(night(*players))
    assert sums.balanced
    assert sums.expected == sum(p.eligible is True for p in players)
