"""Pub/Sub against the manifest: is each subscription there, does it push to a live address, where do dead letters go, how long is
the backlog? Topics that nobody subscribes to are named: publishing to one succeeds into nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from services.core.clock import to_rfc3339
from services.core.errors import AccessDenied, OnCallError
from services.core.result import DataSource, Health, Problem, worst
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.rest_api import list_resources
from services.plumbing.declared_states import count_as_declared, list_failing, sort_worst_first
from services.plumbing.manifest import DeclaredSubscription, read_declared_subscriptions
from services.plumbing.scheduled_jobs import matches_target
from services.scaling.capacity import get_service

T = TypeVar("T")

SOURCE = "Pub/Sub"
OLDEST_UNACKED = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"  # seconds
UNDELIVERED = "pubsub.googleapis.com/subscription/num_undelivered_messages"
METRIC_WINDOW = timedelta(minutes=15)  # a point a minute, visible some minutes later
_DELETED_TOPIC = "_deleted-topic_"


@dataclass(frozen=True)
class SubscriptionState:
    """One declared subscription. A backlog of None is unknown: Cloud Monitoring has no point of it, or could not be read."""

    declared: DeclaredSubscription
    endpoint: str
    dead_letter_topic: str
    oldest_unacked_s: int | None
    undelivered: int | None
    problems: tuple[str, ...]
    health: Health

    @property
    def name(self) -> str:
        """The subscription's short name."""
        return self.declared.name


@dataclass(frozen=True)
class SubscriptionReport:
    """Every declared subscription, worst first; `silent_topics` are topics of the project without a subscription."""

    subscriptions: tuple[SubscriptionState, ...]
    silent_topics: tuple[str, ...]
    problems: tuple[Problem, ...]
    source: DataSource

    @property
    def failing(self) -> tuple[SubscriptionState, ...]:
        """The subscriptions that are not as declared."""
        return list_failing(self.subscriptions)

    @property
    def health(self) -> Health:
        """That of the worst subscription; unknown where something of them could not be read."""
        states = [state.health for state in self.subscriptions]
        return worst([*states, *([Health.UNKNOWN] if self.problems else [])]) if states else Health.NONE_EXPECTED

    @property
    def headline(self) -> str:
        """How many are as declared, and the first that is not."""
        unknown = self.problems[0].source if self.problems else ""
        return count_as_declared("subscription", self.subscriptions, unknown=unknown)


def read_subscription_report(clients: Clients) -> SubscriptionReport:
    """The declared subscriptions as Pub/Sub has them now; raises OnCallError where manifest or Pub/Sub cannot be read.

    Readers at the same time share the calls.
    """
    return clients.cache.shared("declared subscriptions", lambda: _read_report(clients))


def _read_report(clients: Clients) -> SubscriptionReport:
    declared, now = read_declared_subscriptions(clients.settings), clients.now()
    if not declared:
        return SubscriptionReport((), (), (), DataSource(SOURCE, now))
    services = sorted({entry.target.partition("/")[0] for entry in declared})
    problems: list[Problem] = []

    def known(source: str, read: Future[T]) -> T | None:
        try:
            return read.result()
        except OnCallError as error:
            problems.append(Problem.from_error(source, now, error))
            return None

    with concurrent_reads() as pool:
        topics = pool.submit(_list, clients, "topics")
        found = pool.submit(_list, clients, "subscriptions")
        addresses = {name: pool.submit(_read_addresses, clients, name) for name in services}
        oldest = pool.submit(_read_metric, clients, OLDEST_UNACKED)
        undelivered = pool.submit(_read_metric, clients, UNDELIVERED)
    live = {name: known(f"Cloud Run, {name}", read) for name, read in addresses.items()}
    ages, counts = known("Cloud Monitoring", oldest), known("Cloud Monitoring", undelivered)
    actual = {_short(item["name"]): item for item in found.result()}
    topic_names = [_short(item["name"]) for item in topics.result()]
    states = sort_worst_first(
        to_state(
            entry,
            actual.get(entry.name),
            live[entry.target.partition("/")[0]],
            None if ages is None else ages.get(entry.name),
            None if counts is None else counts.get(entry.name),
            topic_names,
        )
        for entry in declared
    )
    unknown = {problem.source: problem for problem in problems}
    source = DataSource(f"{SOURCE}, Cloud Monitoring", clients.now())
    return SubscriptionReport(states, find_silent_topics(topic_names, actual.values()), tuple(unknown.values()), source)


