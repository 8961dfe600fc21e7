"""Who is paged and when: once per opening, unless somebody answered in time; and the page is answered and ended as the alert is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.alerts import escalation
from services.alerts.alert_log import WATCHDOG, Alert, AlertState, append_event, read_alerts
from services.alerts.deliveries import CLAIM_TIMEOUT, delivery_records
from services.alerts.escalation import dedup_key, due_page, escalate, escalates_at
from services.alerts.pager import Page, PageAction
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.settings import Settings
from tests.support.clock import FixedClock
from tests.support.memory_records import MemoryRecords
from tests.unit.alerts.test_notification import after, make_alert

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
ENV = {"ESCALATION_URL": "https://pager.example/v1", "ESCALATE_AFTER_MIN": "15"}
SETTINGS = Settings.from_env(ENV)
OFF = Settings.from_env({**ENV, "ESCALATE_AFTER_MIN": "0"})
NOTIFIED = after(make_alert(1, NOW), ("told", 2))
KEY = "nba-props-platform:cause1-x:1"


def paged(alert: Alert, minute: float, action: str = "trigger", event: str = "escalated", key: str = KEY) -> Alert:
    facts = {"action": action, "dedup_key": key, "channel": "webhook", "delivery": "accepted"}
    return after(alert, (event, minute), facts=facts)


def due(alert: Alert, minute: float, configured: Settings = SETTINGS) -> tuple[str, str] | None:
    page = due_page(alert, configured, NOW + timedelta(minutes=minute))
    return (str(page.action), page.dedup_key) if page else None


# --- when somebody is paged -------------------------------------------------------------------------------------------------


def test_an_alert_that_nobody_acknowledged_is_paged_n_minutes_after_its_first_notification():
    assert escalates_at(NOTIFIED, SETTINGS) == NOW + timedelta(minutes=17)
    assert (due(NOTIFIED, 16.9), due(NOTIFIED, 17)) == (None, ("trigger", KEY))
    reminded = after(NOTIFIED, ("told", 10))
    assert due(reminded, 17) == ("trigger", KEY), "a reminder does not start the wait anew"
    assert due(NOTIFIED, 500, OFF) is None


def test_who_acknowledges_a_minute_before_is_not_paged():
    assert due(after(NOTIFIED, ("acknowledged", 16)), 17) is None
    assert due(after(NOTIFIED, ("acknowledged", 16)), 500) is None
    assert due(after(NOTIFIED, ("resolved", 16)), 17) is None


def test_a_silence_holds_the_page_until_it_ends():
    silenced = after(NOTIFIED, ("silenced", 10), silent_until=NOW + timedelta(minutes=40))
    assert (due(silenced, 39.9), due(silenced, 40)) == (None, ("trigger", KEY))


def test_a_dead_first_channel_delays_no_page_and_an_alert_that_was_sent_nowhere_is_none():
    assert due(after(make_alert(1, NOW), ("not told", 2)), 17) == ("trigger", KEY)
    assert due(make_alert(1, NOW), 500) is None, "a rule whose notifications are switched off"
    assert due(after(make_alert(1, NOW), ("telling", 2)), 500) is None


def test_the_alert_about_the_second_channel_is_not_sent_to_it():
    alert = after(make_alert(1, NOW, cause="second channel"), ("told", 2))
    assert (due(alert, 500), escalates_at(alert, SETTINGS)) == (None, None)


def test_an_opening_is_paged_once_and_the_next_one_again_under_a_key_of_its_own():
    sent = paged(NOTIFIED, 17)
    assert due(after(sent, ("worsened", 30), ("told", 31)), 500) is None
    again = after(sent, ("resolved", 20), ("reopened", 60), ("told", 61))
    assert due(again, 61) == ("resolve", KEY), "the first page ends, whatever comes next"
    ended = paged(again, 62, "resolve")
    assert due(ended, 75.9) is None
    assert due(ended, 76) == ("trigger", f"nba-props-platform:cause1-x:{again.openings[-1].sequence}")
    assert again.openings[-1].sequence > 1


def test_an_alert_that_a_person_reopens_is_unacknowledged_again_and_paged_again():
    answered = paged(after(paged(NOTIFIED, 17), ("acknowledged", 18)), 19, "acknowledge")
    reopened = after(answered, ("reopened", 30), ("told", 31))
    assert due(reopened, 32) == ("resolve", KEY)
    assert due(paged(reopened, 32, "resolve"), 46) == ("trigger", dedup_key(reopened, reopened.openings[-1], SETTINGS))


# --- the page is answered and ended -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["escalated", "not escalated", "escalating"])
@pytest.mark.parametrize(
    ("change", "action"), [("acknowledged", "acknowledge"), ("silenced", "acknowledge"), ("resolved", "resolve")]
)
def test_a_page_that_may_have_arrived_is_answered_and_ended_under_its_key(outcome, change, action):
    alert = after(paged(NOTIFIED, 17, event=outcome), (change, 18), silent_until=NOW + timedelta(days=1))
    assert due(alert, 25) == (action, KEY)
    assert due(alert, 25, OFF) == (action, KEY), "also when escalation has been switched off"
    assert due(paged(alert, 25, action), 500) is None, "once"


def test_what_the_channel_did_not_take_is_sent_again_ever_later():
    failed = paged(NOTIFIED, 17, event="not escalated")
    assert (due(failed, 17.9), due(failed, 18)) == (None, ("trigger", KEY))
    failed_twice = paged(failed, 18, event="not escalated")
    assert (due(failed_twice, 19.9), due(failed_twice, 20)) == (None, ("trigger", KEY))
    ended = after(paged(NOTIFIED, 17), ("resolved", 20))
    assert due(paged(ended, 21, "resolve", "not escalated"), 22) == ("resolve", KEY)


def test_a_page_that_arrived_after_its_end_was_sent_is_ended_again():
    """A watchdog that slept between its claim and its call."""
    late = paged(paged(after(paged(NOTIFIED, 17, event="escalating"), ("resolved", 18)), 21, "resolve"), 30)
    assert due(late, 31) == ("resolve", KEY)


def test_what_another_watchdog_is_sending_is_left_to_it_for_three_minutes():
    claimed = paged(NOTIFIED, 17, event="escalating")
    assert (due(claimed, 19.9), due(claimed, 20)) == (None, ("trigger", KEY))


# --- sending ----------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process ends."""


