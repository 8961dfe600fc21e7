"""What the watchdog starts by itself: each step can be disabled on its own, and none deletes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.remediation import plan_remediations
from services.policy.concurrency_config import SelfHealingConfig
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import (
    NOW,
    SETTINGS,
    SNAPSHOTS,
    make_leftover_table,
    make_night_snapshot,
    make_players,
    make_rejection_burst,
    make_snapshot,
    make_unmerged_players,
    make_unrequested_players,
    make_worker_capacity,
    make_write_report,
    ok_result,
    stalled_batch,
)
from tests.support.factories import make_night

RECENT_BURST = make_snapshot(
    make_night_snapshot(writes=ok_result(make_write_report(*make_rejection_burst(90, every_s=7))))
)
STALLED_NIGHT = make_snapshot(
    make_night_snapshot(
        night=ok_result(make_night(*make_players(10), *make_unrequested_players(5))), batches=stalled_batch()
    )
)
LEFTOVER = make_snapshot(
    make_night_snapshot(night=ok_result(make_night(*make_players(150), *make_unmerged_players(3)))),
    staging=ok_result((make_leftover_table(1),)),
)
SWITCHES = {
    "SELF_HEALING_AUTO_REDUCE_CONCURRENCY": (RECENT_BURST, "scaling.narrow"),
    "SELF_HEALING_RESUME_STALLED": (STALLED_NIGHT, "run.resume"),
    "SELF_HEALING_CONSOLIDATE_LEFTOVERS": (LEFTOVER, "staging.consolidate"),
}


def remediations(snapshot, env=None, now=NOW):
    results = evaluate_rules(snapshot, SETTINGS, now)
    return plan_remediations(results, snapshot, SelfHealingConfig.from_env(env or {}), now)


def verbs(*args, **kwargs):
    return [remediation.action_type.name for remediation in remediations(*args, **kwargs)]


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_remediation_is_started_unless_its_own_switch_is_off(switch):
    snapshot, verb = SWITCHES[switch]
    assert verbs(snapshot) == [verb]
    assert verbs(snapshot, {switch: "false"}) == []
    others_off = {other: "false" for other in SWITCHES if other != switch}
    assert verbs(snapshot, others_off) == [verb]


def test_a_scale_down_is_restored_within_an_hour_and_only_answers_a_recent_burst():
    [scale_down] = remediations(RECENT_BURST)
    assert NOW < datetime.fromisoformat(scale_down.params["revert_at"]) <= NOW + timedelta(hours=1)
    assert verbs(RECENT_BURST, now=NOW + timedelta(hours=7)) == [], "an old burst is over"


def test_workers_are_never_scaled_below_the_emergency_limit():
    at_emergency_limit = replace(RECENT_BURST, worker=ok_result(make_worker_capacity(CapacitySetting(4, 20, 3))))
    assert verbs(at_emergency_limit) == []


@pytest.mark.parametrize("day", SNAPSHOTS)
def test_no_remediation_deletes_anything(day):
    allowed = {verb for _, verb in SWITCHES.values()}
    assert set(verbs(SNAPSHOTS[day][0])) <= allowed
