"""The panel for several nights: what cannot be a range is said while it is chosen, and a range that stopped is offered to be resumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import action_feed
from app.state import session
from services.actions.log_reader import ActionLog, ActionState
from services.auth.roles import Actor, Role
from services.core.result import DataSource
from services.runs import night_range, range_actions
from services.runs.range_actions import RUN_RANGE
from tests.unit.runs.test_night_range import World, log, make_world, plan_range, run

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch) -> World:
    return make_world(monkeypatch, night_range, range_actions)


@pytest.fixture
def clients(records, monkeypatch) -> Any:
    clients = records.clients()
    for name in ("cached_clients", "uncached_clients"):
        monkeypatch.setattr(session, name, lambda: clients)
    monkeypatch.setattr(session, "actor", lambda: Actor("nora", Role.OPERATOR))
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})
    monkeypatch.setattr(action_feed, "link_to", lambda *_: None)
    return clients


def open_panel(actions: Any) -> AppTest:
    def page(action_log):
        from datetime import date

        from app.panels import range_panel

        range_panel.render(date(2025, 12, 29), action_log)

    action_log = None if actions is None else ActionLog(tuple(actions), DataSource("a test", NOW))
    return AppTest.from_function(page, kwargs={"action_log": action_log}).run()


def button(app: AppTest, label: str) -> Any:
    return next(b for b in app.button if b.label == label)


def test_the_form_says_what_is_wrong_with_a_range_and_plans_nothing_then(world, clients):
    app = open_panel(())
    assert not button(app, "Plan the range").disabled
    app.date_input(key="range from").set_value(date(2025, 11, 29)).run()
    assert button(app, "Plan the range").disabled
    assert any("31 nights; a range has at most 14" in m.value for m in app.markdown)
    app.date_input(key="range from").set_value(date(2025, 12, 29)).run()
    app.date_input(key="range to").set_value(date(2025, 12, 28)).run()
    assert any("before it begins" in m.value for m in app.markdown)


def test_a_range_that_stopped_is_offered_at_its_first_night_that_is_not_done(world, clients):
    world.failing = ("2025-12-26",)
    run(clients, plan_range(clients))
    app = open_panel(log(clients))
    assert any("1 of 4 nights verified" in m.value for m in app.markdown)
    assert button(app, "Resume at Fri 26 Dec 2025")
    world.failing = ()
    clients.clock.advance(60)
    run(clients, plan_range(clients, "2025-12-26"))
    assert not [b for b in open_panel(log(clients)).button if b.label.startswith("Resume")]


def test_a_range_in_progress_has_a_stop_and_no_form(world, clients):
    seen: list[AppTest] = []
    world.before_run = lambda _: seen.append(open_panel(log(clients)))
    run(clients, plan_range(clients, "2025-12-28", "2025-12-28"))
    [app] = seen
    assert [b.label for b in app.button] == ["Stop before the next night"]
    assert not app.date_input
    assert any("Re-run 1 night" in m.value for m in app.markdown)


def test_while_the_action_log_is_unread_a_range_in_progress_is_unknown(world, clients):
    unread = "The action log could not be read: whether a range is in progress is unknown."
    assert unread in [caption.value for caption in open_panel(None).caption]
    assert unread not in [caption.value for caption in open_panel(()).caption]


def test_a_range_whose_process_ended_says_that_it_has_no_outcome(world, clients):
    world.failing = ("2025-12-26",)
    run(clients, plan_range(clients))
    stopped = log(clients)
    assert not any("without an outcome" in m.value for m in open_panel(stopped).markdown)
    clients.clock.advance(24 * 3600)
    cut_off = {"state": ActionState.IN_PROGRESS, "ended_at": None}
    abandoned = [replace(a, **cut_off) if a.action_name == RUN_RANGE.name else a for a in stopped]
    assert any("its process ended without an outcome" in m.value for m in open_panel(abandoned).markdown)
