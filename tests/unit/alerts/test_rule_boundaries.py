"""Each rule by itself: at and beside its threshold, without its source, and with the sentence that it raises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus
from services.alerts.rules import RULES_BY_NAME, get_rule
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import DataSource, Health, Problem
from services.core.settings import Settings
from services.nights.line_counts import PlayerLines
from services.plumbing.manifest import DeclaredJob, DeclaredSubscription
from services.plumbing.scheduled_jobs import JobReport, JobStatus
from services.plumbing.service_state import ServiceReport, ServiceState
from services.plumbing.subscriptions import SubscriptionReport, SubscriptionState
from services.scaling.annotations import CapacitySetting
from services.scaling.traffic import Traffic
from tests.support.alert_factories import (
    BATCH,
    NOW,
    SETTINGS,
    STARTED,
    empty_batches,
    failed_result,
    make_batch,
    make_batch_record,
    make_leftover_table,
    make_names_before,
    make_night_snapshot,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_schedule,
    make_snapshot,
    make_unmatched_names,
    make_unmerged_players,
    make_unrequested_players,
    make_worker_capacity,
    make_write_report,
    ok_result,
    stalled_batch,
)
from tests.support.factories import TIP_OFF, make_night, player_without_rows

SECOND = timedelta(seconds=1)


def judge(rule: str, now=NOW, platform=None, **night):
    """(health, message, cause) of one rule on a healthy night with these changes."""
    snapshot = make_snapshot(make_night_snapshot(**night), **(platform or {}))
    (result,) = [result for result in evaluate_rules(snapshot, SETTINGS, now) if result.rule.name == rule]
    return result.health, result.message, result.cause


def batch(**changes):
    return ok_result(Batches((make_batch(**changes),), ()))


OK, UNKNOWN, CRITICAL, WARNING = Health.OK, Health.UNKNOWN, Health.CRITICAL, Health.WARNING


@pytest.mark.parametrize(
    ("rule", "sources"),
    [
        ("dml_rejections", ["writes"]),
        ("write_success", ["night"]),
        ("names", ["night", "usual"]),
        ("coverage", ["night"]),
        ("consolidation", ["night", "batches"]),
        ("conservation", ["night", "ledger"]),
        ("not_run", ["night"]),
        ("silence", ["lines"]),
        ("stalled", ["batches"]),
        ("at_zero", ["batches"]),
        ("produced_nothing", ["night", "batches"]),
        ("unanswered", ["batches", "ledger"]),
        ("run_time", ["night", "batches"]),
        ("lines", ["night"]),
    ],
)
def test_a_rule_without_one_of_its_sources_is_unknown_and_says_nothing(rule, sources):
    for source in sources:
        assert judge(rule, **{source: failed_result()})[:2] == (UNKNOWN, ""), source


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("staging_orphans", "staging"),
        ("width", "worker"),
        ("schedule", "schedule"),
        ("duplicates", "duplicates"),
        ("source_stale", "source_times"),
    ],
)
def test_a_rule_of_the_platform_without_its_source_is_unknown_and_says_nothing(rule, source):
    assert judge(rule, platform={source: failed_result()})[:2] == (UNKNOWN, "")


def test_a_result_names_its_night_and_batch_and_one_of_the_platform_neither():
    results = {result.rule.name: result for result in evaluate_rules(make_snapshot(), SETTINGS, NOW)}
    assert set(results) == set(RULES_BY_NAME)
    assert (results["stalled"].game_date, results["stalled"].batch_id) == (make_night_snapshot().game_date, BATCH)
    assert (results["width"].game_date, results["width"].batch_id, results["width"].cause) == (None, "", "width")


def test_a_night_without_a_batch_has_none_in_its_results():
    results = evaluate_rules(make_snapshot(make_night_snapshot(batches=empty_batches())), SETTINGS, NOW)
    assert {result.batch_id for result in results} == {""}


# --- writes ---------------------------------------------------------------------------------------------------------------


def test_rejections_are_counted_with_the_time_of_the_alarm():
    report = make_write_report(*make_rejection_burst(90))
    health, message, cause = judge("dml_rejections", writes=ok_result(report))
    assert (health, cause) == (CRITICAL, "writes")
    assert message.startswith(f"90 of {report.attempted} writes rejected ({SETTINGS.dml_alert_errors} in ")
    assert f" {SETTINGS.dml_alert_window_s} s by 14:4" in message
    assert message.endswith(" ET)")


@pytest.mark.parametrize(("rejected", "health"), [(0, OK), (4, OK), (None, UNKNOWN)])
def test_too_few_rejections_are_no_alert_and_an_unread_number_is_not_taken_for_none(rejected, health):
    report = replace(make_write_report(*make_rejection_burst(4)), rejected=rejected)
    assert judge("dml_rejections", writes=ok_result(report))[:2] == (health, "")


@pytest.mark.parametrize(("rejected", "players", "health"), [(1, 100, OK), (2, 100, CRITICAL), (3, 200, CRITICAL)])
def test_writes_succeed_from_99_of_100_players_on(rejected, players, health):
    night = ok_result(make_night(*make_players(players - rejected), *make_rejected_players(rejected)))
    assert judge("write_success", night=night)[0] is health


def test_the_sentence_of_lost_writes_counts_players_generated():
    night = ok_result(make_night(*make_players(68), *make_rejected_players(90)))
    assert judge("write_success", night=night)[1] == "90 of 158 generated players have rejected writes"


# --- names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "unresolved", "before", "health"),
    [
        (100, 23, (100, 13), WARNING),  # 10 more names, 10.0 points more
        (100, 22, (100, 13), OK),  # 9 more
        (101, 23, (100, 13), OK),  # 9.8 points more
        (10, 9, (100, 5), OK),  # 4 more
        (100, 23, (0, 0), OK),  # no night before
        (0, 0, (100, 13), OK),
    ],
)
def test_names_that_meet_nobody_warn_when_they_rise_by_ten_and_by_ten_points(names, unresolved, before, health):
    night = make_night(*make_players(names - unresolved), *make_unmatched_names(unresolved))
    usual = ok_result(make_names_before(before[1], of=before[0]))
    assert judge("names", night=ok_result(night), usual=usual)[0] is health


def test_the_sentence_of_unmatched_names_has_both_nights():
    aliased = make_unmatched_names(7, alias_canonical="bob")
    night = ok_result(make_night(*make_players(75), *make_unmatched_names(94), *aliased))
    message = judge("names", night=night, usual=ok_result(make_names_before(3, of=150)))[1]
    assert message == (
        "94 of 176 odds names match no player in context, and no alias; 7 more would match through an alias;"
        " 3 of 150 on the game date before"
    )


# --- lines ----------------------------------------------------------------------------------------------------------------


def test_players_predicted_for_an_old_line_and_late_rows_are_an_alert_of_the_rows():
    twenty, ten = (Decimal(20),), (Decimal(10),)
    moved = PlayerLines("player0", twenty, ten, Decimal(10), TIP_OFF, 0)
    late = PlayerLines("player1", twenty, twenty, Decimal(20), TIP_OFF, 25)
    for lines, text in ((moved, "another line than the newest odds"), (late, "25 rows of 1 player made after tip-off")):
        health, message, cause = judge("lines", night=ok_result(make_night(*make_players(2), lines=(lines,))))
        assert (health, text in message, cause) == (WARNING, True, "rows")
    kept = replace(late, late_rows=0)
    assert judge("lines", night=ok_result(make_night(*make_players(2), lines=(kept,))))[:2] == (OK, "")


# --- the batch --------------------------------------------------------------------------------------------------------------


def test_a_stalled_batch_is_named_with_how_far_it_came():
    batches = stalled_batch(requested=104, generated=102, status_text="stalled since 19:58")
    night = ok_result(make_night(*make_unmerged_players(102)))
    assert judge("stalled", night=night, batches=batches) == (
        CRITICAL,
        f"{BATCH} stalled: 102 of 104 generated; stalled since 19:58",
        "run",
    )
    unknown = stalled_batch(requested=None, generated=None)
    assert "unknown of unknown generated" in judge("stalled", night=night, batches=unknown)[1]


def test_a_stalled_batch_is_no_alert_once_every_player_is_active():
    assert judge("stalled", batches=stalled_batch())[0] is OK
    assert judge("stalled", batches=empty_batches())[0] is OK
    assert judge("stalled", night=ok_result(make_night()), batches=stalled_batch())[0] is CRITICAL


@pytest.mark.parametrize("state", [BatchState.REQUESTED, BatchState.RUNNING, BatchState.STALLED])
def test_a_batch_at_zero_fires_after_five_minutes(state):
    night = ok_result(make_night(*make_unrequested_players(3)))
    batches = batch(state=state, ended=None, requested=3, generated=0)
    five_minutes = STARTED + timedelta(minutes=5)
    assert judge("at_zero", five_minutes, night=night, batches=batches)[0] is OK
    assert judge("at_zero", five_minutes + SECOND, night=night, batches=batches) == (
        CRITICAL,
        f"{BATCH}: 0 of 3 since 14:47:00 ET",
        "run",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"generated": 1},
        {"generated": None},
        {"requested": 0},
        {"started": None},
        {"state": BatchState.CONSOLIDATED},
    ],
)
def test_a_batch_that_has_ended_or_got_somewhere_is_not_at_zero(changes):
    night = ok_result(make_night(*make_unrequested_players(3)))
    fields = {"state": BatchState.RUNNING, "ended": None, "requested": 3, "generated": 0, **changes}
    assert judge("at_zero", night=night, batches=batch(**fields))[0] is OK


def test_a_batch_at_zero_of_a_complete_night_is_no_alert():
    assert judge("at_zero", batches=batch(state=BatchState.RUNNING, ended=None, generated=0))[0] is OK
    assert judge("at_zero", batches=empty_batches())[0] is OK


@pytest.mark.parametrize(
    ("state", "health"),
    [
        (BatchState.CONSOLIDATED, CRITICAL),
        (BatchState.UNVERIFIED_SUCCESS, CRITICAL),
        (BatchState.RUNNING, OK),
        (BatchState.CONSOLIDATION_FAILED, OK),
    ],
)
def test_a_batch_that_says_it_ended_without_a_row_fires(state, health):
    night = ok_result(make_night(*make_unrequested_players(3)))
    assert judge("produced_nothing", night=night, batches=batch(state=state))[0] is health


def test_a_batch_with_rows_or_without_anybody_eligible_has_not_produced_nothing():
    assert judge("produced_nothing")[0] is OK
    assert judge("produced_nothing", night=ok_result(make_night()))[0] is OK
    assert judge("produced_nothing", batches=empty_batches())[0] is OK
    night = ok_result(make_night(*make_unrequested_players(3)))
    assert judge("produced_nothing", night=night)[1] == f"{BATCH}: consolidated, but the date has no rows"


# --- consolidation ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "who"), [(1, "1 player"), (2, "2 players")])
def test_players_who_wait_in_staging_after_the_batch_fire(count, who):
    night = ok_result(make_night(*make_unmerged_players(count)))
    assert judge("consolidation", night=night) == (
        CRITICAL,
        f"{who} staged but not consolidated; {BATCH} is consolidated",
        "run",
    )


@pytest.mark.parametrize(
    ("changes", "health"),
    [
        ({"state": BatchState.RUNNING, "ended": None}, OK),
        ({"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "ended": NOW - timedelta(minutes=10)}, OK),
        (
            {
                "state": BatchState.UNVERIFIED_SUCCESS,
                "record_source": "logs",
                "ended": NOW - timedelta(minutes=10) - SECOND,
            },
            CRITICAL,
        ),
        ({"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "logs", "ended": None}, CRITICAL),
        ({"state": BatchState.UNVERIFIED_SUCCESS, "record_source": "ledger", "ended": NOW}, CRITICAL),
        ({"state": BatchState.STALLED, "record_source": "logs", "ended": NOW}, CRITICAL),
    ],
)
def test_players_in_staging_may_wait_while_a_merge_may_follow(changes, health):
    night = ok_result(make_night(*make_unmerged_players(2)))
    assert judge("consolidation", night=night, batches=batch(**changes))[0] is health


def test_a_failed_consolidation_fires_with_its_reason_while_rows_or_players_are_missing():
    failed = batch(state=BatchState.CONSOLIDATION_FAILED, status_text="SchemaDrift")
    critical = (CRITICAL, f"{BATCH}: SchemaDrift")
    short = ok_result(make_night(*make_players(157), *make_rejected_players(1)))
    assert judge("consolidation", night=short, batches=failed)[:2] == critical
    staged = {"staging": ok_result((make_leftover_table(1),))}
    assert judge("consolidation", platform=staged, batches=failed)[:2] == critical
    assert judge("consolidation", platform={"staging": failed_result()}, batches=failed)[:2] == critical


def test_a_batch_recorded_as_failed_of_a_complete_night_is_a_wrong_record():
    failed = batch(state=BatchState.CONSOLIDATION_FAILED, status_text="SchemaDrift")
    health, message, cause = judge("consolidation", batches=failed)
    assert (health, cause) == (WARNING, "run")
    assert message == (
        f"{BATCH} is recorded as consolidation failed, but all 158 eligible players are active"
        " and no staging table of it is left"
    )


def test_a_failed_consolidation_in_a_log_fires_only_while_rows_are_missing():
    failed = batch(state=BatchState.CONSOLIDATION_FAILED, record_source="logs")
    waiting = ok_result(make_night(*make_unmerged_players(1)))
    assert judge("consolidation", batches=failed)[0] is OK
    assert judge("consolidation", night=waiting, batches=failed)[0] is CRITICAL


def test_without_a_batch_nothing_waits():
    assert (
        judge("consolidation", night=ok_result(make_night(*make_unmerged_players(1))), batches=empty_batches())[0] is OK
    )


# --- not run --------------------------------------------------------------------------------------------------------------------


def test_a_date_that_has_not_run_fires_from_its_deadline_on():
    not_run = make_night(*make_unrequested_players(3), was_run=False)
    deadline = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)
    changes = {"night": ok_result(not_run), "batches": empty_batches()}
    assert judge("not_run", deadline - SECOND, **changes)[0] is OK
    assert judge("not_run", deadline, **changes) == (
        CRITICAL,
        "3 eligible players, none requested; first tip-off 19:00:00 ET",
        "run",
    )
    no_tip_off = ok_result(replace(not_run, tip_offs=()))
    assert judge("not_run", deadline, **{**changes, "night": no_tip_off})[0] is OK


@pytest.mark.parametrize(
    ("night", "batches", "health"),
    [
        (make_night(*make_unrequested_players(3), was_run=True), empty_batches(), OK),
        (make_night(*make_unrequested_players(3), was_run=False), batch(), OK),
        (make_night(*make_unrequested_players(3), was_run=None), empty_batches(), UNKNOWN),
        (make_night(was_run=False), empty_batches(), OK),
    ],
)
def test_a_date_that_ran_or_has_nobody_to_run_is_no_alert(night, batches, health):
    assert judge("not_run", TIP_OFF, night=ok_result(night), batches=batches)[0] is health


# --- sums -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("collapsed", "health"), [(395, OK), (396, CRITICAL)])
def test_more_than_a_tenth_of_the_staged_rows_under_one_key_fires(collapsed, health):
    record = make_batch_record(distinct_keys=3950 - collapsed, inserted=3950 - collapsed, collapsed_rows=collapsed)
    assert judge("conservation", ledger=ok_result(record))[0] is health


def test_the_sentence_of_collapsed_rows_has_both_counts():
    record = make_batch_record(distinct_keys=140, inserted=140, collapsed_rows=3810)
    assert judge("conservation", ledger=ok_result(record))[1] == f"{BATCH}: 3,810 of 3,950 staged rows share a key"


def test_a_sum_that_does_not_hold_fires_with_its_numbers():
    health, message, _ = judge("conservation", ledger=ok_result(make_batch_record(staged_rows=3949)))
    assert (health, message.startswith(f"{BATCH}: ")) == (CRITICAL, True)
    assert "3,950" in message or "3950" in message


@pytest.mark.parametrize(
    ("record", "health"),
    [
        (None, OK),
        (make_batch_record(state=BatchState.RUNNING, staged_rows=1), UNKNOWN),
        (make_batch_record(collapsed_rows=None), UNKNOWN),
    ],
)
def test_sums_are_judged_of_a_consolidated_batch_and_where_they_are_known(record, health):
    assert judge("conservation", ledger=ok_result(record))[0] is health


@pytest.mark.parametrize(("written", "health"), [(90, OK), (89, CRITICAL)])
def test_more_than_a_tenth_of_the_rows_of_active_players_missing_fires(written, health):
    night = ok_result(make_night(*make_players(1, generated_rows=100, written_rows=written, active_rows=written)))
    result = judge("conservation", night=night, ledger=ok_result(None))
    assert result[0] is health
    if health is CRITICAL:
        assert result[1] == "100 rows generated for the 1 active players, 89 written"


# --- silence --------------------------------------------------------------------------------------------------------------------


def test_five_minutes_without_a_log_line_are_unknown_and_say_so():
    five_minutes = STARTED + timedelta(minutes=5)
    assert judge("silence", five_minutes, lines=ok_result(0))[0] is OK
    assert judge("silence", five_minutes + SECOND, lines=ok_result(0))[:2] == (
        UNKNOWN,
        f"{BATCH} started 14:47:00 ET; no service has logged a line since",
    )
    assert judge("silence", five_minutes + SECOND, lines=ok_result(1))[0] is OK
    assert judge("silence", lines=ok_result(0), batches=empty_batches())[0] is OK
    assert judge("silence", lines=ok_result(0), batches=batch(started=None))[0] is OK


# --- the platform -----------------------------------------------------------------------------------------------------------------


def orphans(*tables, **night):
    return judge("staging_orphans", platform={"staging": ok_result(tables)}, **night)[:2]


def test_staging_tables_fire_when_they_are_old_and_when_they_expire_within_a_day():
    old = SETTINGS.orphan_after_h
    live = {"batches": batch(batch_id="batch_2025-12-29_1", state=BatchState.RUNNING)}
    assert orphans(make_leftover_table(old), **live) == (OK, "")
    assert orphans(make_leftover_table(old + 0.01), **live) == (
        WARNING,
        f"older than {old:g} h: 1 staging table of 1 batch",
    )
    assert orphans(make_leftover_table(old + 0.01), make_leftover_table(old + 1), **live)[1] == (
        f"older than {old:g} h: 2 staging tables of 1 batch"
    )
    assert orphans(make_leftover_table(1, expires_in_h=24), **live) == (OK, "")
    assert orphans(make_leftover_table(1, 23), make_leftover_table(1, 20), **live) == (
        CRITICAL,
        "2 staging tables expire, the first at 11:07:00 ET",
    )
    no_times = replace(make_leftover_table(99), created=None, expires=None)
    assert orphans(no_times, **live) == (OK, "")


def test_tables_of_a_batch_under_way_are_not_left_behind():
    assert orphans(make_leftover_table(99), batches=batch(state=BatchState.RUNNING)) == (OK, "")
    assert orphans(make_leftover_table(99), batches=batch())[0] is WARNING


def test_a_capacity_that_is_not_what_was_set_warns_and_no_maximum_is_critical():
    drifted = make_worker_capacity(CapacitySetting(None, 20, 5), set_to=CapacitySetting(4, 20, 3))
    assert judge("width", platform={"worker": ok_result(drifted)}) == (WARNING, drifted.drift, "width")
    rolling_out = replace(drifted, rolling_out=True)
    assert judge("width", platform={"worker": ok_result(rolling_out)})[0] is OK
    unlimited = make_worker_capacity(CapacitySetting(None, None, 5))
    assert judge("width", platform={"worker": ok_result(unlimited)})[:2] == (
        CRITICAL,
        "prediction-worker has no maximum of instances",
    )


def test_problems_of_the_schedule_are_listed():
    schedule = make_schedule(missing=("same-day-predictions",))
    assert judge("schedule", platform={"schedule": ok_result(schedule)})[:2] == (
        CRITICAL,
        "; ".join(schedule.job_problems),
    )
    assert judge("schedule")[:2] == (OK, "")


SCHEDULER = DataSource("Cloud Scheduler", NOW)


def failing_job(name: str) -> JobStatus:
    declared = DeclaredJob(name=name, owner="monitoring", schedule="s", time_zone="ET", target="t", enabled=True)
    return JobStatus(declared, None, ("is not in Cloud Scheduler",), WARNING)


def test_a_job_of_the_manifest_that_starts_no_run_is_a_warning_with_its_owner():
    other = ok_result(JobReport((failing_job("stall-check"),), (), SCHEDULER))
    sentence = "stall-check is not in Cloud Scheduler (owner monitoring)"
    assert judge("schedule", platform={"jobs": other})[:2] == (WARNING, sentence)
    missing = make_schedule(missing=("same-day-predictions",))
    both = ok_result(JobReport((failing_job("same-day-predictions"), failing_job("stall-check")), (), SCHEDULER))
    assert judge("schedule", platform={"schedule": ok_result(missing), "jobs": both})[:2] == (
        CRITICAL,
        f"same-day-predictions is not in Cloud Scheduler; {sentence}",
    )


def service_state(health: Health, *problems: str) -> ServiceState:
    traffic = Traffic((("w-1", 100),), follows_latest=True)
    return ServiceState(
        "prediction-worker", "predictions", "w-1", "i", "", traffic, "", None, "", 1, 2, (), problems, health
    )


def test_a_service_that_is_not_as_declared_fires_with_its_owner_and_an_unread_one_is_no_data():
    def drift(*services: ServiceState, problems: tuple[Problem, ...] = ()):
        report = ServiceReport(services, problems, DataSource("Cloud Run", NOW))
        return judge("service_drift", platform={"services": ok_result(report)})[:2]

    lost = "prediction-worker lacks TOPIC in w-1 (owner predictions)"
    assert drift(service_state(CRITICAL, "lacks TOPIC in w-1")) == (CRITICAL, lost)
    assert drift(service_state(WARNING, "lacks TOPIC in w-1")) == (WARNING, lost)
    assert drift(service_state(OK)) == (OK, "")
    unread = (Problem("prediction-coordinator", NOW, "denied"),)
    assert drift(service_state(OK), problems=unread)[0] is Health.UNKNOWN
    assert drift(service_state(CRITICAL, "lacks TOPIC in w-1"), problems=unread) == (CRITICAL, lost)


def test_a_subscription_that_is_not_as_declared_fires_with_its_owner():
    declared = DeclaredSubscription(
        name="requests", owner="predictions", topic="t", target="w/p", dead_letter_topic="", max_unacked_min=15
    )
    dead = SubscriptionState(declared, "", "", None, None, ("pushes nowhere, declared w/p",), CRITICAL)
    in_order, source = replace(dead, problems=(), health=OK), DataSource("Pub/Sub", NOW)

    def drift(*found: SubscriptionState, problems: tuple[Problem, ...] = ()):
        report = SubscriptionReport(found, (), problems, source)
        return judge("subscription_drift", platform={"subscriptions": ok_result(report)})[:2]

    assert drift(dead) == (CRITICAL, "requests pushes nowhere, declared w/p (owner predictions)")
    assert drift(replace(dead, health=WARNING))[0] is WARNING
    assert drift(in_order) == (OK, "")
    assert drift(in_order, problems=(Problem("Cloud Monitoring", NOW, "denied"),))[0] is Health.UNKNOWN


def test_a_channel_that_is_not_set_warns_and_one_that_fails_is_critical():
    assert judge("channel", platform={"channel": ChannelStatus(False)})[:2] == (
        WARNING,
        "No notification channel configured",
    )
    assert judge("channel", platform={"channel": ChannelStatus(True, "Slack said no.")})[:2] == (
        CRITICAL,
        "Slack said no.",
    )
    assert judge("channel")[0] is OK


def test_a_dead_second_channel_is_an_incident_of_its_own_that_the_first_channel_is_sent():
    both = ChannelStatus(True, "Slack said no.", "PagerDuty answered HTTP 400.")
    for channel, causes in ((replace(both, problem=""), ["second channel"]), (both, ["channel", "second channel"])):
        results = evaluate_rules(make_snapshot(make_night_snapshot(), channel=channel), SETTINGS, NOW)
        firing = [result for result in results if result.firing]
        assert [result.cause for result in firing] == causes
        assert firing[-1].message == "PagerDuty answered HTTP 400."
        assert firing[-1].rule.title == "No notification channel"


def test_sources_that_do_not_answer_are_named():
    message = judge("unreadable", usual=failed_result("BigQuery"))[1]
    assert message == "BigQuery: BigQuery did not answer."
    assert judge("unreadable") == (OK, "", RULES_BY_NAME["unreadable"].cause)


# --- the rules as data ------------------------------------------------------------------------------------------------------------


def test_a_threshold_is_shown_with_the_settings_in_it():
    settings = Settings.from_env({})
    text = RULES_BY_NAME["dml_rejections"].format_threshold(settings)
    assert text.startswith(f"{settings.dml_alert_errors} writes rejected")
    assert f"within {settings.dml_alert_window_s} s" in text
    expected = f"older than {settings.orphan_after_h:g} h, "
    assert RULES_BY_NAME["staging_orphans"].format_threshold(settings).startswith(expected)


def test_a_rule_that_only_an_older_version_knows_has_a_stand_in():
    retired = get_rule("no_such_rule")
    assert (retired.name, retired.title, retired.cause, retired.page) == (
        "no_such_rule",
        "no_such_rule",
        "no_such_rule",
        "alerts",
    )
    assert retired.threshold == retired.description == "This version has no such rule any more."
    assert (retired.source, retired.hint) == ("an older version", "Resolve the alert.")
    assert get_rule("stalled") is RULES_BY_NAME["stalled"]


# --- coverage ---------------------------------------------------------------------------------------------------------------------

BEFORE_DEADLINE = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min) - SECOND


@pytest.mark.parametrize(
    ("missing", "cause"),
    [(make_rejected_players(90), "writes"), (make_unmerged_players(90), "run"), (make_unrequested_players(90), "run")],
)
def test_missing_coverage_belongs_to_what_lost_most_players_and_names_it(missing, cause):
    health, message, found = judge("coverage", night=ok_result(make_night(*make_players(68), *missing)))
    assert (health, found) == (CRITICAL, cause)
    assert message.startswith("68 of 158 eligible players are active (43.0%): 90 missing, most ")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, "generation"),
        ({"state": BatchState.STALLED}, "run"),
        ({"generated": 0}, "run"),
        ({"generated": None}, "run"),
    ],
)
def test_players_not_generated_belong_to_a_batch_that_stopped_early_and_else_to_generation(changes, cause):
    lost = [player_without_rows(player_lookup=f"lost{n}", generated_rows=0, staged_rows=0) for n in range(90)]
    night = ok_result(make_night(*make_players(68), *lost))
    assert judge("coverage", TIP_OFF, night=night, batches=batch(**changes))[2] == cause
    assert judge("coverage", TIP_OFF, night=night, batches=empty_batches())[2] == "generation"


@pytest.mark.parametrize(
    ("changes", "now", "health"),
    [
        ({"state": BatchState.CONSOLIDATED}, BEFORE_DEADLINE, CRITICAL),
        ({"state": BatchState.RUNNING, "ended": None}, BEFORE_DEADLINE, OK),
        ({"state": BatchState.RUNNING, "ended": None}, BEFORE_DEADLINE + SECOND, CRITICAL),
    ],
)
def test_coverage_is_judged_once_the_batch_has_ended_or_the_deadline_has_come(changes, now, health):
    night = ok_result(make_night(*make_players(68), *make_rejected_players(90)))
    assert judge("coverage", now, night=night, batches=batch(**changes))[0] is health


def test_coverage_of_a_night_without_games_or_without_a_run_is_not_judged():
    assert judge("coverage", night=ok_result(make_night(games=0)))[0] is OK
    assert judge("not_run", TIP_OFF, night=ok_result(make_night(games=0)))[0] is OK
    not_run = ok_result(make_night(*make_unrequested_players(3), was_run=False))
    assert judge("coverage", TIP_OFF, night=not_run, batches=empty_batches())[0] is OK
    assert judge("coverage", TIP_OFF, night=not_run)[0] is CRITICAL, "a batch is recorded, and it asked for nobody"
