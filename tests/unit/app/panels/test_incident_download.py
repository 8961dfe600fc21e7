"""The incident is read and written when it is asked for, and not before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streamlit.testing.v1 import AppTest

from app.panels import incident_download
from app.state import reads, session
from services.reports.handoff_note import HandoffInputs
from tests.support.night_facts import SETTINGS
from tests.unit.reports.test_incident_times import GAME_DATE, NOW, make_inputs


def test_nothing_is_read_until_the_file_is_asked_for_and_then_it_is_the_incident(monkeypatch):
    asked: list[Any] = []
    clients: Any = SimpleNamespace(settings=SETTINGS, now=lambda: NOW)
    monkeypatch.setattr(session, "cached_clients", lambda: clients)
    monkeypatch.setattr(reads.action_log, "fetch_async", lambda *_: lambda: None)

    def read(*args: object) -> HandoffInputs:
        asked.append(args)
        return make_inputs()

    monkeypatch.setattr(reads, "handoff_inputs", read)

    def page() -> None:
        from datetime import date

        from app.panels import incident_download

        incident_download.button(date(2025, 12, 29))

    app: Any = AppTest.from_function(page).run()
    assert [button.label for button in app.get("download_button")] == ["Download incident"]
    assert asked == []
    text = incident_download.write_file(clients, GAME_DATE).decode()
    assert text.startswith("# Incident of 2025-12-29\n")
    assert len(asked) == 1
