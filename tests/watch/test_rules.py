"""What the rules say: each of the customer's bad days raises its one incident, good ones none, and what is unknown is never calm."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest

from services.alerts.evaluation import judge
from services.alerts.facts import ChannelFacts, Slate
from services.alerts.incidents import group, undecided
from services.alerts.rules import RULES
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health
from services.scaling.annotations import Setting
from tests.factories import night
from tests.watch.facts_for_tests import (
    DAYS,
    NOW,
    SETTINGS,
    STARTED,
    TIP_OFF,
    batch,
    facts,
    known,
    left,
    never_asked,
    night_facts,
    no_batches,
    players,
    rejected,
    schedule,
    stalled,
    storm,
    unread,
    waiting,
    worker,
    writes,
)


def incidents(given, now=NOW):
    return group(judge(given, SETTINGS, now))


def rules_of(given, now=NOW):
    return {finding.rule.name for incident in incidents(given, now) for finding in incident.findings}


@pytest.mark.parametrize("day", DAYS)
def test_each_of_the_customers_days_raises_its_incident_and_no_other(day):
    given, expected = DAYS[day]
    assert [(i.rule.name, i.cause) for i in incidents(given)] == ([expected] if expected else [])


def test_a_thousand_healthy_batches_raise_nothing():
    rng = random.Random(1)
    for _ in range(1_000):
        count = rng.randint(20, 180)
        running = rng.random() < 0.2
        state = rng.choice([BatchState.RUNNING, BatchState.STAGED]) if running else BatchState.CONSOLIDATED
        started = STARTED + timedelta(minutes=rng.uniform(0, 19))
        active = count if not running else rng.randint(1, count)
        given = facts(
            night_facts(
                night=known(night(*players(active), *(never_asked(count - active) if running else []))),
                slate=known(Slate(TIP_OFF, 150, rng.randint(0, 12), 150, rng.randint(0, 12))),
                batches=known(Batches((batch(state=state, started=started, requested=count, generated=active),), ())),
            ),
            staging=known((left(0.1),) if running else ()),
            worker=known(worker(rng.choice([Setting(None, 20, 5), Setting(4, 20, 3), Setting(10, 20, 5)]))),
        )
        assert incidents(given) == ()


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (facts(night_facts(writes=known(writes(*storm(5))))), "dml_rejections"),
        (facts(night_facts(night=known(night(*players(97), *rejected(2))))), "write_success"),
        (
            facts(night_facts(batches=known(Batches((batch(state=BatchState.CONSOLIDATION_FAILED),), ())))),
            "consolidation",
        ),
        (facts(night_facts(night=known(night(*players(150), *waiting(3))))), "consolidation"),
        (
            facts(night_facts(night=known(night(*never_asked(158), written_rows=0)), duplicates=known(0))),
            "produced_nothing",
        ),
        (facts(staging=known((left(25),))), "staging_orphans"),
        (facts(staging=known((left(1, expires_in_h=20),))), "staging_orphans"),
        (facts(worker=known(worker(Setting(None, None, 5)))), "width"),
        (facts(schedule=known(schedule(missing=("same-day-predictions",)))), "schedule"),
        (facts(schedule=known(schedule(trouble="is paused"))), "schedule"),
        (facts(night_facts(lines=known(0))), "silence"),
        (facts(night_facts(duplicates=unread())), "unreadable"),
        (facts(channel=ChannelFacts(False)), "channel"),
        (facts(channel=ChannelFacts(True, "Slack answered HTTP 404: no_service")), "channel"),
    ],
)
def test_each_rule_speaks_when_its_threshold_is_met(given, rule):
    assert rule in rules_of(given)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (facts(night_facts(writes=known(writes(*storm(4))))), "dml_rejections"),
        (facts(night_facts(writes=known(writes(*storm(20, every_s=16))))), "dml_rejections"),
        (facts(night_facts(night=known(night(*players(199), *rejected(1))))), "write_success"),
        (facts(night_facts(slate=known(Slate(TIP_OFF, 176, 12, 150, 3)))), "names"),
        (facts(staging=known((left(23),))), "staging_orphans"),
        (facts(worker=known(worker(Setting(4, 20, 3), set_to=Setting(4, 20, 3)))), "width"),
    ],
)
def test_each_rule_is_quiet_below_its_threshold(given, rule):
    assert rule not in rules_of(given)


def test_a_night_that_has_not_run_is_calm_until_the_deadline_before_the_first_tip_off():
    waits = facts(
        night_facts(
            night=known(night(*never_asked(28), ran=False)), batches=no_batches(), ledger=known(None), lines=known(0)
        )
    )
    deadline = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_min)
    assert rules_of(waits, deadline - timedelta(seconds=1)) == set()
    assert rules_of(waits, deadline) == {"not_run"}


def test_coverage_is_not_judged_while_its_batch_runs_and_is_at_the_deadline():
    running = facts(
        night_facts(
            night=known(night(*players(60), *never_asked(98))),
            batches=known(Batches((batch(state=BatchState.RUNNING, ended=None, generated=60),), ())),
        )
    )
    assert rules_of(running) == set()
    assert rules_of(running, TIP_OFF - timedelta(minutes=89)) == {"coverage"}


def test_a_whole_night_that_was_stalled_and_then_written_is_calm():
    assert rules_of(facts(night_facts(batches=stalled()))) == set()


@pytest.mark.parametrize("what", ["night", "batches", "writes", "duplicates", "lines", "ledger", "slate"])
def test_a_source_that_cannot_be_read_is_an_unknown_alert_and_closes_nothing(what):
    found = judge(facts(night_facts(**{what: unread("The source")})), SETTINGS, NOW)
    assert [(i.rule.name, i.severity) for i in group(found)] == [("unreadable", Health.UNKNOWN)]
    assert undecided(found)


def test_no_log_line_of_a_batch_is_unknown_and_not_calm():
    [incident] = incidents(facts(night_facts(lines=known(0))))
    assert (incident.rule.name, incident.severity) == ("silence", Health.UNKNOWN)
    assert "no service has logged a line" in incident.sentence


def test_every_rule_names_its_source_threshold_meaning_and_remedy():
    for rule in RULES:
        assert all([rule.source, rule.threshold_in(SETTINGS), rule.means, rule.remedy, rule.page])
    assert "5 writes rejected for too many at once within 60 s" in RULES[0].threshold_in(SETTINGS)


def test_healing_narrows_a_fresh_storm_resumes_what_stalled_consolidates_what_waits_and_never_deletes():
    from services.alerts.remediation import plan_steps
    from services.policy.concurrency_config import SelfHealingConfig

    def steps(given, now=NOW, healing=SelfHealingConfig()):  # noqa: B008
        return [step.verb.name for step in plan_steps(judge(given, SETTINGS, now), given, healing, now)]

    fresh = facts(night_facts(writes=known(writes(*storm(90, every_s=7)))))
    assert steps(fresh) == ["scaling.narrow"]
    [narrowing] = plan_steps(judge(fresh, SETTINGS, NOW), fresh, SelfHealingConfig(), NOW)
    assert NOW < datetime.fromisoformat(narrowing.args["revert_at"]) <= NOW + timedelta(hours=1), "noted for restore"
    assert steps(fresh, healing=SelfHealingConfig(auto_reduce_concurrency=False)) == []
    assert steps(fresh, now=NOW + timedelta(hours=7)) == [], "an old storm is over"
    narrow = facts(night_facts(writes=known(writes(*storm(90, every_s=7)))), worker=known(worker(Setting(4, 20, 3))))
    assert steps(narrow) == [], "never below 4 × 3"
    stopped = facts(night_facts(night=known(night(*players(10), *never_asked(5))), batches=stalled()))
    assert steps(stopped) == ["run.resume"]
    assert steps(stopped, healing=SelfHealingConfig(resume_stalled=False)) == []
    leftover = facts(night_facts(night=known(night(*players(150), *waiting(3)))), staging=known((left(1),)))
    assert steps(leftover) == ["staging.consolidate"]
    assert steps(leftover, healing=SelfHealingConfig(consolidate_leftovers=False)) == []
    for given, _ in DAYS.values():
        assert not [name for name in steps(given) if "drop" in name or "delete" in name]
