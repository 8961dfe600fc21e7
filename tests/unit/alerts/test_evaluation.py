"""The rules: each of the customer's bad days raises its one incident, healthy ones none, and unknown is never OK."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus
from services.alerts.incidents import causes_without_data, group_by_cause
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem
from services.scaling.annotations import CapacitySetting
from services.telemetry.dml_jobs import build_report
from tests.support.alert_factories import (
    NOW,
    SETTINGS,
    SNAPSHOTS,
    STARTED,
    empty_batches,
    failed_result,
    make_batch,
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
from tests.support.factories import TIP_OFF, make_job_history, make_log_lines, make_night


def find_incidents(snapshot, now=NOW):
    return group_by_cause(evaluate_rules(snapshot, SETTINGS, now))


def fired_rules(snapshot, now=NOW):
    return {finding.rule.name for incident in find_incidents(snapshot, now) for finding in incident.results}


@pytest.mark.parametrize("day", SNAPSHOTS)
def test_each_scenario_raises_its_incident_and_no_other(day):
    snapshot, expected = SNAPSHOTS[day]
    assert [(i.rule.name, i.cause) for i in find_incidents(snapshot)] == ([expected] if expected else [])


def test_a_thousand_healthy_batches_raise_nothing():
    rng = random.Random(1)
    for _ in range(1_000):
        count = rng.randint(20, 180)
        running = rng.random() < 0.2
        state = rng.choice([BatchState.RUNNING, BatchState.STAGED]) if running else BatchState.CONSOLIDATED
        started = STARTED + timedelta(minutes=rng.uniform(0, 19))
        active = count if not running else rng.randint(1, count)
        snapshot = make_snapshot(
            make_night_snapshot(
                night=ok_result(
                    make_night(
                        *make_players(active),
                        *(make_unrequested_players(count - active) if running else []),
                        *make_unmatched_names(rng.randint(0, 9)),
                    )
                ),
                usual=ok_result(make_names_before(rng.randint(0, 12), of=150)),
                batches=ok_result(
                    Batches((make_batch(state=state, started=started, requested=count, generated=active),), ())
                ),
            ),
            staging=ok_result((make_leftover_table(0.1),) if running else ()),
            worker=ok_result(
                make_worker_capacity(
                    rng.choice([CapacitySetting(None, 20, 5), CapacitySetting(4, 20, 3), CapacitySetting(10, 20, 5)])
                )
            ),
        )
        assert find_incidents(snapshot) == ()


@pytest.mark.parametrize(
    ("snapshot", "rule"),
    [
        (
            make_snapshot(make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(5))))),
            "dml_rejections",
        ),
        (
            make_snapshot(
                make_night_snapshot(night=ok_result(make_night(*make_players(97), *make_rejected_players(2))))
            ),
            "write_success",
        ),
        (
            make_snapshot(
                make_night_snapshot(
                    batches=ok_result(Batches((make_batch(state=BatchState.CONSOLIDATION_FAILED),), ()))
                )
            ),
            "consolidation",
        ),
        (
            make_snapshot(
                make_night_snapshot(night=ok_result(make_night(*make_players(150), *make_unmerged_players(3))))
            ),
            "consolidation",
        ),
        (
            make_snapshot(
                make_night_snapshot(night=ok_result(make_night(*make_unrequested_players(158), written_rows=0)))
            ),
            "produced_nothing",
        ),
        (make_snapshot(staging=ok_result((make_leftover_table(25),))), "staging_orphans"),
        (make_snapshot(staging=ok_result((make_leftover_table(1, expires_in_h=20),))), "staging_orphans"),
        (make_snapshot(worker=ok_result(make_worker_capacity(CapacitySetting(None, None, 5)))), "width"),
        (make_snapshot(schedule=ok_result(make_schedule(missing=("same-day-predictions",)))), "schedule"),
        (make_snapshot(schedule=ok_result(make_schedule(problem="is paused"))), "schedule"),
        (make_snapshot(make_night_snapshot(lines=ok_result(0))), "silence"),
        (make_snapshot(duplicates=failed_result()), "unreadable"),
        (make_snapshot(channel=ChannelStatus(False)), "channel"),
        (make_snapshot(channel=ChannelStatus(True, "Slack answered HTTP 404: no_service")), "channel"),
    ],
)
def test_each_rule_fires_at_its_threshold(snapshot, rule):
    assert rule in fired_rules(snapshot)


@pytest.mark.parametrize(
    ("snapshot", "rule"),
    [
        (
            make_snapshot(make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(4))))),
            "dml_rejections",
        ),
        (
            make_snapshot(
                make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(20, every_s=16))))
            ),
            "dml_rejections",
        ),
        (
            make_snapshot(
                make_night_snapshot(night=ok_result(make_night(*make_players(199), *make_rejected_players(1))))
            ),
            "write_success",
        ),
        (
            make_snapshot(
                make_night_snapshot(
                    night=ok_result(make_night(*make_players(158), *make_unmatched_names(12))),
                    usual=ok_result(make_names_before(3, of=150)),
                )
            ),
            "names",
        ),
        (make_snapshot(staging=ok_result((make_leftover_table(23),))), "staging_orphans"),
        (
            make_snapshot(
                worker=ok_result(make_worker_capacity(CapacitySetting(4, 20, 3), set_to=CapacitySetting(4, 20, 3)))
            ),
            "width",
        ),
    ],
)
def test_each_rule_is_ok_below_its_threshold(snapshot, rule):
    assert rule not in fired_rules(snapshot)


def test_a_night_that_has_not_run_is_ok_until_the_deadline():
    not_run = make_snapshot(
        make_night_snapshot(
            night=ok_result(make_night(*make_unrequested_players(28), was_run=False)),
            batches=empty_batches(),
            ledger=ok_result(None),
            lines=ok_result(0),
        )
    )
    deadline = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)
    assert fired_rules(not_run, deadline - timedelta(seconds=1)) == set()
    assert fired_rules(not_run, deadline) == {"not_run"}


def test_coverage_is_not_evaluated_while_its_batch_runs_and_is_at_the_deadline():
    running = make_snapshot(
        make_night_snapshot(
            night=ok_result(make_night(*make_players(60), *make_unrequested_players(98))),
            batches=ok_result(Batches((make_batch(state=BatchState.RUNNING, ended=None, generated=60),), ())),
        )
    )
    assert fired_rules(running) == set()
    assert fired_rules(running, TIP_OFF - timedelta(minutes=89)) == {"coverage"}


def test_a_stalled_batch_of_a_complete_night_is_ok():
    assert fired_rules(make_snapshot(make_night_snapshot(batches=stalled_batch()))) == set()


@pytest.mark.parametrize(
    "snapshot",
    [
        make_snapshot(make_night_snapshot(**{source: failed_result("The source")}))
        for source in ("night", "batches", "writes", "lines", "ledger", "usual")
    ]
    + [make_snapshot(**{source: failed_result("The source")}) for source in ("duplicates", "source_times")],
)
def test_an_unreadable_source_is_an_unknown_alert_and_resolves_nothing(snapshot):
    results = evaluate_rules(snapshot, SETTINGS, NOW)
    assert [(i.rule.name, i.severity) for i in group_by_cause(results)] == [("unreadable", Health.UNKNOWN)]
    assert causes_without_data(results)


def test_a_job_history_that_was_read_in_part_is_unknown_and_resolves_nothing():
    problem = Problem("BigQuery job history", NOW, "The newest 20,000 jobs were read.")
    report = build_report(
        STARTED, NOW, make_job_history(problem=problem), make_log_lines(), SETTINGS, problems=(problem,)
    )
    results = evaluate_rules(make_snapshot(make_night_snapshot(writes=ok_result(report))), SETTINGS, NOW)
    [incident] = group_by_cause(results)
    assert (incident.rule.name, incident.severity) == ("unreadable", Health.UNKNOWN)
    assert "The newest 20,000 jobs were read." in incident.message
    assert causes_without_data(results)


def test_a_burst_in_the_part_that_was_read_raises_the_alarm():
    problem = Problem("BigQuery job history", NOW, "The newest 20,000 jobs were read.")
    history = make_job_history(*make_rejection_burst(90), problem=problem)
    report = build_report(STARTED, NOW, history, make_log_lines(), SETTINGS, problems=(problem,))
    incidents = find_incidents(make_snapshot(make_night_snapshot(writes=ok_result(report))))
    assert "at least 90 writes rejected" in str([i.message for i in incidents])


def test_no_log_lines_for_a_batch_is_unknown_and_not_ok():
    [incident] = find_incidents(make_snapshot(make_night_snapshot(lines=ok_result(0))))
    assert (incident.rule.name, incident.severity) == ("silence", Health.UNKNOWN)
    assert "no service has logged a line" in incident.message


def test_a_failed_consolidation_of_another_coordinator_fires_while_its_rows_are_missing():
    """Its log never shows that the tables were consolidated since, from here or by hand."""
    failed = {"state": BatchState.CONSOLIDATION_FAILED, "status_text": "400", "record_source": "logs"}
    batches = ok_result(Batches((make_batch(**failed),), ()))
    waiting = make_night(*make_players(120), *make_unmerged_players(38))
    assert "consolidation" in fired_rules(make_snapshot(make_night_snapshot(night=ok_result(waiting), batches=batches)))
    assert "consolidation" not in fired_rules(make_snapshot(make_night_snapshot(batches=batches)))


def test_rejected_writes_beside_a_consolidated_rest_are_no_failed_consolidation():
    failed = {"state": BatchState.CONSOLIDATION_FAILED, "status_text": "400", "record_source": "logs"}
    night = make_night(*make_players(155), *make_rejected_players(3))
    batches = ok_result(Batches((make_batch(**failed),), ()))
    fired = fired_rules(make_snapshot(make_night_snapshot(night=ok_result(night), batches=batches)))
    assert "consolidation" not in fired