def _list(clients: Clients, kind: str) -> list[Mapping[str, Any]]:
    try:
        path = f"v1/projects/{clients.settings.project}/{kind}"
        return list(list_resources(clients, SOURCE, "pubsub", path, kind))
    except AccessDenied as error:
        raise AccessDenied(error.message, f"Grant roles/pubsub.viewer, which has pubsub.{kind}.list.") from error


def _read_metric(clients: Clients, metric: str) -> Mapping[str, int]:
    """The newest value by subscription; one without a point is not in it."""
    now = clients.now()
    query = {
        "filter": f'metric.type = "{metric}"',
        "interval.startTime": to_rfc3339(now - METRIC_WINDOW),
        "interval.endTime": to_rfc3339(now),
    }
    path = f"v3/projects/{clients.settings.project}/timeSeries"
    try:
        series = list(list_resources(clients, "Cloud Monitoring", "monitoring", path, "timeSeries", query))
    except AccessDenied as error:
        hint = "Grant roles/monitoring.viewer, which has monitoring.timeSeries.list."
        raise AccessDenied(error.message, hint) from error
    return {  # points come newest first
        one["resource"]["labels"]["subscription_id"]: int(one["points"][0]["value"]["int64Value"])
        for one in series
        if one.get("points")
    }


def _read_addresses(clients: Clients, service: str) -> frozenset[str]:
    """The hosts under which Cloud Run serves a service now."""
    found = get_service(clients, service)
    return frozenset(urlsplit(url).netloc for url in (found.uri, *found.urls) if url)


def to_state(
    declared: DeclaredSubscription,
    actual: Mapping[str, Any] | None,
    live_hosts: frozenset[str] | None,
    oldest_unacked_s: int | None,
    undelivered: int | None,
    topics: Iterable[str],
) -> SubscriptionState:
    """A subscription beside its declaration; `live_hosts` None: the service's addresses are not known. Pure."""
    if actual is None:
        problems: tuple[str, ...] = ("does not exist",)
        if declared.topic not in topics:
            problems = (f"does not exist, nor does its topic {declared.topic}",)
        return SubscriptionState(declared, "", "", None, None, problems, Health.CRITICAL)
    broken = tuple(_broken(declared, actual, live_hosts))
    minor = tuple(_minor(declared, actual, oldest_unacked_s))
    unknown = live_hosts is None or oldest_unacked_s is None
    health = Health.CRITICAL if broken else Health.UNKNOWN if unknown else Health.WARNING if minor else Health.OK
    return SubscriptionState(
        declared,
        str(actual.get("pushConfig", {}).get("pushEndpoint", "")),
        _short(actual.get("deadLetterPolicy", {}).get("deadLetterTopic", "")),
        oldest_unacked_s,
        undelivered,
        (*broken, *minor),
        health,
    )


def _broken(
    declared: DeclaredSubscription, actual: Mapping[str, Any], live_hosts: frozenset[str] | None
) -> Iterator[str]:
    """Why no message arrives."""
    topic, endpoint = _short(actual.get("topic", "")), str(actual.get("pushConfig", {}).get("pushEndpoint", ""))
    if actual.get("detached") or topic == _DELETED_TOPIC:
        yield "has lost its topic"
    elif topic != declared.topic:
        yield f"belongs to topic {topic}, declared {declared.topic}"
    if not endpoint:
        yield f"pushes nowhere, declared {declared.target}"
    elif not matches_target(declared.target, endpoint):
        yield f"pushes to {endpoint}, declared {declared.target}"
    elif live_hosts is not None and urlsplit(endpoint).netloc not in live_hosts:
        yield f"pushes to {endpoint}, which is no address of {declared.target.partition('/')[0]} now"
    if actual.get("state") == "RESOURCE_ERROR":
        yield "is in an error of its resources, by Pub/Sub"


def _minor(declared: DeclaredSubscription, actual: Mapping[str, Any], oldest_unacked_s: int | None) -> Iterator[str]:
    dead_letter_topic = _short(actual.get("deadLetterPolicy", {}).get("deadLetterTopic", ""))
    if dead_letter_topic != declared.dead_letter_topic:
        yield f"sends dead letters to {dead_letter_topic or 'nowhere'}, declared {declared.dead_letter_topic or 'nowhere'}"
    if oldest_unacked_s is not None and oldest_unacked_s > 60 * declared.max_unacked_min:
        yield f"has a message that has waited {oldest_unacked_s // 60} min, at most {declared.max_unacked_min} declared"


def find_silent_topics(topics: Iterable[str], subscriptions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The topics to which nothing subscribes. Pure."""
    subscribed = {_short(item.get("topic", "")) for item in subscriptions if not item.get("detached")}
    return tuple(sorted(set(topics) - subscribed))


def _short(resource: str) -> str:
    return resource.rsplit("/", 1)[-1]
