"""Conservation, writes, staging and batch of one night: proven, in doubt, or wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Result
from services.judgement.flow import describe_writes, find_lost_writes
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
from tests.support.factories import NOW, TIP_OFF, make_attempt, make_night, make_player, player_without_rows
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, judge, make_batches, make_counts, make_facts

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


def test_a_sum_that_does_not_hold_is_named_with_its_batch_and_its_parts():
    record = make_batch_record(requested=158, details=make_counts(), distinct_keys=3949, collapsed_rows=0)
    statement = judge(record=Result(record)).get(Subject.CONSERVATION)
    assert statement.text == "batch_2025-12-29_1767037620: 3,950 staged, but unique + duplicate = 3,949 + 0"
    assert (statement.part, statement.whole) == (3, 5), "the unique keys are not those that were merged either"


def test_sums_that_are_not_known_yet_are_counted_with_those_that_do_not_hold_yet():
    counts = make_counts(staged=90)
    record = make_batch_record(state=BatchState.RUNNING, requested=158, details=counts, inserted=None)
    statement = judge(record=Result(record)).get(Subject.CONSERVATION)
    assert statement.text == "batch_2025-12-29_1767037620: 2 of 5 checks not known yet"
    assert (statement.part, statement.whole) == (3, 5)


@pytest.mark.parametrize(("collapsed", "health"), [(5, Health.OK), (6, Health.CRITICAL)])
def test_rows_may_share_keys_up_to_the_limit(collapsed, health):
    limit = SETTINGS.collapsed_max_pct
    staged, distinct = round(500 / limit), round(500 / limit) - collapsed
    record = make_batch_record(
        produced_rows=staged, staged_rows=staged, distinct_keys=distinct, collapsed_rows=collapsed, inserted=distinct
    )
    assert state_of(Subject.CONSERVATION, record=Result(record))[0] is health
    player = make_player(generated_rows=staged, written_rows=distinct)
    assert state_of(Subject.CONSERVATION, record=Result(None), night=Result(make_night(player)))[0] is health


@pytest.mark.parametrize("unknown", [{"collapsed_rows": None}, {"staged_rows": None}])
def test_how_many_rows_share_keys_is_unknown_where_a_count_is(unknown):
    record = make_batch_record(requested=158, details=make_counts(), **{"collapsed_rows": 950, **unknown})
    running = replace(record, state=BatchState.RUNNING)
    assert state_of(Subject.CONSERVATION, record=Result(running))[0] is Health.UNKNOWN


def test_the_rows_of_players_who_are_missing_do_not_count_as_sharing_keys():
    night = Result(make_night(*make_players(10), *make_rejected_players(90)))
    assert state_of(Subject.CONSERVATION, record=Result(None), night=night)[0] is Health.OK


def test_rows_that_share_keys_are_counted_as_written_of_generated():
    night = Result(make_night(*make_players(2, written_rows=5, active_rows=5)))
    statement = judge(record=Result(None), night=night).get(Subject.CONSERVATION)
    assert (statement.part, statement.whole) == (10, 50)


def test_the_sums_of_an_outdated_night_prove_nothing():
    night = replace(make_facts().night, outdated=OUTDATED)
    assert state_of(Subject.CONSERVATION, night=night)[0] is Health.UNKNOWN
    not_run = Result(make_night(was_run=False), outdated=OUTDATED)
    assert state_of(Subject.CONSERVATION, night=not_run) == (
        Health.UNKNOWN,
        "not run yet, but x does not answer; data of 01:45:10, 98 s old",
    )


def test_unexplained_players_name_the_source_that_could_not_be_read():
    night = Result(make_night(player_without_rows(), problems=(PROBLEM,)))
    assert state_of(Subject.CONSERVATION, night=night)[1] == f"1 player unexplained, but {PROBLEM.message}"


# --- writes -------------------------------------------------------------------------------------------------------------

REJECTED = make_write_report(*make_rejection_burst())
BURST = Result(REJECTED)


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


def test_writes_are_unknown_where_their_totals_are():
    report = replace(make_write_report(), attempted=None, rejected=None)
    assert describe_writes(report) == "unknown: the job history could not be read"
    assert describe_writes(replace(report, problems=(PROBLEM,))) == "unknown: the job history could not be read in full"
    some = replace(report, rejected_at_least=3)
    assert describe_writes(some) == "at least 3 writes rejected; the totals are unknown"
    assert describe_writes(replace(some, attempted=10)) == describe_writes(some)
    assert describe_writes(replace(some, rejected=3)) == describe_writes(some)


def test_the_peak_of_writes_is_said_where_it_is_known():
    report = replace(make_write_report(make_attempt()), peak_outstanding=None)
    assert describe_writes(report) == "0 of 1 writes rejected"


def test_rejected_writes_are_counted_of_those_attempted():
    statement = judge(writes=BURST).get(Subject.WRITES)
    assert (statement.part, statement.whole, statement.page) == (90, 90, "dml_errors")


def test_exactly_the_share_of_writes_that_must_succeed_is_enough():
    limit = SETTINGS.model_copy(update={"write_success_pct": 90.0})
    assert find_lost_writes(make_night(*make_players(9), *make_rejected_players(1)), limit) is None
    assert find_lost_writes(make_night(*make_players(8), *make_rejected_players(1)), limit) is not None


def test_rejected_writes_shown_by_the_players_alone_say_that_the_job_history_is_unread():
    night = Result(make_night(*make_players(97), *make_rejected_players(3)))
    text = "3 of 100 generated players have rejected writes, but x did not answer."
    assert state_of(Subject.WRITES, night=night, writes=UNREAD)[1] == text
    sources = judge(night=replace(night, outdated=OUTDATED), writes=UNREAD).get(Subject.WRITES).problems
    assert sources == (UNREAD.problem, OUTDATED)
    both = judge(night=replace(night, outdated=OUTDATED), writes=BURST).get(Subject.WRITES)
    assert both.problems == (OUTDATED,)


def test_a_repair_is_proven_by_a_fresh_reading_of_the_batches_too():
    repair = replace(make_batches(make_batch(started=STARTED + timedelta(hours=11))), outdated=OUTDATED)
    assert state_of(Subject.WRITES, writes=BURST, batches=repair)[0] is Health.UNKNOWN


def test_a_rejected_player_who_is_ineligible_now_is_no_obstacle_to_a_repair():
    night = Result(make_night(*make_players(157), *make_rejected_players(1, eligible=False)))
    repair = make_batches(make_batch(started=STARTED + timedelta(hours=11)))
    assert state_of(Subject.WRITES, writes=BURST, night=night, batches=repair)[0] is Health.OK


def test_a_player_lost_for_another_reason_is_no_obstacle_to_a_repair():
    night = Result(make_night(*make_players(157), player_without_rows(generated_rows=0)))
    repair = make_batches(make_batch(started=STARTED + timedelta(hours=11)))
    assert state_of(Subject.WRITES, writes=BURST, night=night, batches=repair)[0] is Health.OK


def test_only_a_batch_that_began_after_the_last_rejection_is_a_repair():
    last = REJECTED.last_rejected_at
    for started, health in ((last, Health.WARNING), (last + timedelta(seconds=1), Health.OK), (None, Health.WARNING)):
        batches = make_batches(make_batch(started=started, ended=None))
        assert state_of(Subject.WRITES, writes=BURST, batches=batches)[0] is health
    untimed = Result(replace(REJECTED, last_rejected_at=None))
    repair = make_batches(make_batch(started=STARTED + timedelta(hours=11), ended=None))
    assert state_of(Subject.WRITES, writes=untimed, batches=repair)[0] is Health.WARNING
    assert state_of(Subject.WRITES, writes=BURST, batches=repair)[1].endswith("repaired at 01:47 ET (06:47 UTC)")


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


def test_players_missing_for_another_reason_leave_staging_in_order():
    statement = judge(night=Result(make_night(*make_players(68), *make_rejected_players(90)))).get(Subject.STAGING)
    assert (statement.health, statement.text) == (Health.OK, "no unmerged rows of this date in staging")
    assert (statement.part, statement.whole, statement.page) == (0, 158, "staging_tables")


def test_of_waiting_players_those_of_the_night_are_the_whole():
    statement = judge(night=Result(make_night(*make_players(100), *make_unmerged_players(58)))).get(Subject.STAGING)
    assert (statement.part, statement.whole) == (58, 158)


def test_staging_is_unknown_where_the_night_is_outdated_and_not_where_another_source_was_unread():
    night = make_night(*make_players(158), problems=(PROBLEM,))
    assert state_of(Subject.STAGING, night=Result(night))[0] is Health.OK
    assert state_of(Subject.STAGING, night=Result(night, outdated=OUTDATED))[0] is Health.UNKNOWN


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


LOGGED = {"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "health": Health.UNKNOWN}
STALLED = {"state": BatchState.STALLED, "health": Health.CRITICAL}


@pytest.mark.parametrize(
    ("changes", "active", "lost", "expected"),
    [
        ({}, 2, 0, (Health.OK, "consolidated")),
        (LOGGED, 158, 0, (Health.OK, "reported success, and 158 players are active")),
        (LOGGED, 68, 90, (Health.CRITICAL, "reported success 158/158, but only 68 players are active")),
        (
            {**LOGGED, "generated": None, "requested": None},
            68,
            90,
            (Health.CRITICAL, "reported success 158/unknown, but only 68 players are active"),
        ),
        (
            {**LOGGED, "generated": None, "requested": 100},
            68,
            90,
            (Health.CRITICAL, "reported success 100/100, but only 68 players are active"),
        ),
        (
            {**LOGGED, "generated": 6},
            152,
            6,
            (Health.WARNING, "reported success, unverified: 152 of 158 are active"),
        ),
        ({**LOGGED, "generated": 6}, 158, 0, (Health.OK, "reported success, and 158 players are active")),
        (
            {**LOGGED, "generated": 0},
            0,
            158,
            (Health.WARNING, "reported success, unverified: 0 of 158 are active"),
        ),
        (STALLED, 158, 0, (Health.WARNING, "stalled, and 158 players are active")),
        ({**STALLED, "generated": 100}, 100, 58, (Health.CRITICAL, "stalled")),
        (STALLED, 0, 0, (Health.CRITICAL, "stalled")),
    ],
)
def test_a_batch_is_said_with_the_players_who_are_active(changes, active, lost, expected):
    night = Result(make_night(*make_players(active), *make_rejected_players(lost)))
    health, text = state_of(Subject.BATCH, batches=make_batches(make_batch(**changes)), night=night)
    assert (health, text) == (expected[0], f"batch_2025-12-29_1767037620: {expected[1]}")


def test_a_claim_cannot_be_verified_without_the_night():
    health, text = state_of(Subject.BATCH, batches=make_batches(make_batch(**LOGGED)), night=UNREAD)
    claim = "batch_2025-12-29_1767037620: reported success, unverified"
    assert (health, text) == (Health.UNKNOWN, f"{claim}, but x did not answer.")


@pytest.mark.parametrize(("reading", "changes"), [("batches", {}), ("batches", LOGGED), ("night", LOGGED)])
def test_a_batch_of_an_outdated_reading_is_unknown(reading, changes):
    facts = make_facts(batches=make_batches(make_batch(**changes)))
    old = {"batches": facts.batches, reading: replace(getattr(facts, reading), outdated=OUTDATED)}
    assert state_of(Subject.BATCH, **old)[0] is Health.UNKNOWN


def test_a_date_without_a_batch_says_whether_there_are_games():
    none = Result(Batches((), ()))
    assert state_of(Subject.BATCH, batches=none) == (Health.UNKNOWN, "no batch recorded for this date")
    assert state_of(Subject.BATCH, batches=none, night=UNREAD) == (Health.UNKNOWN, "no batch recorded for this date")
    no_games = Result(make_night(games=0))
    assert state_of(Subject.BATCH, batches=none, night=no_games) == (Health.NONE_EXPECTED, "no games, no batch")
    assert state_of(Subject.BATCH, batches=replace(none, outdated=OUTDATED), night=no_games)[0] is Health.UNKNOWN


def test_a_stalled_batch_whose_players_are_all_active_needs_no_resuming():
    assert judge(batches=make_batches(make_batch(**STALLED))).get(Subject.BATCH).repair is None


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
