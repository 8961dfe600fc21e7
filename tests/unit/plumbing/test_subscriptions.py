"""Each way in which a subscription carries nothing has a sentence and a health; what is not known is never in order."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.result import DataSource, Health, Problem
from services.plumbing.manifest import DeclaredSubscription
from services.plumbing.subscriptions import SubscriptionReport, SubscriptionState, find_silent_topics, to_state
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
