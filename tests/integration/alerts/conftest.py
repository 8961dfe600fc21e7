"""Clients of a sandbox whose Slack is the watchdog's channel."""

from __future__ import annotations

import pytest

from services.alerts import transport
from services.core.settings import Settings
from services.gcp.clients import connect
from tests.support.incident_replay import _slack_env


@pytest.fixture
def slack_clients(fresh_sandbox):
    """Clients of the two weeks of the sandbox, with a channel."""
    env = {"SANDBOX_URL": fresh_sandbox.url, "SLACK_WEBHOOK_URL": f"{fresh_sandbox.url}/slack/webhook"}
    return connect(Settings.from_env(env))


@pytest.fixture
def short_timeout_slack_clients(fresh_sandbox, monkeypatch):
    monkeypatch.setattr(transport, "REQUEST_TIMEOUT_S", 1)
    return connect(Settings.from_env({"SANDBOX_URL": fresh_sandbox.url, **_slack_env(fresh_sandbox)}))
