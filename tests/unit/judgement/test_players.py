"""Players: the thresholds judge a night once its run has ended or its deadline has come; before that it is unknown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Result
from services.judgement.players import judge_players
from services.judgement.statement import Statement
from tests.support.alert_factories import make_batch, make_players, make_rejected_players, make_unrequested_players
from tests.support.factories import TIP_OFF, make_night, make_player, player_without_rows
from tests.support.night_facts import SETTINGS, UNREAD, make_batches, make_facts

DEADLINE = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)
BEFORE = DEADLINE - timedelta(seconds=1)
SHORT = make_night(*make_players(68), *make_rejected_players(90))
RUNNING = make_batches(make_batch(state=BatchState.RUNNING, ended=None))
NO_BATCH = Result(Batches((), ()))


def judged(**changes: object) -> Statement:
    return judge_players(make_facts(**changes), SETTINGS)


@pytest.mark.parametrize(
    ("games", "active", "lost", "expected"),
    [
        (11, 19, 1, Health.OK),
        (11, 18, 2, Health.WARNING),
        (11, 16, 4, Health.CRITICAL),
        (11, 0, 0, Health.UNKNOWN),
        (0, 0, 0, Health.NONE_EXPECTED),
        (0, 16, 4, Health.NONE_EXPECTED),
    ],
)
def test_players_are_judged_by_the_thresholds_over_the_eligible_ones(games, active, lost, expected):
    filtered_out = player_without_rows(eligible=False)
    players = [make_player()] * active + make_rejected_players(lost) + [filtered_out]
    assert judged(night=Result(make_night(*players, games=games))).health is expected


@pytest.mark.parametrize("batches", [RUNNING, NO_BATCH, UNREAD])
def test_while_a_run_may_still_bring_them_missing_players_are_unknown_until_the_deadline(batches):
    assert judged(night=Result(SHORT), batches=batches, now=BEFORE).health is Health.UNKNOWN
    assert judged(night=Result(SHORT), batches=batches, now=DEADLINE).health is Health.CRITICAL
    assert judged(night=Result(SHORT), now=BEFORE).health is Health.CRITICAL, "its batch has ended"


@pytest.mark.parametrize("was_run", [False, None])
def test_a_night_not_run_yet_is_unknown_until_the_deadline_and_for_ever_without_one(was_run):
    night = make_night(*make_unrequested_players(20), was_run=was_run)
    assert judged(night=Result(night), now=BEFORE).health is Health.UNKNOWN
    assert judged(night=Result(night), now=DEADLINE).health is Health.CRITICAL
    no_tip_off = make_night(*make_unrequested_players(20), was_run=was_run, tip_offs=())
    assert judged(night=Result(no_tip_off), now=DEADLINE).health is Health.UNKNOWN


def test_a_run_past_its_deadline_and_a_night_without_one_say_so():
    text = "Running past its deadline: 68 of 158 eligible players are active so far"
    assert judged(night=Result(SHORT), batches=RUNNING, now=DEADLINE).text == text
    not_run = make_night(*make_unrequested_players(20), was_run=False)
    assert judged(night=Result(not_run), now=DEADLINE).text == (
        "Not run yet: 20 eligible players, first tip-off 19:00 ET (00:00 UTC)"
    )


def test_active_players_of_a_night_that_nobody_was_requested_for_contradict_it_and_prove_nothing():
    statement = judged(night=Result(make_night(*make_players(158), was_run=False)))
    assert statement.health is Health.UNKNOWN
    assert statement.text == "158 of 158 eligible players are active, though none was requested"
