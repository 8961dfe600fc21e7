"""Clients of a sandbox whose Slack is the watchdog's channel."""

from __future__ import annotations

import pytest

from services.alerts import transport
from services.gcp.clients import connect
from tests.support.incident_replay import _slack_env
from tests.support.sandbox import settings_as


@pytest.fixture
def slack_clients(fresh_sandbox):
    """Clients of the two weeks of the sandbox, with a channel."""
    return connect(settings_as(fresh_sandbox, "act", **_slack_env(fresh_sandbox)))


@pytest.fixture
def short_timeout_slack_clients(fresh_sandbox, monkeypatch):
    monkeypatch.setattr(transport, "REQUEST_TIMEOUT_S", 1)
    return connect(settings_as(fresh_sandbox, "act", **_slack_env(fresh_sandbox)))