@dataclass
class Receiver:
    """A second channel that knows its pages by their keys, as PagerDuty does; it may be down, and its caller may end."""

    name: str = "webhook"
    is_down: bool = False
    crash: str = ""  # before or after the next call arrives
    calls: list[Page] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)  # the state of each, by key

    def send(self, page: Page) -> Delivery:
        crash, self.crash = self.crash, ""
        if crash == "before":
            raise Crash
        self.calls.append(page)
        if self.is_down:
            return Delivery(False, "webhook answered HTTP 503: nothing")
        if page.action is PageAction.TRIGGER:
            self.pages.setdefault(page.dedup_key, "triggered")
        elif page.dedup_key in self.pages:
            self.pages[page.dedup_key] = {"acknowledge": "acknowledged", "resolve": "resolved"}[page.action]
        if crash == "after":
            raise Crash
        return Delivery(True, "webhook accepted it")


@pytest.fixture
def receiver(monkeypatch):
    receiver = Receiver()
    monkeypatch.setattr(escalation, "open_pager", lambda _: receiver)
    return receiver


def store(clients: Any, alert: Alert) -> None:
    for event in alert.events:
        assert append_event(clients, event)


def stored(clients: Any) -> Alert:
    [alert] = read_alerts(clients).alerts
    return alert


