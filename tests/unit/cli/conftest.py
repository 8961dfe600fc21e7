"""The command line in this process, on records and alerts in memory; what it prints and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from services.alerts.alert_log import append_event
from services.cli.__main__ import run
from services.cli.terminal import Terminal
from services.core.settings import Settings
from services.gcp.clients import Clients
from tests.support.memory_records import MemoryRecords
from tests.unit.alerts.test_alert_actions import OPENED

SANDBOX = {"SANDBOX_URL": "http://sandbox.test"}


@dataclass(frozen=True)
class Answer:
    """What one command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_state_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


@pytest.fixture
def terminal(records: MemoryRecords) -> Terminal:
    """A terminal in the sandbox with one open alert; nothing else can be read."""
    settings = Settings.from_env(SANDBOX)
    nothing: Any = None
    clients = Clients(settings, records.clock, nothing, nothing, nothing, nothing, nothing)
    append_event(clients, OPENED)
    return Terminal(read_settings=lambda: settings, open_clients=lambda *_: clients)


@pytest.fixture
def oncall(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run `oncall` with these words, each run as a process of its own would."""

    def call(*words: str) -> Answer:
        fresh = Terminal(read_settings=terminal.read_settings, open_clients=terminal.open_clients)
        code = run(words, fresh)
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return call
