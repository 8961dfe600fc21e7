"""What the watchdog starts by itself: each step can be disabled on its own, and none deletes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.background import BackgroundRunner
from services.actions.log_reader import Action, ActionState
from services.actions.plan import Guard, Plan
from services.alerts import remediation
from services.alerts.evaluation import evaluate_rules
from services.alerts.remediation import Remediation, finish_actions, plan_remediations, start_remediations
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.core.result import Problem, Result
from services.policy.concurrency_config import SelfHealingConfig
from services.runs.actions import RESUME_BATCH
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import (
    NOW,
    SETTINGS,
    SNAPSHOTS,
    make_batch,
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
from tests.support.factories import NIGHT, make_night

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
CLIENTS: Any = SimpleNamespace(now=lambda: NOW)


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


def make_action(name="run.resume", target=str(NIGHT), minutes_ago=10.0, **changes):
    at = NOW - timedelta(minutes=minutes_ago)
    fields = {"action_id": "a", "key": "k", "attempt": 0, "action_name": name, "target": target, "title": "Resume b"}
    fields |= {"actor": "watchdog", "role": "operator", "reason": "", "state": ActionState.FAILED, "message": ""}
    fields |= {"started_at": at, "last_event_at": at, "ended_at": at, "recorded_by": "p", "plan_json": ""}
    return Action(**{**fields, **changes})


@pytest.fixture
def started(monkeypatch):
    """Starts a resume of the night while these actions are in the log; what was started, and with which arguments."""
    executions: list[dict[str, object]] = []
    runner = BackgroundRunner()
    monkeypatch.setattr(remediation, "BACKGROUND", runner)
    monkeypatch.setattr(remediation, "execute", lambda *_, **options: executions.append(options))

    def start(*actions, title="Resume b", guards=()):
        plan = Plan("run.resume", str(NIGHT), title, {}, {"n": len(executions)}, (), guards, NOW, "no")
        resume = replace(RESUME_BATCH, plan=lambda *_: plan)
        monkeypatch.setattr(remediation, "RESUME_BATCH", resume)
        step = Remediation(resume, str(NIGHT), {}, "stalled", ("run", NIGHT))
        handles = start_remediations(CLIENTS, [step], actions)
        runner.wait(5)
        return [(item.title, item.started_at, item.handle is not None) for item in handles], executions

    return start


def test_a_remediation_is_started_without_waiting_for_the_run(started):
    assert started() == ([("Resume b", NOW, True)], [{"wait": False}])


def test_the_same_remediation_is_not_repeated_within_the_cooldown(started):
    earlier = make_action(minutes_ago=30)
    assert started(earlier) == ([("Resume b", earlier.started_at, False)], [])
    assert started(make_action(minutes_ago=30.1))[0] == [("Resume b", NOW, True)]


def test_what_a_person_has_just_done_is_left_to_the_person(started):
    assert started(make_action(actor="nora")) == ([], [])


def test_another_target_or_action_does_not_hold_a_remediation_back(started):
    others = (make_action(target="2025-12-30", ended_at=None), make_action("staging.consolidate", ended_at=None))
    assert started(*others)[0] == [("Resume b", NOW, True)]


def test_a_batch_is_resumed_three_times_a_day_at_most(started):
    earlier = [make_action(minutes_ago=40 * n) for n in (1, 2, 3)]
    assert started(*earlier[:2])[0] == [("Resume b", NOW, True)]
    assert started(*earlier)[0] == []
    assert started(*earlier[:2], replace(earlier[2], actor="nora"))[0] == [("Resume b", NOW, True)]
    assert started(*earlier, title="Resume c")[0] == [("Resume c", NOW, True)], "a newer batch has its own three"


def test_a_plan_that_a_guard_stops_is_not_started(started):
    assert started(guards=(Guard("batch has stopped", False, "It runs."),)) == ([], [])


@pytest.mark.parametrize(
    ("action", "finished"),
    [
        (make_action(ended_at=None, minutes_ago=2.6), True),
        (make_action(ended_at=None, minutes_ago=2.4), False),
        (make_action(ended_at=None, minutes_ago=1, facts={"verified later": True}), True),
        (make_action(minutes_ago=60), False),
        (make_action("aliases.edit", ended_at=None, minutes_ago=60), False),
    ],
)
def test_an_action_that_no_process_follows_is_finished(monkeypatch, action, finished):
    recovered: list[object] = []
    monkeypatch.setattr(remediation, "recover", lambda *args: recovered.append(args[1:]))
    finish_actions(CLIENTS, [action])
    assert recovered == ([(RESUME_BATCH, action)] if finished else [])


def test_one_action_that_cannot_be_finished_holds_no_other_back(monkeypatch, caplog):
    tried: list[str] = []

    def fail(_clients, _action_type, action):
        tried.append(action.action_id)
        raise OnCallError("The warehouse is away.")

    monkeypatch.setattr(remediation, "recover", fail)
    lost = [make_action(ended_at=None, minutes_ago=60, action_id=name) for name in "ab"]
    finish_actions(CLIENTS, lost)
    assert tried == ["a", "b"]
    assert caplog.messages == ["Resume b could not be finished: The warehouse is away."] * 2


def test_a_batch_whose_consolidation_failed_is_resumed_when_it_has_no_staging_table():
    failed = ok_result(Batches((make_batch(state=BatchState.CONSOLIDATION_FAILED),), ()))
    night = replace(LEFTOVER.nights[0], batches=failed)
    without_tables = replace(LEFTOVER, nights=(night,), staging=ok_result(()))
    assert verbs(without_tables) == ["run.resume"]
    assert verbs(without_tables, {"SELF_HEALING_RESUME_STALLED": "false"}) == []
    assert verbs(replace(LEFTOVER, nights=(night,))) == ["staging.consolidate"]
    unknown: Result[Any] = Result(None, Problem("The list of staging tables", NOW, "no answer"))
    assert "run.resume" not in verbs(replace(without_tables, staging=unknown))


def test_a_batch_that_an_operator_stopped_is_neither_resumed_nor_consolidated():
    night = LEFTOVER.nights[0]
    stopped = make_batch(state=BatchState.STOPPED)
    newer = make_batch(batch_id="batch_2025-12-29_1767040000")
    for batches in ((stopped,), (newer, stopped)):
        snapshot = replace(LEFTOVER, nights=(replace(night, batches=ok_result(Batches(batches, ()))),))
        assert verbs(snapshot) == []
