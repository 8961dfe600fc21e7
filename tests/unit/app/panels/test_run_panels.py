"""The head of a page while a run is under way: how far it is, and never a number that is not known."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import action_feed
from app.panels.run_panels import find_run, run_html
from app.state import reads, session
from services.actions.log_reader import Action, ActionLog, ActionState
from services.auth.roles import Actor, Role
from services.core.result import DataSource, Health, Result
from services.runs.active_run import ActiveRun
from services.runs.progress import RunProgress
from tests.support.factories import NIGHT, NOW
from tests.support.night_facts import UNREAD, make_facts

RUN = ActiveRun("batch_x", NOW, 90, stoppable=True, repeats=True)
PROGRESS = RunProgress(
    "batch_x",
    "running",
    (("requested", 90), ("answered", 53), ("staged", 41), ("consolidated", 0), ("active on the date", None)),
    90,
    90.0,
    NOW + timedelta(seconds=25),
    stalled=False,
    message="",
    not_staged="2 no answer",
    source=DataSource("The coordinator, /status", NOW),
)
TEXT = "68 of 158 eligible players are active so far"


def show(run: ActiveRun, progress: RunProgress | None, health: Health = Health.UNKNOWN) -> str:
    head = run_html(run, progress, "Progress unknown: it did not answer.", TEXT, health)
    return " ".join(re.sub(r"<[^>]+>", " ", head).split())


def test_a_run_shows_its_stages_its_rate_and_its_end():
    text = show(RUN, PROGRESS)
    assert "Re-running 90 players progress_activity Running" in text
    assert f"90 players/min · ETA 01:45:25 ET · 2 no answer · {TEXT}" in text
    assert text.endswith("Requested 90 of 90 Answered 53 of 90 Staged 41 of 90 Consolidated 0 of 90")
    assert 'aria-valuemax="90" aria-valuenow="41"' in run_html(RUN, PROGRESS, "", TEXT, Health.UNKNOWN)


def test_a_critical_night_keeps_its_word_while_a_run_mends_it():
    assert "error Critical" in show(RUN, PROGRESS, Health.CRITICAL)
    assert "error Critical" not in show(RUN, PROGRESS)


def test_what_the_coordinator_does_not_say_is_unknown():
    text = show(RUN, None)
    assert "Progress unknown: it did not answer." in text
    assert text.endswith("Requested 90 of 90 Answered unknown Staged unknown Consolidated unknown")


def test_a_batch_that_ended_is_verified_until_its_action_has_an_outcome():
    text = show(RUN, replace(PROGRESS, state="consolidated", ready_at=None))
    assert "Verifying" in text
    assert "players/min" not in text, "the rate falls after the end"


def test_a_stalled_run_is_a_warning_with_its_reason():
    text = show(RUN, replace(PROGRESS, stalled=True, message="no progress for 95 s"))
    assert "warning Stalled" in text
    assert "no progress for 95 s" in text


def test_a_run_that_is_only_requested_starts():
    assert "Starting" in show(ActiveRun("", NOW, None, stoppable=False, repeats=True), None)


def _card(run):
    """A page with the card of a run."""
    import streamlit as st

    from app.actions import dialog
    from app.panels import run_panels
    from services.core.result import Health

    run_panels.run_card(run, "", Health.CRITICAL)
    st.caption("open" if dialog.is_dialog_open() else "closed")


@pytest.fixture
def stop_button(monkeypatch):
    """The Stop of a run at this progress, and the page that it is on."""

    def show(run: ActiveRun, progress: RunProgress | None) -> tuple[Any, AppTest]:
        monkeypatch.setattr(session, "cached_clients", lambda: None)
        monkeypatch.setattr(session, "actor", lambda: Actor("nora", Role.OPERATOR))
        monkeypatch.setattr(session, "link_params", dict)
        monkeypatch.setattr(reads, "run_progress", lambda *_: Result(progress))
        monkeypatch.setattr("streamlit.page_link", lambda *_, **__: None)
        page = AppTest.from_function(_card, args=(run,)).run()
        assert not page.exception, page.exception
        return next(button for button in page.button if button.label == "Stop"), page

    return show


def test_stop_is_disabled_with_its_reason_as_soon_as_consolidating_has_begun(stop_button):
    button, page = stop_button(RUN, PROGRESS)
    assert not button.disabled
    button.click().run()
    assert page.caption[0].value == "open", "the page is drawn anew for its plan"
    for run, state in ((RUN, "consolidating"), (RUN, "stopping"), (replace(RUN, stoppable=False), "consolidated")):
        button, _ = stop_button(run, replace(PROGRESS, state=state))
        assert button.disabled
        assert "nothing left to stop" in button.help
    assert stop_button(replace(RUN, stoppable=False), None)[0].disabled, "by the ledger, while nothing answers"


ENDED = Action(
    "a1", "k", 1, "run.start", str(NIGHT), "Re-run 90 players", "nora", "operator", "", ActionState.DONE, "", NOW, NOW,
    NOW, "p", "", {"batch_id": "batch_b"},
)  # fmt: skip


@pytest.fixture
def frame(monkeypatch):
    """What this session has noticed, and of which action it holds the outcome."""
    state = SimpleNamespace(noticed=True, held="")
    monkeypatch.setattr(session, "now", lambda: NOW + timedelta(seconds=2))
    monkeypatch.setattr(action_feed, "session_handles", dict)
    monkeypatch.setattr(action_feed, "has_unnoticed_end", lambda _: not state.noticed)
    monkeypatch.setattr(action_feed, "hold_outcome", lambda action_id: setattr(state, "held", action_id))
    return state


@pytest.mark.parametrize("unread", ["night", "usual", "batches"])
def test_a_run_that_ended_stays_with_its_outcome_held_until_the_night_is_read_anew(frame, unread):
    log = ActionLog((ENDED,), DataSource("log", NOW))
    run = find_run(make_facts(**{unread: UNREAD}), log)
    assert run is not None
    assert frame.held == "a1"
    assert find_run(make_facts(), log) is None
    assert frame.held == ""


def test_a_run_whose_end_the_frame_has_not_noticed_stays_too(frame):
    """What is shown was read before the end."""
    frame.noticed = False
    assert find_run(make_facts(), ActionLog((ENDED,), DataSource("log", NOW))) is not None
    assert frame.held == "a1"
