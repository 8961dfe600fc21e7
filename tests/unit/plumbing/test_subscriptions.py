"""Each way in which a subscription carries nothing has a sentence and a health; what is not known is never in order."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.core.clock import to_rfc3339
from services.core.errors import AccessDenied, OnCallError
from services.core.result import DataSource, Health, Problem
from services.core.settings import Settings
from services.gcp.read_cache import ReadCache
from services.plumbing import subscriptions
from services.plumbing.manifest import DeclaredSubscription
from services.plumbing.subscriptions import (
    OLDEST_UNACKED,
    UNDELIVERED,
    SubscriptionReport,
    SubscriptionState,
    find_silent_topics,
    read_subscription_report,
    to_state,
)
from tests.support.factories import NOW

HOST = "prediction-worker-f7p3g7f6ya-wl.a.run.app"
LIVE = frozenset({HOST})
DECLARED = DeclaredSubscription(
    name="requests",
    owner="predictions",
    topic="prediction-request-prod",
    target="prediction-worker/predict",
    dead_letter_topic="prediction-request-dlq",
    max_unacked_min=15,
)
ACTUAL: dict[str, Any] = {
    "name": "projects/p/subscriptions/requests",
    "topic": "projects/p/topics/prediction-request-prod",
    "pushConfig": {"pushEndpoint": f"https://{HOST}/predict"},
    "deadLetterPolicy": {"deadLetterTopic": "projects/p/topics/prediction-request-dlq"},
    "state": "ACTIVE",
}


def state(
    live: frozenset[str] | None = LIVE, age_s: int | None = 0, topics: tuple[str, ...] = (), **changes: Any
) -> SubscriptionState:
    return to_state(DECLARED, {**ACTUAL, **changes}, live, age_s, 0, topics)


def test_a_subscription_as_declared_is_in_order():
    found = state(age_s=900)
    assert (found.health, found.problems) == (Health.OK, ())
    assert (found.endpoint, found.dead_letter_topic) == (f"https://{HOST}/predict", "prediction-request-dlq")


DEAD = "https://prediction-worker-756957797294.us-west2.run.app/predict"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pushConfig": {"pushEndpoint": DEAD}}, f"pushes to {DEAD}, which is no address of prediction-worker now"),
        (
            {"pushConfig": {"pushEndpoint": f"https://{HOST}/complete"}},
            f"pushes to https://{HOST}/complete, declared prediction-worker/predict",
        ),
        ({"pushConfig": {}}, "pushes nowhere, declared prediction-worker/predict"),
        ({"topic": "_deleted-topic_"}, "has lost its topic"),
        ({"detached": True}, "has lost its topic"),
        ({"topic": "projects/p/topics/other"}, "belongs to topic other, declared prediction-request-prod"),
        ({"state": "RESOURCE_ERROR"}, "is in an error of its resources, by Pub/Sub"),
    ],
)
def test_a_subscription_that_reaches_nobody_is_critical(changes, sentence):
    found = state(**changes)
    assert (found.health, found.problems) == (Health.CRITICAL, (sentence,))


def test_a_subscription_that_is_gone_is_critical_and_so_is_its_topic():
    gone = to_state(DECLARED, None, LIVE, None, None, ("prediction-request-prod",))
    assert (gone.health, gone.problems) == (Health.CRITICAL, ("does not exist",))
    nothing = to_state(DECLARED, None, LIVE, None, None, ())
    assert nothing.problems == ("does not exist, nor does its topic prediction-request-prod",)


def test_a_backlog_or_lost_dead_letters_are_a_warning():
    waiting = state(age_s=901)
    assert (waiting.health, waiting.problems) == (
        Health.WARNING,
        ("has a message that has waited 15 min, at most 15 declared",),
    )
    lost = state(deadLetterPolicy={})
    assert (lost.health, lost.problems) == (
        Health.WARNING,
        ("sends dead letters to nowhere, declared prediction-request-dlq",),
    )


@pytest.mark.parametrize("unknown", [{"live": None}, {"age_s": None}])
def test_what_cannot_be_read_is_unknown_and_never_in_order(unknown):
    assert state(**unknown).health is Health.UNKNOWN
    assert state(**unknown, pushConfig={}).health is Health.CRITICAL
    assert state(**unknown, deadLetterPolicy={}).health is Health.UNKNOWN


def test_a_report_says_what_is_unknown_and_names_what_fails_first():
    broken, source = state(pushConfig={}), DataSource("Pub/Sub", NOW)
    unread = Problem("Cloud Monitoring", NOW, "denied")
    report = SubscriptionReport((broken, state(age_s=None)), (), (unread,), source)
    assert report.headline.startswith(
        "1 of 2 subscriptions as declared, Cloud Monitoring unknown; requests pushes nowhere"
    )
    assert SubscriptionReport((state(),), (), (unread,), source).health is Health.UNKNOWN
    assert SubscriptionReport((), (), (), source).health is Health.NONE_EXPECTED


def test_a_topic_without_a_subscription_is_named_a_detached_one_does_not_count():
    topics = ("prediction-request-prod", "prediction-batch-complete")
    assert find_silent_topics(topics, [ACTUAL]) == ("prediction-batch-complete",)
    assert find_silent_topics(topics, [{**ACTUAL, "detached": True}]) == tuple(sorted(topics))


# --- as it is read ------------------------------------------------------------------------------------------------------------


class Google:
    """What Pub/Sub and Cloud Monitoring list; an error is raised. Points come newest first."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "topics": [{"name": "projects/p/topics/prediction-request-prod"}, {"name": "projects/p/topics/silent"}],
            "subscriptions": [ACTUAL],
            OLDEST_UNACKED: [self.series("requests", "60", "9999"), self.series("other")],
            UNDELIVERED: [self.series("requests", "7")],
        }
        self.windows: list[tuple[str, str]] = []
        self.service: Any = SimpleNamespace(uri="https://else.a.run.app", urls=[f"https://{HOST}", ""])

    @staticmethod
    def series(name: str, *values: str) -> dict[str, Any]:
        points = [{"value": {"int64Value": value}} for value in values]
        return {"resource": {"labels": {"subscription_id": name}}, "points": points}

    def list_resources(
        self, _clients: Any, _source: str, _api: str, _path: str, kind: str, query: Any = None
    ) -> list[Any]:
        if query is not None:
            self.windows.append((query["interval.startTime"], query["interval.endTime"]))
            kind = query["filter"].split('"')[1]
        if isinstance(self.answers[kind], Exception):
            raise self.answers[kind]
        return self.answers[kind]

    def get_service(self, *_: object) -> Any:
        if isinstance(self.service, Exception):
            raise self.service
        return self.service


