"""Conservation, writes, staging and batch of one night: proven, in doubt, or wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Result
from services.judgement.statement import Repair, Subject
from services.nights.balance import balance
from tests.support.alert_factories import (
    STARTED,
    make_batch,
    make_batch_record,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_unmerged_players,
    make_write_report,
)
from tests.support.factories import NOW, TIP_OFF, make_night, make_player, player_without_rows
from tests.support.night_facts import OUTDATED, UNREAD, judge, make_batches, make_counts, make_facts

PROBLEM = Problem("worker log", NOW, "The newest 10,000 lines were read.")


def state_of(subject, **changes):
    statement = judge(**changes).get(subject)
    return statement.health, statement.sentence


# --- conservation -------------------------------------------------------------------------------------------------------


def test_each_sum_of_the_newest_batch_holds():
    health, text = state_of(Subject.CONSERVATION)
    assert (health, text) == (Health.OK, "all 5 counts of batch_2025-12-29_1767037620 add up")


@pytest.mark.parametrize(
    "lost", [{"staged_rows": 3900}, {"distinct_keys": 3949}, {"inserted": 3949}, {"requested": 159}]
)
def test_a_sum_that_does_not_hold_is_critical(lost):
    record = make_batch_record(**{"requested": 158, "details": make_counts(), **lost})
    assert state_of(Subject.CONSERVATION, record=Result(record))[0] is Health.CRITICAL


def test_players_without_an_answer_are_critical():
    record = make_batch_record(requested=158, details=make_counts(**{"staged": 136, "no answer": 22}))
    assert state_of(Subject.CONSERVATION, record=Result(record))[0] is Health.CRITICAL


def test_a_number_that_is_not_known_yet_is_unknown_and_never_wrong_while_the_batch_runs():
    record = make_batch_record(requested=158, details=make_counts(), inserted=None)
    assert state_of(Subject.CONSERVATION, record=Result(record))[0] is Health.UNKNOWN
    counted = make_batch_record(state=BatchState.RUNNING, requested=158, details=make_counts(staged=90))
    assert state_of(Subject.CONSERVATION, record=Result(counted))[0] is Health.UNKNOWN


def test_an_earlier_version_that_counted_no_players_leaves_its_sums_of_rows():
    health, text = state_of(Subject.CONSERVATION, record=Result(make_batch_record(requested=158)))
    assert (health, text.partition(" of ")[0]) == (Health.OK, "all 3 counts")


def test_without_a_ledger_the_sums_of_players_decide():
    health, text = state_of(Subject.CONSERVATION, record=Result(None))
    assert (health, text) == (Health.OK, "player counts add up; row counts are not recorded")


@pytest.mark.parametrize("record", [UNREAD, replace(make_facts().record, outdated=OUTDATED)])
def test_a_ledger_that_cannot_be_read_now_is_unknown(record):
    assert state_of(Subject.CONSERVATION, record=record)[0] is Health.UNKNOWN


def test_rows_that_share_keys_are_critical_by_the_record_and_by_the_players():
    collapsed = make_batch_record(
        requested=158, details=make_counts(), distinct_keys=3000, collapsed_rows=950, inserted=3000
    )
    assert "950 of 3,950 staged rows share a key" in state_of(Subject.CONSERVATION, record=Result(collapsed))[1]
    night = Result(make_night(*make_players(158, written_rows=5, active_rows=5)))
    health, text = state_of(Subject.CONSERVATION, record=Result(None), night=night)
    assert (health, text) == (Health.CRITICAL, "3,950 rows generated for the 158 active players, 790 written")


@pytest.mark.parametrize(
    ("player", "sum_text"),
    [
        (make_player(requested=False), "2 eligible ≠ 1 requested + 0 not requested + 0 of whom that is unknown"),
        (make_player(generated_rows=0), "2 requested ≠ 1 generated + 0 not generated + 0 without an answer"),
        (make_player(generated_rows=None), "1 generated ≠ 2 active"),
        (player_without_rows(generated_rows=None, written_rows=1), ""),
    ],
)
def test_the_sums_of_players_are_counted_on_both_sides(player, sum_text):
    totals = balance(make_night(make_player(), player))
    wrong = next((str(player_sum) for player_sum in totals.sums if not player_sum.holds), "")
    assert (wrong, totals.is_balanced) == (sum_text, not sum_text)
    if sum_text:
        night = Result(make_night(make_player(), player))
        health, text = state_of(Subject.CONSERVATION, night=night, record=Result(None))
        assert (health, text) == (Health.CRITICAL, f"player counts don't add up: {sum_text}")


# --- writes -------------------------------------------------------------------------------------------------------------

BURST = Result(make_write_report(*make_rejection_burst()))


def test_rejected_writes_are_critical_while_their_players_are_missing():
    night = Result(make_night(*make_players(68), *make_rejected_players(90)))
    assert state_of(Subject.WRITES, writes=BURST, night=night)[0] is Health.CRITICAL


def test_rejected_writes_whose_players_are_active_since_are_history():
    repair = make_batch(started=STARTED + timedelta(hours=11), ended=STARTED + timedelta(hours=11, minutes=5))
    health, text = state_of(Subject.WRITES, writes=BURST, batches=make_batches(repair))
    assert (health, text) == (
        Health.OK,
        "90 of 90 writes rejected (100.0%); peak 0 concurrent, limit 22; repaired at 01:52 ET (06:52 UTC)",
    )


def test_rejected_writes_of_the_newest_batch_are_a_warning_though_all_players_are_active():
    health, text = state_of(Subject.WRITES, writes=BURST, batches=make_batches(make_batch()))
    assert (health, text.rpartition("; ")[2]) == (Health.WARNING, "no player is missing because of them")


@pytest.mark.parametrize(
    "changes",
    [
        {"night": UNREAD},
        {"batches": make_batches(make_batch(started=STARTED + timedelta(hours=11), state=BatchState.RUNNING))},
    ],
)
def test_without_proof_of_a_repair_rejected_writes_stay_critical(changes):
    assert state_of(Subject.WRITES, writes=BURST, **changes)[0] is Health.CRITICAL


def test_a_repair_shown_by_an_old_reading_is_unknown():
    repair = make_batches(make_batch(started=STARTED + timedelta(hours=11)))
    old_night = replace(make_facts().night, outdated=OUTDATED)
    assert state_of(Subject.WRITES, writes=BURST, batches=repair, night=old_night)[0] is Health.UNKNOWN


def test_generated_players_who_were_rejected_are_critical_whatever_the_job_history_shows():
    night = Result(make_night(*make_players(97), *make_rejected_players(3)))
    health, text = state_of(Subject.WRITES, night=night)
    assert (health, text) == (
        Health.CRITICAL,
        "0 of 1 writes rejected; peak 0 concurrent, limit 22; 3 of 100 generated players have rejected writes",
    )
    health, text = state_of(Subject.WRITES, night=night, writes=UNREAD)
    assert (health, text.partition(",")[0]) == (
        Health.CRITICAL,
        "3 of 100 generated players have rejected writes",
    )
    few = Result(make_night(*make_players(199), *make_rejected_players(1)))
    assert state_of(Subject.WRITES, night=few)[0] is Health.OK, "within WRITE_SUCCESS_PCT"


PARTIAL_WRITES = replace(make_write_report(), problems=(PROBLEM,))


@pytest.mark.parametrize("writes", [UNREAD, Result(make_write_report(), outdated=OUTDATED), Result(PARTIAL_WRITES)])
def test_writes_that_are_unread_old_or_read_in_part_are_unknown(writes):
    assert state_of(Subject.WRITES, writes=writes)[0] is Health.UNKNOWN


# --- staging ------------------------------------------------------------------------------------------------------------


def test_rows_that_wait_in_staging_are_critical_with_their_button_and_unknown_while_the_batch_runs():
    night = Result(make_night(*make_players(100), *make_unmerged_players(58)))
    statement = judge(night=night).get(Subject.STAGING)
    assert (statement.health, statement.part, statement.repair) == (Health.CRITICAL, 58, Repair.CONSOLIDATE)
    running = make_batches(make_batch(state=BatchState.STAGED))
    in_time = TIP_OFF - timedelta(hours=4)
    statement = judge(night=night, batches=running, now=in_time).get(Subject.STAGING)
    assert (statement.health, statement.repair) == (Health.UNKNOWN, None)
    late = judge(night=night, batches=running).get(Subject.STAGING)
    assert (late.health, late.repair) == (Health.CRITICAL, None)
    assert late.text.startswith("as of 01:45 ET (06:45 UTC), batch running; 58 players with unmerged rows in staging")


def test_staging_tables_that_could_not_be_read_are_unknown():
    unread = Problem("staging tables", NOW, "3 of 5 staging tables of the night could not be read yet.")
    night = Result(make_night(*make_players(158), problems=(unread,)))
    assert state_of(Subject.STAGING, night=night)[0] is Health.UNKNOWN


# --- batch --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "active", "expected"),
    [
        ({"state": BatchState.CONSOLIDATED}, 158, Health.OK),
        ({"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "health": Health.UNKNOWN}, 158, Health.OK),
        (
            {"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "health": Health.UNKNOWN},
            68,
            Health.CRITICAL,
        ),
        ({"state": BatchState.STALLED, "record_source": "logs", "health": Health.CRITICAL}, 158, Health.OK),
        ({"state": BatchState.STALLED, "health": Health.CRITICAL}, 158, Health.WARNING),
        ({"state": BatchState.CONSOLIDATION_FAILED, "health": Health.CRITICAL}, 158, Health.WARNING),
        ({"state": BatchState.STALLED, "health": Health.CRITICAL}, 157, Health.CRITICAL),
    ],
)
def test_a_batch_is_judged_beside_the_players_who_are_active(changes, active, expected):
    night = Result(make_night(*make_players(active), *make_rejected_players(158 - active)))
    assert state_of(Subject.BATCH, batches=make_batches(make_batch(**changes)), night=night)[0] is expected


def test_a_success_that_claims_as_many_players_as_are_active_is_one_and_a_smaller_one_is_unproven():
    night = Result(make_night(*make_players(152), *make_rejected_players(6)))
    claim = {"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "health": Health.UNKNOWN}
    for generated, expected in ((152, Health.OK), (6, Health.WARNING), (155, Health.CRITICAL)):
        batches = make_batches(make_batch(**claim, generated=generated))
        assert state_of(Subject.BATCH, batches=batches, night=night)[0] is expected


def test_a_batch_beside_an_unread_source_is_unknown_and_beside_one_that_does_not_exist_is_not():
    assert state_of(Subject.BATCH, batches=make_batches(problems=(PROBLEM,)))[0] is Health.UNKNOWN
    assert state_of(Subject.BATCH, batches=make_batches(not_recorded=(PROBLEM,)))[0] is Health.OK


# --- what is known of a night without runs, writes or batches ---------------------------------------------------------------


def test_a_night_that_has_not_run_has_no_sum():
    night = Result(make_night(*[player_without_rows(requested=False, generated_rows=0)], was_run=False))
    assert state_of(Subject.CONSERVATION, night=night)[0] is Health.NONE_EXPECTED


def test_unexplained_players_are_counted_and_leave_the_sums_unknown():
    night = Result(make_night(*make_players(157), player_without_rows(player_lookup="gone")))
    statement = judge(night=night, record=Result(None)).get(Subject.CONSERVATION)
    assert (statement.health, statement.text) == (Health.UNKNOWN, "1 player unexplained")
    assert (statement.part, statement.whole) == (1, 158)


@pytest.mark.parametrize("lost", [make_rejected_players(1), [player_without_rows(player_lookup="gone")]])
def test_rejected_writes_are_no_history_while_a_player_is_rejected_or_unexplained(lost):
    night = Result(make_night(*make_players(157), *lost))
    repair = make_batch(started=STARTED + timedelta(hours=11), ended=STARTED + timedelta(hours=11, minutes=5))
    assert state_of(Subject.WRITES, writes=BURST, night=night, batches=make_batches(repair))[0] is Health.CRITICAL


def test_a_night_without_writes_says_so():
    assert state_of(Subject.WRITES, writes=Result(make_write_report()))[1].startswith(
        "no writes to the predictions table"
    )


@pytest.mark.parametrize(
    ("games", "problems", "health"),
    [(11, (), Health.UNKNOWN), (0, (), Health.NONE_EXPECTED), (0, (PROBLEM,), Health.UNKNOWN)],
)
def test_a_date_without_a_batch_is_in_order_only_without_games_and_read_completely(games, problems, health):
    batches = Result(Batches((), (), problems))
    assert state_of(Subject.BATCH, batches=batches, night=Result(make_night(games=games)))[0] is health


@pytest.mark.parametrize(
    ("source", "state", "repair"),
    [
        ("ledger", BatchState.STALLED, Repair.RESUME),
        ("logs", BatchState.STALLED, None),
        ("ledger", BatchState.CONSOLIDATION_FAILED, None),
    ],
)
def test_only_a_stalled_batch_of_the_ledger_is_offered_to_be_resumed(source, state, repair):
    batch = make_batch(state=state, health=Health.CRITICAL, record_source=source)
    night = Result(make_night(*make_players(100), *make_rejected_players(58)))
    assert judge(batches=make_batches(batch), night=night).get(Subject.BATCH).repair is repair
