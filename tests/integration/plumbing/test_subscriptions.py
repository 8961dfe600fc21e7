"""Pub/Sub and Cloud Monitoring by REST: as declared, a dead push address, a waiting message, and without permission."""

from __future__ import annotations

import copy

import pytest

from services.core.errors import AccessDenied, InvalidQuery
from services.core.result import Health
from services.gcp.rest_api import list_resources
from services.plumbing.subscriptions import OLDEST_UNACKED, read_subscription_report

NAME = "prediction-request-prod"


@pytest.fixture
def pubsub(module_sandbox):
    state = module_sandbox.state.pubsub
    before = copy.deepcopy((state.topics, state.subscriptions, state.backlog))
    yield state
    state.topics, state.subscriptions, state.backlog = before


def test_subscriptions_are_read_with_their_backlog_and_every_page(module_clients, pubsub):
    assert read_subscription_report(module_clients).headline == "2 of 2 subscriptions as declared"
    pubsub.topics += [f"extra-{number}" for number in range(150)]  # a page has 100
    assert len(read_subscription_report(module_clients).silent_topics) == 150
    pubsub.backlog[NAME] = (3600, 158)
    report = read_subscription_report(module_clients)
    assert (report.health, report.subscriptions[0].undelivered) == (Health.WARNING, 158)
    assert "has a message that has waited 60 min, at most 15 declared" in report.headline
    del pubsub.backlog[NAME]
    assert read_subscription_report(module_clients).health is Health.UNKNOWN


def test_a_push_address_that_serves_nothing_is_critical(module_clients, pubsub):
    pubsub.subscriptions[0]["pushConfig"] = {"pushEndpoint": "https://prediction-worker-gone.a.run.app/predict"}
    report = read_subscription_report(module_clients)
    assert report.health is Health.CRITICAL
    assert "which is no address of prediction-worker now" in report.headline


def test_a_missing_permission_is_named_and_what_it_hides_is_unknown(module_clients, module_sandbox, pubsub):
    denied = module_sandbox.state.identities.denied_permissions
    denied.add("monitoring.timeSeries.list")
    report = read_subscription_report(module_clients)
    assert report.health is Health.UNKNOWN
    assert [(p.source, "roles/monitoring.viewer" in p.hint) for p in report.problems] == [("Cloud Monitoring", True)]
    denied.add("pubsub.subscriptions.list")
    with pytest.raises(AccessDenied, match=r"User not authorized.*Grant roles/pubsub\.viewer"):
        read_subscription_report(module_clients)


def test_a_query_that_monitoring_refuses_is_an_error_of_ours(module_clients):
    project = module_clients.settings.project
    with pytest.raises(InvalidQuery, match="Field filter had an invalid value"):
        list(list_resources(module_clients, "Cloud Monitoring", "monitoring", f"v3/projects/{project}/timeSeries", "x"))


@pytest.mark.parametrize(
    ("api", "path"), [("pubsub", "v1/{}/topics"), ("pubsub", "v1/{}/subscriptions"), ("monitoring", "v3/{}/timeSeries")]
)
def test_another_project_is_refused(module_clients, api, path):
    metric = {"filter": f'metric.type = "{OLDEST_UNACKED}"', "interval.endTime": "2025-12-30T06:45:00Z"}
    with pytest.raises(AccessDenied):
        list(list_resources(module_clients, api, api, path.format("projects/other-project"), "topics", metric))