def test_a_page_is_claimed_sent_and_recorded_with_its_channel_time_and_result(records, receiver):
    clients = records.clients(ENV)
    store(clients, NOTIFIED)
    records.clock.advance(17 * 60)
    assert [delivery.ok for delivery in escalate(clients, [stored(clients)])] == [True]
    claim, outcome = stored(clients).events[-2:]
    assert (claim.event, outcome.event, claim.actor) == ("escalating", "escalated", WATCHDOG)
    assert claim.notification_id == outcome.notification_id != ""
    assert outcome.facts == {
        "action": "trigger",
        "dedup_key": KEY,
        "channel": "webhook",
        "delivery": "webhook accepted it",
    }
    assert [(r.at, r.channel, r.ok, r.detail) for r in delivery_records(stored(clients))] == [
        (NOW + timedelta(minutes=2), "Slack", True, "no result recorded"),
        (NOW + timedelta(minutes=17), "webhook", True, "webhook accepted it"),
    ]
    assert escalate(clients, [stored(clients)]) == ()


def test_of_two_watchdogs_one_sends_the_page_and_who_acknowledges_first_wins(records, receiver):
    clients = records.clients(ENV)
    store(clients, NOTIFIED)
    records.clock.advance(17 * 60)
    seen_by_both = [stored(clients)]
    escalate(clients, seen_by_both)
    assert escalate(clients, seen_by_both) == ()
    assert len(receiver.calls) == 1


def test_an_acknowledgement_that_the_watchdog_has_not_read_yet_prevents_the_page(records, receiver):
    clients = records.clients(ENV)
    store(clients, NOTIFIED)
    seen = [stored(clients)]
    append_event(clients, seen[0].new_event("acknowledged", NOW + timedelta(minutes=16), "nora"))
    records.clock.advance(17 * 60)
    assert escalate(clients, seen) == ()
    assert receiver.calls == []


def test_a_channel_that_is_down_is_called_once_a_check_and_the_rest_waits(records, receiver):
    clients = records.clients(ENV)
    alerts = [after(make_alert(number, NOW), ("told", 2)) for number in range(3)]
    for alert in alerts:
        store(clients, alert)
    records.clock.advance(17 * 60)
    receiver.is_down = True
    escalate(clients, alerts)
    assert len(receiver.calls) == 1
    receiver.is_down = False
    assert len(escalate(clients, read_alerts(clients).alerts)) == 2, "the one that failed waits its minute"


def test_a_claim_that_cannot_be_recorded_holds_no_other_page_back(records, receiver):
    clients = records.clients(ENV)
    alerts = [after(make_alert(number, NOW), ("told", 2)) for number in range(2)]
    records.is_failing = lambda job_id: "cause0-x" in job_id
    store(clients, alerts[1])
    records.clock.advance(17 * 60)
    with pytest.raises(OnCallError, match="could not be written"):
        escalate(clients, alerts)
    assert [page.alert.alert_id for page in receiver.calls] == ["cause1-x"]


def test_without_a_second_channel_a_due_page_is_recorded_as_not_sent(records):
    clients = records.clients({"ESCALATE_AFTER_MIN": "15"})
    store(clients, NOTIFIED)
    records.clock.advance(17 * 60)
    [delivery] = escalate(clients, [stored(clients)])
    assert delivery.detail.startswith("No second channel is set")
    assert stored(clients).latest_event.event == "not escalated"


# --- any order of events ----------------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 1200)),
    st.tuples(st.just("read"), st.integers(0, 1)),
    st.tuples(st.just("check"), st.integers(0, 1)),
    st.tuples(st.just("race"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["crash before", "crash after"]), st.integers(0, 1)),
    st.tuples(st.sampled_from(["down", "up"]), st.just(0)),
    st.tuples(st.sampled_from(["told", "worsened", "acknowledged", "silenced", "resolved", "reopened"]), st.just(0)),
)


