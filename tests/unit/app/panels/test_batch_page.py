"""The batch page: shown as soon as the run is accepted, judged as on every other page, started by whom the action log names."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import streamlit as st

from app.panels import batch_page
from app.state import reads, session
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health
from services.runs.active_run import ActiveRun
from tests.support.alert_factories import BATCH, STARTED, make_batch, make_rejection_burst, make_write_report
from tests.support.factories import NOW, make_attempt
from tests.unit.test_action_registry import make_action

RUN = ActiveRun("batch_new", NOW, 90, True, repeats=True)


@pytest.fixture
def forgotten(monkeypatch):
    """What was read again, and how often the page was drawn anew."""
    events: list[str] = []
    monkeypatch.setattr(session, "cached_clients", lambda: SimpleNamespace())
    monkeypatch.setattr(reads, "forget", lambda _, changed: events.append(", ".join(changed)))
    monkeypatch.setattr(reads, "_forgotten_after", deque(maxlen=5))
    monkeypatch.setattr(st, "rerun", lambda: events.append("rerun"))
    return events


def test_an_accepted_batch_that_is_not_listed_yet_is_read_once_and_the_page_drawn_anew(forgotten):
    batches = Batches((make_batch(),), ())
    batch_page.follow_start(RUN, batches)
    batch_page.follow_start(RUN, batches)  # of a coordinator without a ledger: it may never be listed
    assert forgotten == ["prediction_on_call.batches", "rerun"]


@pytest.mark.parametrize(
    "run", [None, ActiveRun("", NOW, None, False, repeats=True), ActiveRun(BATCH, NOW, 1, True, repeats=True)]
)
def test_nothing_is_read_again_without_a_run_before_it_is_accepted_or_once_it_is_listed(forgotten, run):
    batch_page.follow_start(run, Batches((make_batch(),), ()))
    assert forgotten == []


def test_who_started_a_batch_is_its_newest_run_action():
    resumed, started = (make_action(f"run.{verb}", verb, facts={"batch_id": BATCH}) for verb in ("resume", "start"))
    other = make_action("staging.consolidate", "c", facts={"batch_id": BATCH})
    log = SimpleNamespace(actions=(other, resumed, started))
    assert batch_page.find_action(BATCH, log) is resumed
    assert batch_page.find_action("batch_x", log) is None
    assert batch_page.find_action(BATCH, None) is None


def test_a_duration_goes_on_while_the_batch_runs_and_is_unknown_without_an_end():
    ended = make_batch(started=STARTED, ended=STARTED + timedelta(seconds=160))
    running = make_batch(state=BatchState.RUNNING, started=STARTED, ended=None)
    now = STARTED + timedelta(seconds=75)
    assert batch_page.duration_text(ended, now) == "2:40"
    assert batch_page.duration_text(running, now) == "1:15"
    assert batch_page.duration_text(make_batch(started=None), now) == "unknown"
    assert batch_page.duration_text(make_batch(state=BatchState.STALLED, ended=None), now) == "unknown"


def test_an_older_batch_is_judged_by_its_own_state():
    older = make_batch(batch_id="batch_old", state=BatchState.STALLED, generated=40, health=Health.CRITICAL)
    judged = batch_page.judge(older, Batches((make_batch(), older), ()), SimpleNamespace())  # type: ignore[arg-type]
    assert judged == (Health.CRITICAL, "stalled: 40 of 158 players generated")


def test_rejected_writes_of_the_batch_are_drawn_by_the_minute_and_nothing_is_where_none_was_rejected(monkeypatch):
    drawn: list[str] = []
    monkeypatch.setattr(st, "subheader", lambda text, **_: drawn.append(text))
    monkeypatch.setattr(st, "html", drawn.append)
    monkeypatch.setattr(st, "caption", drawn.append)
    report = make_write_report(*make_rejection_burst(90), make_attempt(at=STARTED))
    batch_page._show_rejections(make_batch(), make_write_report(make_attempt(at=STARTED)))
    batch_page._show_rejections(make_batch(), None)
    assert drawn == []
    batch_page._show_rejections(make_batch(), report)
    assert drawn[0] == "Rejected writes"
    assert 'aria-label="90 of 91 writes of this batch rejected"' in drawn[1]
    assert "14:48 ET: 0 accepted, 60 rejected" in drawn[1]
    batch_page._show_rejections(make_batch(), replace(report, attempted=None))
    assert drawn[2] == "At least 90 writes of this date were rejected; of which batch is unknown."
