"""Players: the thresholds judge a night once its run has ended or its deadline has come; before that it is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Result
from services.judgement.players import judge_players, list_details
from services.judgement.statement import Repair, Statement
from tests.support.alert_factories import (
    make_batch,
    make_players,
    make_rejected_players,
    make_unmatched_names,
    make_unmerged_players,
    make_unrequested_players,
)
from tests.support.factories import TIP_OFF, make_night, make_player, make_write_error, player_without_rows
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_batches, make_facts

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


def test_one_active_player_too_contradicts_a_night_that_nobody_was_requested_for():
    night = make_night(*make_players(1), *make_unrequested_players(19), was_run=False)
    assert judged(night=Result(night), now=DEADLINE).health is Health.UNKNOWN


@pytest.mark.parametrize("batches", [RUNNING, NO_BATCH])
def test_a_complete_night_is_in_order_before_its_run_has_ended(batches):
    assert judged(night=Result(make_night(*make_players(20))), batches=batches, now=BEFORE).health is Health.OK


def test_players_without_games_are_not_expected_though_a_run_may_still_bring_them():
    night = make_night(*make_players(16), *make_rejected_players(4), games=0)
    assert judged(night=Result(night), batches=NO_BATCH, now=BEFORE).health is Health.NONE_EXPECTED


def test_an_unexplained_player_leaves_a_night_above_the_thresholds_unknown_and_a_critical_one_critical():
    gone = player_without_rows(player_lookup="gone")
    above = judged(night=Result(make_night(*make_players(99), gone)))
    assert (above.health, above.text) == (Health.UNKNOWN, "1 of 100 players is missing")
    below = judged(night=Result(make_night(*make_players(1), *make_rejected_players(8), gone)))
    assert below.health is Health.CRITICAL


def test_the_statement_counts_the_active_of_the_eligible_players_and_links_to_the_missing_ones():
    statement = judged(night=Result(SHORT))
    assert (statement.part, statement.whole, statement.page) == (68, 158, "missing_players")


def test_an_outdated_night_proves_nothing():
    assert judged(night=Result(make_night(*make_players(20)), outdated=OUTDATED)).health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("night", "text"),
    [
        (make_night(games=0), "No games on this date, so no predictions are expected"),
        (make_night(games=11), "No player is eligible"),
        (make_night(*make_players(2)), "All 2 eligible players have active predictions"),
        (make_night(*make_players(1), *make_rejected_players(1)), "1 of 2 players is missing"),
        (make_night(*make_rejected_players(2)), "2 of 2 players are missing"),
        (make_night(*make_unrequested_players(1), was_run=False, tip_offs=()), "Not run yet: 1 eligible player"),
    ],
)
def test_the_sentence_says_how_many_are_missing_of_how_many(night, text):
    assert judged(night=Result(night)).text == text


def test_before_the_deadline_neither_a_run_nor_its_absence_is_late():
    running = judged(night=Result(SHORT), batches=RUNNING, now=BEFORE)
    assert running.text == "Running: 68 of 158 eligible players are active so far"
    not_run = make_night(*make_unrequested_players(20), was_run=False)
    assert judged(night=Result(not_run), now=BEFORE).text == "Not run yet: 20 eligible players"


LOST = {"player_lookup": "lost"}


@pytest.mark.parametrize(
    ("lost", "cause", "repair"),
    [
        (make_rejected_players(1), "BigQuery rejected the write", Repair.RERUN_PLAYERS),
        (make_unmerged_players(1), "staged but not consolidated", Repair.CONSOLIDATE),
        ([make_player(**LOST, active_rows=0)], "written but not active", Repair.RERUN_PLAYERS),
        (
            [player_without_rows(**LOST, shares_lookup_with="other")],
            "not requested, sharing another player's lookup key",
            None,
        ),
        (make_unrequested_players(1), "not requested", Repair.RERUN_PLAYERS),
        ([player_without_rows(**LOST, generated_rows=0)], "not generated", Repair.RERUN_PLAYERS),
        ([player_without_rows(**LOST)], "unexplained", Repair.RERUN_PLAYERS),
    ],
)
def test_the_cause_and_the_repair_are_those_of_the_stage_that_lost_the_player(lost, cause, repair):
    statement = judged(night=Result(make_night(make_player(), *lost)))
    assert (statement.cause, statement.repair) == (cause, repair)


def test_the_cause_and_the_repair_are_those_of_most_of_the_eligible_missing_players():
    ineligible = [player_without_rows(player_lookup=f"out{n}", eligible=False) for n in range(9)]
    statement = judged(night=Result(make_night(*make_unmerged_players(3), *make_rejected_players(2), *ineligible)))
    assert (statement.cause, statement.repair) == ("3 of them staged but not consolidated", Repair.CONSOLIDATE)


def test_a_night_that_lacks_nobody_has_no_cause_and_no_repair():
    statement = judged(night=Result(make_night(make_player(), player_without_rows(eligible=False))))
    assert (statement.cause, statement.repair, statement.since) == ("", None, None)


def test_players_are_missing_since_the_first_rejected_write_of_an_eligible_one():
    at = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
    rejected = [
        player_without_rows(
            player_lookup=f"p{minute}",
            eligible=minute > 0,
            write_error=make_write_error(at=at + timedelta(minutes=minute)),
        )
        for minute in (0, 2, 1)
    ]
    assert judged(night=Result(make_night(*rejected))).since == at + timedelta(minutes=1)
    assert judged(night=Result(make_night(player_without_rows()))).since is None


def test_while_it_runs_a_night_has_neither_cause_nor_repair():
    statement = judged(night=Result(SHORT), batches=RUNNING, now=DEADLINE)
    assert (statement.cause, statement.since, statement.repair) == ("", None, None)


def test_a_night_that_has_not_run_is_repaired_by_its_run_and_has_no_cause():
    statement = judged(night=Result(make_night(*make_unrequested_players(20), was_run=False)), now=DEADLINE)
    assert (statement.cause, statement.since, statement.repair) == ("", None, Repair.START_RUN)


# --- details ------------------------------------------------------------------------------------------------------------


def test_the_sum_behind_the_sentence_names_every_outcome():
    night = make_night(
        *make_players(3), *make_rejected_players(2), *make_unmerged_players(1), player_without_rows(player_lookup="x")
    )
    assert list_details(night) == ("7 eligible = 3 active + 2 rejected + 1 not consolidated + 1 unexplained",)


@pytest.mark.parametrize(
    "night",
    [
        make_night(*make_players(3)),
        make_night(*make_unrequested_players(3), was_run=False),
        make_night(player_without_rows(eligible=False)),
    ],
)
def test_without_a_player_lost_by_a_run_there_is_no_sum(night):
    assert list_details(night) == ()


def test_names_with_odds_that_are_not_in_context_are_counted_beside_the_sum():
    names = [*make_unmatched_names(2), *make_unmatched_names(1, alias_canonical="ann")]
    text = "3 names with odds have no context row; 1 would match through an existing alias"
    assert list_details(make_night(*make_players(3), *names)) == (text,)
    assert list_details(make_night(*make_rejected_players(1), *names)) == (
        "1 eligible = 0 active + 1 rejected + 0 unexplained",
        text,
    )
    one = list_details(make_night(*make_players(3), *make_unmatched_names(1)))
    assert one == ("1 name with odds has no context row; 0 would match through an existing alias",)