class World:
    """One alert, two watchdogs that each know what they last read, and the receiver."""

    def __init__(self, records: MemoryRecords, receiver: Receiver) -> None:
        self.records, self.receiver, self.clients = records, receiver, records.clients(ENV)
        self.seen = [(NOTIFIED,), (NOTIFIED,)]
        self.interruptions = 0
        store(self.clients, NOTIFIED)

    def step(self, name: str, number: int) -> None:
        if name == "wait":
            self.records.clock.advance(number)
        elif name == "read":
            self.seen[number] = (stored(self.clients),)
        elif name == "race":  # both have read the same; in the second kind somebody acknowledges between the two
            self.seen = [(stored(self.clients),)] * 2
            self.check(0)
            if number:
                self.change("acknowledged")
            self.check(1)
        elif name in ("down", "up"):
            self.receiver.is_down = name == "down"
        elif name.startswith(("check", "crash")):
            self.check(number, crash=name.partition(" ")[2])
        else:
            self.change(name)

    def check(self, watchdog: int, crash: str = "") -> None:
        self.receiver.crash = crash
        calls_before = len(self.receiver.calls)
        try:
            deliveries = escalate(self.clients, self.seen[watchdog])
        except Crash:
            self.interruptions += 1
        else:
            self.interruptions += sum(not delivery.ok for delivery in deliveries)
        self.receiver.crash = ""
        for page in self.receiver.calls[calls_before:]:
            if page.action is PageAction.TRIGGER:
                self.verify_was_due(page)

    def verify_was_due(self, page: Page) -> None:
        """By what is recorded, not by what the watchdog had read."""
        now, alert = self.records.clock.now(), stored(self.clients)
        opening = alert.openings[-1]
        first = next(e for e in alert.events if e.sequence > opening.sequence and e.event in ("told", "not told"))
        assert page.dedup_key == dedup_key(alert, opening, SETTINGS)
        assert alert.state(now) is AlertState.OPEN
        assert now >= first.recorded_at + timedelta(minutes=15)

    def change(self, name: str) -> None:
        alert, now = stored(self.clients), self.records.clock.now()
        if alert.ended == (name == "reopened"):
            until = now + timedelta(minutes=30) if name == "silenced" else None
            append_event(self.clients, alert.new_event(name, now, "nora", silent_until=until, facts={"findings": []}))

    def settle(self) -> None:
        """Two days of checks without faults."""
        self.receiver.is_down = False
        for _ in range(48 * 4):
            self.records.clock.advance(CLAIM_TIMEOUT.total_seconds() + 12 * 60)
            self.seen[0] = (stored(self.clients),)
            self.check(0)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_in_any_order_each_opening_is_at_most_one_page_and_each_page_ends_as_its_alert(steps):
    with pytest.MonkeyPatch.context() as monkeypatch:
        records, receiver = MemoryRecords(FixedClock(NOW + timedelta(minutes=2))), Receiver()
        records.install(monkeypatch)
        monkeypatch.setattr(escalation, "open_pager", lambda _: receiver)
        world = World(records, receiver)
        for name, number in steps:
            world.step(name, number)
        triggers = Counter(page.dedup_key for page in receiver.calls if page.action is PageAction.TRIGGER)
        assert sum(triggers.values()) <= len(triggers) + world.interruptions, "sent again only where it may be lost"
        world.settle()
        alert = stored(world.clients)
        keys = [dedup_key(alert, opening, SETTINGS) for opening in alert.openings]
        assert set(receiver.pages) <= set(keys)
        past = keys if alert.ended else keys[:-1]
        assert {receiver.pages[key] for key in past if key in receiver.pages} <= {"resolved"}
        if not alert.ended and alert.state(records.clock.now()) is AlertState.ACKNOWLEDGED:
            assert receiver.pages.get(keys[-1], "acknowledged") == "acknowledged"
        was_notified = any(e.event == "told" for e in alert.events if e.sequence > alert.openings[-1].sequence)
        if alert.state(records.clock.now()) is AlertState.OPEN and was_notified:
            assert keys[-1] in receiver.pages, "an open alert reaches a person"
