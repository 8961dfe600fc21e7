"""The first stage that a player did not reach, on evidence; each case differs from a healthy player by one thing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.result import Problem
from services.nights import missing_players
from services.nights.balance import balance
from services.nights.missing_players import LossReason, classify_missing, list_missing_players
from tests.support.factories import NOW, make_night, make_player, make_write_error, player_without_rows

CASES = {
    LossReason.NOT_IN_CONTEXT_ALIAS: player_without_rows(
        in_context=False, eligible=None, alias_canonical="herbertjones", player_lookup="herbjones"
    ),
    LossReason.NOT_IN_CONTEXT: player_without_rows(in_context=False, eligible=None, player_lookup="kevinporterjr"),
    LossReason.FILTERED_OUT: player_without_rows(eligible=False, not_eligible_reason="OUT"),
    LossReason.NEVER_REQUESTED: player_without_rows(requested=False, generated_rows=0),
    LossReason.NOT_GENERATED: player_without_rows(generated_rows=0, generation_error="no_features"),
    LossReason.WRITE_REJECTED: player_without_rows(write_error=make_write_error()),
    LossReason.NOT_CONSOLIDATED: player_without_rows(staged_rows=25, staging_table="nba_predictions._staging_x"),
    LossReason.INACTIVE: make_player(active_rows=0, superseded=True),
    LossReason.UNEXPLAINED: player_without_rows(),
}


@pytest.mark.parametrize("reason", CASES, ids=lambda reason: reason.value)
def test_each_reason_is_assigned_to_its_player(reason):
    missing_player = classify_missing(CASES[reason], make_night(CASES[reason]))
    assert missing_player is not None
    assert missing_player.reason is reason
    assert missing_player.evidence
    assert missing_player.repair


def test_the_players_of_one_reading_are_classified_once_however_often_they_are_asked_for(monkeypatch):
    classified: list[str] = []

    def classify(player, night):
        classified.append(player.player_lookup)
        return classify_missing(player, night)

    monkeypatch.setattr(missing_players, "classify_missing", classify)
    night = make_night(*CASES.values())
    first = list_missing_players(night)
    assert all(list_missing_players(night) is first for _ in range(5))
    balance(night)
    assert len(classified) == len(CASES)
    assert list_missing_players(replace(night, was_run=False)) != first, "another reading is classified anew"


def test_an_active_player_is_not_missing():
    assert classify_missing(make_player(), make_night(make_player())) is None


def test_generated_but_rejected_is_never_called_not_generated():
    missing_player = classify_missing(
        player_without_rows(write_error=make_write_error(), generation_error="some old message"), make_night()
    )
    assert missing_player is not None
    assert missing_player.reason is LossReason.WRITE_REJECTED
    assert "14:47:51 ET" in missing_player.evidence


def test_before_any_batch_ran_no_player_is_lost():
    waiting = player_without_rows(requested=False, generated_rows=0)
    missing_player = classify_missing(waiting, make_night(waiting, was_run=False))
    assert missing_player is not None
    assert missing_player.reason is LossReason.NOT_RUN_YET


def test_a_lost_write_is_unexplained_when_the_log_is_unreadable():
    problem = Problem("worker log", NOW, "Cloud Logging did not answer.")
    missing_player = classify_missing(player_without_rows(), make_night(player_without_rows(), problems=(problem,)))
    assert missing_player is not None
    assert missing_player.reason is LossReason.UNEXPLAINED
    assert "worker log" in missing_player.evidence


def test_ineligible_players_are_sorted_last():
    missing_players = list_missing_players(
        make_night(CASES[LossReason.FILTERED_OUT], CASES[LossReason.WRITE_REJECTED], CASES[LossReason.UNEXPLAINED])
    )
    assert [m.reason for m in missing_players] == [
        LossReason.UNEXPLAINED,
        LossReason.WRITE_REJECTED,
        LossReason.FILTERED_OUT,
    ]


@given(st.lists(st.sampled_from([*CASES.values(), make_player()])))
def test_expected_is_always_active_plus_classified_plus_unexplained(players):
    totals = balance(make_night(*players))
    assert totals.is_balanced
    assert totals.expected == sum(p.eligible is True for p in players)