@pytest.fixture
def google(monkeypatch):
    google = Google()
    monkeypatch.setattr(subscriptions, "read_declared_subscriptions", lambda _: (DECLARED,))
    monkeypatch.setattr(subscriptions, "list_resources", google.list_resources)
    monkeypatch.setattr(subscriptions, "get_service", google.get_service)
    return google


def read_report() -> SubscriptionReport:
    clients: Any = SimpleNamespace(cache=ReadCache(), settings=Settings.from_env({}), now=lambda: NOW)
    return read_subscription_report(clients)


def test_the_newest_point_of_a_backlog_counts_within_the_last_minutes(google):
    report = read_report()
    [found] = report.subscriptions
    assert (report.health, found.oldest_unacked_s, found.undelivered) == (Health.OK, 60, 7)
    assert report.silent_topics == ("silent",)
    assert set(google.windows) == {(to_rfc3339(NOW - timedelta(minutes=15)), to_rfc3339(NOW))}


@pytest.mark.parametrize("series", [[], [Google.series("requests")], [Google.series("other", "60")]])
def test_a_backlog_without_a_point_is_unknown(google, series):
    google.answers |= {OLDEST_UNACKED: series, UNDELIVERED: series}
    [found] = read_report().subscriptions
    assert (found.health, found.oldest_unacked_s, found.undelivered) == (Health.UNKNOWN, None, None)


def test_a_backlog_that_cannot_be_read_is_unknown_and_said_once(google):
    denied = AccessDenied("no", "")
    google.answers |= {OLDEST_UNACKED: denied, UNDELIVERED: denied}
    report = read_report()
    assert [(problem.source, "roles/monitoring.viewer" in problem.hint) for problem in report.problems] == [
        ("Cloud Monitoring", True)
    ]
    [found] = report.subscriptions
    assert (found.health, found.oldest_unacked_s, found.undelivered) == (Health.UNKNOWN, None, None)


@pytest.mark.parametrize("kind", ["topics", "subscriptions"])
def test_the_role_that_lists_them_is_named(google, kind):
    google.answers[kind] = AccessDenied("no", "")
    with pytest.raises(AccessDenied) as refused:
        read_report()
    assert refused.value.hint == f"Grant roles/pubsub.viewer, which has pubsub.{kind}.list."


@pytest.mark.parametrize(
    ("endpoint", "health"),
    [
        (f"https://{HOST}/predict", Health.OK),
        ("https://prediction-worker-first.a.run.app/predict", Health.OK),
        (DEAD, Health.CRITICAL),
        ("/run/prediction-worker/predict", Health.CRITICAL),
    ],
)
def test_every_address_of_a_service_is_live_and_no_other(google, endpoint, health):
    google.service.uri = "https://prediction-worker-first.a.run.app"
    google.answers["subscriptions"] = [{**ACTUAL, "pushConfig": {"pushEndpoint": endpoint}}]
    assert read_report().health is health


def test_a_service_that_cannot_be_read_leaves_its_subscription_unknown(google):
    google.service = OnCallError("No answer.")
    report = read_report()
    assert (report.health, [p.source for p in report.problems]) == (Health.UNKNOWN, ["Cloud Run, prediction-worker"])


def test_without_a_declared_subscription_nothing_is_read(google, monkeypatch):
    monkeypatch.setattr(subscriptions, "read_declared_subscriptions", lambda _: ())
    google.answers.clear()  # any read would fail
    assert read_report().health is Health.NONE_EXPECTED
