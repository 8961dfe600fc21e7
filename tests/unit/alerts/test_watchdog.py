"""What the watchdog logs of its own faults: never without the traceback."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from services.alerts import remediation, watchdog
from services.alerts.remediation import Remediation
from services.core.errors import OnCallError
from tests.support.alert_factories import NOW


def raise_fault(*_args: object, **_options: object) -> None:
    raise OnCallError("The table is away.")


@pytest.fixture
def clients():
    return SimpleNamespace(now=lambda: NOW)


def test_a_fault_in_one_check_is_logged_with_its_traceback(clients, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "run_check", raise_fault)
    assert watchdog.run(clients, None, {}) == 1
    assert "Watchdog is blind: OnCallError: The table is away." in caplog.messages[0]
    assert "in raise_fault" in caplog.text


def test_a_remediation_that_fails_is_logged_with_its_traceback(clients, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "plan_remediations", raise_fault)
    nothing: Any = None  # planning fails before it reads these
    assert watchdog._remediate(clients, (), nothing, (), nothing) == ((), ())
    assert caplog.messages[0].startswith("Watchdog could not mend: The table is away.")
    assert "in raise_fault" in caplog.text


def test_a_remediation_that_cannot_be_planned_is_logged_with_its_traceback(clients, caplog):
    caplog.set_level("WARNING", logger="watchdog")
    action_type: Any = SimpleNamespace(name="resume_batch", plan=raise_fault)
    step = Remediation(action_type, "2025-12-29", {}, "stalled", ("run", None))
    assert remediation._start(clients, step, (), NOW) is None
    assert [(r.levelno, "resume_batch of 2025-12-29" in r.getMessage()) for r in caplog.records] == [
        (logging.WARNING, True)
    ]
    assert "in raise_fault" in caplog.text
