"""The form of a log filter of one's own: which time is searched, what is added, and what of it is in the address."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from app.panels import log_form
from app.panels.log_form import FILTER_KEY, MAX_LINK_CHARS, TIMES
from app.state import reads
from services.core.clock import night_window
from services.core.settings import Settings
from services.telemetry.log_search import SOURCES, LogSearch

NIGHT = date(2025, 12, 29)
NOW = datetime(2025, 12, 30, 6, 45, 12, tzinfo=UTC)
CLIENTS: Any = SimpleNamespace(settings=Settings.from_env({}), now=lambda: NOW)


@pytest.fixture(autouse=True)
def state(monkeypatch) -> dict[str, Any]:
    """The session's state, and beside it the address."""
    state: dict[str, Any] = {FILTER_KEY: ""}
    monkeypatch.setattr(st, "session_state", state)
    monkeypatch.setattr(st, "query_params", {})
    return state


def address() -> dict[str, str]:
    return dict(st.query_params)


def test_the_game_date_is_the_whole_night_and_the_last_hour_ends_with_the_minute():
    assert log_form._choose_times(TIMES[0], NOW, NIGHT) == night_window(NIGHT)
    minute = datetime(2025, 12, 30, 6, 46, tzinfo=UTC)
    assert log_form._choose_times(TIMES[1], NOW, NIGHT) == (minute - timedelta(hours=1), minute)


@pytest.mark.parametrize(
    ("length", "kept"), [(0, False), (1, True), (MAX_LINK_CHARS, True), (MAX_LINK_CHARS + 1, False)]
)
def test_a_filter_is_in_the_address_until_it_is_too_long_or_empty(state, length, kept):
    st.query_params[FILTER_KEY] = "what was typed before"
    state[FILTER_KEY] = "x" * length
    log_form._keep_in_address()
    assert address() == ({FILTER_KEY: "x" * length} if kept else {})


def test_a_condition_is_added_with_its_value_and_one_without_a_value_is_not(state):
    log_form._add("text", "")
    assert (state[FILTER_KEY], address()) == ("", {})
    log_form._add("severity ≥", "ERROR")
    log_form._add("status ≥ 400", "")
    assert state[FILTER_KEY] == "severity>=ERROR\nAND httpRequest.status>=400"
    assert address() == {FILTER_KEY: state[FILTER_KEY]}


def test_to_a_filter_that_cannot_be_used_nothing_is_added_and_it_stays_as_typed(state):
    state[FILTER_KEY] = 'textPayload:"open'
    log_form._add("severity ≥", "ERROR")
    assert (state[FILTER_KEY], address()) == ('textPayload:"open', {})


def search(text: str) -> LogSearch:
    return LogSearch(text, SOURCES[0], *night_window(NIGHT))


def test_what_is_wrong_with_a_filter_is_one_sentence_and_a_usable_one_has_none():
    assert "closes nothing" in log_form._problem(search("severity>=ERROR)"))
    assert log_form._problem(search("severity>=ERROR")) == ""


def test_the_values_on_offer_are_those_that_other_pages_have_read(monkeypatch):
    def offer(kind: str) -> list[str]:
        return list(log_form._known_values(CLIENTS, NIGHT, kind))

    for reading in ("batches", "deploys"):
        monkeypatch.setattr(reads, reading, SimpleNamespace(peek=lambda *_: None))
    settings = CLIENTS.settings
    assert offer("service") == [settings.worker_service, settings.coordinator_service]
    assert offer("severity ≥")[0] == "EMERGENCY"
    assert "DEFAULT" not in offer("severity ≥")
    assert offer("batch") == offer("revision") == offer("text") == []
    batches = SimpleNamespace(batches=[SimpleNamespace(batch_id="batch_1")])
    deploys = SimpleNamespace(deploys=[SimpleNamespace(revision="worker-1")])
    monkeypatch.setattr(reads, "batches", SimpleNamespace(peek=lambda *_: batches))
    monkeypatch.setattr(reads, "deploys", SimpleNamespace(peek=lambda *_: deploys))
    assert (offer("batch"), offer("revision"), offer("text")) == (["batch_1"], ["worker-1"], [])


def test_only_a_chosen_beginning_and_end_are_in_a_link(state):
    state |= {"log_from": NIGHT, "log_from_at": NOW, "log_to": NIGHT, "log_to_at": NOW}
    assert log_form._time_params() == {"log_time": TIMES[0]}
    state["log_time"] = TIMES[1]
    assert log_form._time_params() == {"log_time": TIMES[1]}
    state["log_time"] = TIMES[2]
    assert log_form._time_params() == {
        "log_time": TIMES[2],
        "log_from": "2025-12-29",
        "log_from_at": "06:45",
        "log_to": "2025-12-29",
        "log_to_at": "06:45",
    }
