"""When an alert is sent: once per change, reminders of critical ones, one sender of several, and the rate limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.alerts import deliveries, notification
from services.alerts.alert_log import WATCHDOG, Alert, Event, append_event, read_alerts
from services.alerts.notification import MAX_MESSAGES_PER_HOUR, alerts_to_notify, notify, within_rate_limit
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.result import Health
from services.gcp.retry import RetryPolicy

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)


def make_alert(number: object, now: datetime, event: str = "opened", **changes: Any) -> Alert:
    fields: dict[str, Any] = {"cause": f"cause{number}", "severity": Health.CRITICAL, "rule": "stalled"} | changes
    opened = Event(f"cause{number}-x", 1, event, now, WATCHDOG, game_date=None, message=f"Trouble {number}", **fields)
    return Alert(opened.alert_id, (opened,))


def after(alert: Alert, *events: tuple[str, float], **changes: Any) -> Alert:
    """The alert after these events, each so many minutes after NOW."""
    for event, minutes in events:
        added = alert.new_event(event, NOW + timedelta(minutes=minutes), WATCHDOG, **changes)
        alert = Alert(alert.alert_id, (*alert.events, added))
    return alert


def is_due(alert: Alert, minutes: float) -> bool:
    return alerts_to_notify([alert], NOW + timedelta(minutes=minutes)) == (alert,)


def test_a_flapping_alert_notifies_six_times_an_hour_and_then_every_ten_minutes():
    now = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
    flapping = make_alert(1, now)
    for minute in range(MAX_MESSAGES_PER_HOUR):
        sent_at = now + timedelta(minutes=minute)
        assert within_rate_limit([flapping], sent_at)
        notified = flapping.new_event("told", sent_at, WATCHDOG, notification_id=f"m{minute}")
        flapping = Alert(flapping.alert_id, (*flapping.events, notified))
    last_sent = now + timedelta(minutes=MAX_MESSAGES_PER_HOUR - 1)
    assert not within_rate_limit([flapping], last_sent + timedelta(minutes=9))
    assert within_rate_limit([flapping], last_sent + timedelta(minutes=10)), (
        "another alert does not wait for the end of the hour"
    )


def test_one_message_about_many_alerts_counts_once_and_only_for_an_hour():
    alerts = [after(make_alert(n, NOW), ("told", 0), notification_id="one") for n in range(10)]
    assert within_rate_limit(alerts, NOW)
    failing = [after(make_alert(n, NOW), ("not told", 0), notification_id=f"m{n}") for n in range(10)]
    assert within_rate_limit(failing, NOW)
    six = [after(make_alert(n, NOW), ("told", n * 10), notification_id=f"m{n}") for n in range(6)]
    assert not within_rate_limit(six, NOW + timedelta(minutes=59))
    five_late = [after(make_alert(n, NOW), ("told", 55), notification_id=f"late{n}") for n in range(5)]
    assert not within_rate_limit([six[0], *five_late], NOW + timedelta(minutes=59.9))
    assert within_rate_limit([six[0], *five_late], NOW + timedelta(minutes=60)), "the first is an hour old"


# --- what is due ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["opened", "worsened", "reopened", "mending"])
def test_a_change_is_sent_once(change):
    alert = make_alert(1, NOW)
    if change != "opened":
        alert = after(alert, ("told", 1), (change, 2))
    assert is_due(alert, 3)
    assert not is_due(after(alert, ("told", 3)), 4)


@pytest.mark.parametrize("event", ["updated", "acknowledged"])
def test_what_is_no_news_is_not_sent(event):
    assert not is_due(after(make_alert(1, NOW), ("told", 1), (event, 2)), 3)
    assert is_due(after(make_alert(1, NOW), (event, 2)), 3), "its opening has not been sent"


def test_the_end_of_an_alert_is_sent_to_who_was_told_of_it():
    assert is_due(after(make_alert(1, NOW), ("told", 1), ("resolved", 2)), 3)
    assert not is_due(after(make_alert(1, NOW), ("resolved", 2)), 3)
    assert not is_due(after(make_alert(1, NOW), ("told", 1), ("resolved", 2), ("told", 3)), 100), "nor reminded of"


def test_a_critical_alert_that_nobody_took_is_sent_again_every_hour():
    told = after(make_alert(1, NOW), ("told", 1))
    assert (is_due(told, 60.9), is_due(told, 61)) == (False, True)
    assert not is_due(after(told, ("acknowledged", 2)), 61)
    warning = after(make_alert(1, NOW, severity=Health.WARNING), ("told", 1))
    assert not is_due(warning, 61)


def test_a_silenced_alert_is_not_sent_until_its_silence_ends():
    silenced = after(make_alert(1, NOW), ("silenced", 1), silent_until=NOW + timedelta(minutes=5))
    assert (is_due(silenced, 4), is_due(silenced, 5)) == (False, True)


def test_that_the_channel_is_down_is_not_sent_to_the_channel():
    assert not is_due(make_alert(1, NOW, cause="channel"), 1)


def test_a_test_message_is_sent_once_and_neither_again_nor_after_its_end():
    test = make_alert(1, NOW, cause="test")
    assert is_due(test, 1)
    assert not is_due(after(test, ("told", 1)), 70)
    assert not is_due(after(test, ("resolved", 1)), 2)
    assert not is_due(after(test, ("told", 1), ("reopened", 2)), 3)


def test_what_another_watchdog_is_sending_is_left_to_it_for_three_minutes():
    claimed = after(make_alert(1, NOW), ("telling", 1))
    assert (is_due(claimed, 3.9), is_due(claimed, 4)) == (False, True)
    assert is_due(after(claimed, ("told", 1.1), ("worsened", 1.2)), 1.3), "the claim is done with"
    claimed_again = after(claimed, ("told", 1.1), ("worsened", 1.2), ("telling", 1.3))
    assert (is_due(claimed_again, 4.2), is_due(claimed_again, 4.3)) == (False, True)


@pytest.mark.parametrize(("failures", "delay"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 15), (9, 15)])
def test_a_channel_that_fails_is_left_alone_ever_longer(failures, delay):
    alert = after(make_alert(1, NOW), *[("not told", 0.0)] * failures)
    assert not is_due(alert, delay - 0.1)
    assert is_due(alert, delay)


def test_failures_before_the_last_message_count_no_more():
    alert = after(make_alert(1, NOW), ("not told", 0), ("not told", 1), ("told", 2), ("worsened", 2.1))
    assert is_due(alert, 2.1)
    assert is_due(after(alert, ("not told", 3)), 4)


def test_of_several_alerts_those_due_are_sent():
    alerts = [make_alert(1, NOW), after(make_alert(2, NOW), ("told", 0)), make_alert(3, NOW)]
    assert alerts_to_notify(alerts, NOW) == (alerts[0], alerts[2])


# --- sending ----------------------------------------------------------------------------------------------------------------


class Channel:
    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.delivery = Delivery(True, "sent")
        self.meanwhile: Any = lambda: None

    def send(self, alerts: Any) -> Delivery:
        self.sent.append([alert.alert_id for alert in alerts])
        self.meanwhile()
        return self.delivery


@pytest.fixture
def channel(monkeypatch, records):
    channel, settings = Channel(), records.clients().settings
    monkeypatch.setattr(notification, "open_channel", lambda given: channel if given == settings else None)
    monkeypatch.setattr(deliveries, "RECORD_RETRY", RetryPolicy(retries=0))
    return channel


@pytest.fixture
def clients(records):
    clients = records.clients()
    for number in (1, 2):
        append_event(clients, make_alert(number, NOW).latest_event)
    return clients


def alerts_of(clients: Any) -> tuple[Alert, ...]:
    return read_alerts(clients).alerts


@pytest.mark.parametrize("ok", [True, False])
def test_what_is_due_is_claimed_sent_in_one_message_and_recorded(clients, channel, ok):
    channel.delivery = Delivery(ok, "as it went")
    assert notify(clients, alerts_of(clients)) == channel.delivery
    assert channel.sent == [["cause1-x", "cause2-x"]]
    message_ids = set()
    for alert in alerts_of(clients):
        _, claim, outcome = alert.events
        assert (claim.event, outcome.event) == ("telling", "told" if ok else "not told")
        assert (claim.sequence, outcome.sequence) == (2, 3)
        assert (claim.actor, outcome.actor) == (WATCHDOG, WATCHDOG)
        assert {claim.recorded_at, outcome.recorded_at} == {NOW}
        assert outcome.facts == {"delivery": "as it went"}
        message_ids |= {claim.notification_id, outcome.notification_id}
    (message_id,) = message_ids
    assert len(message_id) == 12


def test_nothing_due_sends_nothing(clients, channel):
    notify(clients, alerts_of(clients))
    assert notify(clients, alerts_of(clients)) is None
    assert len(channel.sent) == 1


def test_beyond_the_rate_limit_nothing_is_claimed(clients, channel):
    flapping = make_alert(3, NOW)
    for number in range(MAX_MESSAGES_PER_HOUR):
        flapping = after(flapping, ("told", 0), notification_id=f"m{number}")
    assert notify(clients, [*alerts_of(clients), flapping]) is None
    assert (channel.sent, [len(alert.events) for alert in alerts_of(clients)]) == ([], [1, 1])


def test_an_alert_that_another_watchdog_claims_first_is_left_out(clients, channel):
    seen = alerts_of(clients)
    append_event(clients, seen[0].new_event("telling", NOW, WATCHDOG, notification_id="theirs"))
    notify(clients, seen)
    assert channel.sent == [["cause2-x"]]
    append_event(clients, seen[1].new_event("telling", NOW, WATCHDOG))
    assert notify(clients, seen) is None
    assert len(channel.sent) == 1


def test_the_outcome_takes_the_next_free_number(clients, channel):
    def acknowledge() -> None:
        for alert in alerts_of(clients):
            append_event(clients, alert.new_event("acknowledged", NOW, "nora"))

    channel.meanwhile = acknowledge
    notify(clients, alerts_of(clients))
    for alert in alerts_of(clients):
        assert [(e.sequence, e.event) for e in alert.events[2:]] == [(3, "acknowledged"), (4, "told")]


def test_an_outcome_without_a_free_number_is_an_error_after_ten(clients, channel, monkeypatch):
    numbers: list[int] = []

    def append(_: Any, event: Event) -> bool:
        if event.event == "telling":
            return True
        numbers.append(event.sequence)
        return False

    monkeypatch.setattr(notification, "append_event", append)
    monkeypatch.setattr(deliveries, "append_event", append)
    with pytest.raises(OnCallError, match="delivery of cause1-x could not be recorded"):
        notify(clients, alerts_of(clients)[:1])
    assert numbers == list(range(3, 13))


def test_a_claim_that_fails_is_raised_after_the_others_were_sent(clients, channel, records):
    records.is_failing = lambda job_id: "cause1-x-2" in job_id
    with pytest.raises(OnCallError, match="could not be written"):
        notify(clients, alerts_of(clients))
    assert channel.sent == [["cause2-x"]]
    assert [len(alert.events) for alert in alerts_of(clients)] == [1, 3]


def test_a_failed_record_holds_no_other_back_and_is_raised(clients, channel, records):
    records.is_failing = lambda job_id: "cause1-x-3" in job_id
    with pytest.raises(OnCallError, match="could not be written"):
        notify(clients, alerts_of(clients))
    assert [alert.latest_event.event for alert in alerts_of(clients)] == ["telling", "told"]


def test_a_record_is_tried_again_by_its_policy(clients, channel, records, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(
        deliveries, "RECORD_RETRY", RetryPolicy(retries=1, base_backoff_s=2.0, sleep=waits.append, rng=lambda: 1.0)
    )
    failures = iter([True])
    records.is_failing = lambda job_id: "cause1-x-3" in job_id and next(failures, False)
    assert notify(clients, alerts_of(clients)) is not None
    assert waits == [2.0]


def test_without_a_message_nothing_is_recorded_of_one(clients):
    none: Any = SimpleNamespace(now=lambda: NOW)
    assert notify(none, ()) is None
