"""One effect and one outcome of an action, also when its process dies or does not wait for the end; on an action log in memory."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.actions import executor
from services.actions.action_type import ActionType, Verification
from services.actions.executor import execute, recover
from services.actions.log_reader import ActionState, read_by_key
from services.actions.log_writer import ActionRecord, claim_attempt
from services.actions.plan import Plan
from services.core.errors import OnCallError, SourceUnavailable
from tests.support.actors import OPERATOR
from tests.support.clock import FixedClock

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


class Effect:
    """An action type whose calls are kept, and whose verification says what the test wants."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.verified = ActionState.DONE
        self.type = ActionType("test.effect", "Act", self.plan, self.apply, self.verify, frozenset())

    def plan(self, *_: object) -> Plan:
        return Plan("test.effect", "target", "Act once", {}, {}, (), (), self.clock.now(), "no")

    def apply(self, *_: object) -> dict[str, Any]:
        self.calls.append("apply")
        return {"made": 1}

    def follow(self, context: Any, details: Any) -> None:
        assert context.plan == self.plan()
        self.calls.append(f"follow {details['made']}")

    def verify(self, *_: object) -> Verification:
        self.calls.append("verify")
        return Verification(self.verified, f"It is {self.verified}.")


@pytest.fixture
def clients(records):
    return records.clients()


@pytest.fixture
def effect(records):
    return Effect(records.clock)


def die_after_the_intent(clients, effect):
    """An action whose process was killed before its effect."""
    record = ActionRecord("dead", OPERATOR, effect.plan(), 0, "")
    assert claim_attempt(clients, record)


def test_an_action_whose_process_died_is_finished_and_the_same_plan_is_executed_again(clients, records, effect):
    die_after_the_intent(clients, effect)
    records.clock.advance(151)
    effect.verified = ActionState.FAILED
    action = execute(clients, OPERATOR, effect.type, effect.plan())
    assert (action.action_id != "dead", action.attempt) == (True, 1)
    assert effect.calls == ["verify", "apply", "verify"]
    dead = read_by_key(clients, effect.plan().key)[0]
    assert (dead.action_id, dead.state, dead.facts["found_again"]) == ("dead", ActionState.FAILED, True)


def test_an_action_that_lost_its_process_but_goes_on_is_not_repeated(clients, records, effect):
    die_after_the_intent(clients, effect)
    records.clock.advance(151)
    effect.verified = ActionState.IN_PROGRESS
    action = execute(clients, OPERATOR, effect.type, effect.plan())
    assert (action.action_id, action.ended_at, effect.calls) == ("dead", None, ["verify"])
    assert not action.is_abandoned(records.clock.now()), "that it goes on is recorded"


def test_an_action_with_a_recent_row_belongs_to_a_living_process(clients, records, effect):
    die_after_the_intent(clients, effect)
    records.clock.advance(150)
    assert execute(clients, OPERATOR, effect.type, effect.plan()).action_id == "dead"
    assert effect.calls == []


def test_what_goes_on_elsewhere_is_followed_to_its_end_before_it_is_verified(clients, effect):
    action = execute(clients, OPERATOR, replace(effect.type, follow=effect.follow), effect.plan())
    assert effect.calls == ["apply", "follow 1", "verify"]
    assert (action.state, action.facts["made"], action.is_verified_later) == (ActionState.DONE, 1, False)


def test_without_waiting_the_action_ends_when_it_is_accepted_and_a_later_check_records_the_outcome(
    clients, records, effect
):
    action = execute(clients, OPERATOR, replace(effect.type, follow=effect.follow), effect.plan(), wait=False)
    assert effect.calls == ["apply"]
    assert (action.ended_at, action.is_verified_later) == (None, True)
    records.clock.advance(600)
    assert not action.is_abandoned(records.clock.now()), "the watchdog checks every five minutes"
    records.clock.advance(61)
    assert action.is_abandoned(records.clock.now())
    recover(clients, effect.type, action)
    (finished,) = read_by_key(clients, action.key)
    assert (finished.state, finished.ended_at) == (ActionState.DONE, records.clock.now())
    assert not finished.is_abandoned(records.clock.now() + timedelta(days=1))


def test_an_action_that_follows_nothing_has_its_outcome_without_waiting_too(clients, effect):
    assert execute(clients, OPERATOR, effect.type, effect.plan(), wait=False).state is ActionState.DONE


@pytest.mark.parametrize("error", [OnCallError("Refused."), SourceUnavailable("No answer.")])
def test_a_refused_call_is_verified_at_once_without_waiting_too(clients, effect, error):
    def refuse(_: object) -> dict[str, Any]:
        raise error

    effect.verified = ActionState.FAILED
    action_type = replace(effect.type, apply=refuse, follow=effect.follow)
    action = execute(clients, OPERATOR, action_type, effect.plan(), wait=False)
    assert (action.state, action.message) == (ActionState.FAILED, f"{error} It is failed.")


def test_a_process_at_work_records_heartbeats_until_the_outcome(clients, records, effect, monkeypatch):
    monkeypatch.setattr(executor, "HEARTBEAT_S", 0.001)
    seen = threading.Event()
    failing = iter([True])  # one lost heartbeat must not end them
    records.is_failing = lambda job_id: "heartbeat" in job_id and next(failing, False)

    def work(_: object) -> dict[str, Any]:
        while "heartbeat" not in records.events():
            seen.wait(0.001)
            records.clock.advance(0.001)
        return {}

    action = execute(clients, OPERATOR, replace(effect.type, apply=work), effect.plan())
    assert (action.state, action.steps) == (ActionState.DONE, ())
    for thread in (t for t in threading.enumerate() if t.name == f"heartbeat {action.action_id}"):
        thread.join(10)
        assert not thread.is_alive(), "none after its end"
