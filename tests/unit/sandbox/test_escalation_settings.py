"""`make run` tries the second channel: the sandbox's own, unless the environment names another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from services.alerts.pager import pager_configured, pager_name
from services.core.settings import Settings
from services.sandbox.__main__ import _escalation

SANDBOX: Any = SimpleNamespace(url="http://127.0.0.1:9050")


def test_the_sandbox_is_the_second_channel_and_the_minutes_can_be_set(monkeypatch):
    for name in ("ESCALATION_URL", "ESCALATION_KEY", "ESCALATE_AFTER_MIN"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings.from_env(_escalation(SANDBOX))
    assert pager_configured(settings)
    assert (pager_name(settings), settings.escalate_after_min) == ("PagerDuty", 15)
    monkeypatch.setenv("ESCALATE_AFTER_MIN", "1")
    assert Settings.from_env(_escalation(SANDBOX)).escalate_after_min == 1


def test_a_second_channel_of_the_environment_is_kept(monkeypatch):
    monkeypatch.setenv("ESCALATION_URL", "https://pager.example/v1")
    assert _escalation(SANDBOX) == {}
