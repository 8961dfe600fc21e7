"""Test event list: moved here by the new layout."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.alert_log import read_alerts
from services.reports.event_list import count_by_kind, recent_events


@pytest.fixture
def clients(checked_sandbox):
    return checked_sandbox[0]


@pytest.fixture
def sandbox(checked_sandbox, monkeypatch):
    """The page fixture opens this sandbox."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{checked_sandbox[1].url}/slack/webhook")
    return checked_sandbox[1]


def test_the_timeline_contains_alerts_messages_batches_and_deploys(clients):
    from services.actions.log_reader import read_action_log
    from services.batches.reader import read_batches
    from services.scaling.capacity import read_service_capacities
    from tests.support.factories import NIGHT

    start, end = datetime(2025, 12, 29, tzinfo=UTC), clients.now() + timedelta(hours=1)
    moments = recent_events(
        read_alerts(clients),
        read_action_log(clients, start, end),
        read_batches(clients, NIGHT),
        read_service_capacities(clients),
        start,
        end,
    )
    assert {"alert", "message", "batch", "deploy"} <= set(count_by_kind(moments))
    assert [m.when for m in moments] == sorted((m.when for m in moments), reverse=True)
