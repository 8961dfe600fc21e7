"""Buttons one can believe, in a real browser: two clicks, two browsers, two dashboards, a closed tab, a dashboard that dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest

from services.actions.executor import run_action
from services.actions.log_reader import Action, State, read_log
from services.actions.verb import Deed, Verb
from services.aliases.edits import Do, Edit, as_args
from services.aliases.save import EDIT
from services.auth.roles import Actor, Role
from services.core.clock import RunningClock
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import NIGHT_STARTS, Sandbox, start_sandbox
from tests.actions.pipeline import own_coordinator
from tests.browser.conftest import ROOT, _free_port, _wait_for, told_ended

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000


class LeapingClock:
    """Real time that can be moved on, for what happens only after a minute of silence."""

    def __init__(self) -> None:
        self._clock, self.ahead = RunningClock.set_to(NIGHT_STARTS), timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self.ahead


@dataclass
class Place:
    """A sandbox, its coordinator, and as many dashboards as are started."""

    sandbox: Sandbox
    clock: LeapingClock
    coordinator: str
    running: dict[str, subprocess.Popen[bytes]]

    def dashboard(self) -> str:
        address = f"http://127.0.0.1:{_free_port()}"
        port = address.rpartition(":")[2]
        env = {**os.environ, "SANDBOX_URL": self.sandbox.address, "COORDINATOR_URL": self.coordinator}
        command = [sys.executable, "-m", "app.server"]
        self.running[address] = subprocess.Popen(command, cwd=ROOT, env={**env, "DASHBOARD_PORT": port})
        _wait_for(f"{address}/_stcore/health", self.running[address])
        return address

    def kill(self, address: str) -> None:
        self.running[address].kill()
        self.running[address].wait(timeout=20)

    @property
    def cloud(self) -> Cloud:
        return connect(Settings.from_env({"SANDBOX_URL": self.sandbox.address}))

    def changes(self) -> int:
        """How often the worker service has been changed."""
        return next(int(s["generation"]) for n, s in self.sandbox.world.run.services.items() if n.endswith("-worker"))

    def log(self, since: datetime) -> list[Action]:
        return [a for a in read_log(self.cloud, since, since + timedelta(days=1)).actions if a.begun >= since]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    clock = LeapingClock()
    sandbox = start_sandbox(build(), speed=Speed(scale=0.02), clock=clock)
    with own_coordinator(sandbox) as coordinator:
        place = Place(sandbox, clock, coordinator, {})
        yield place
        for process in place.running.values():
            process.terminate()
            process.wait(timeout=20)
    sandbox.stop()


@pytest.fixture(scope="module")
def desk(place: Place) -> str:
    return place.dashboard()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def open_plan(page: Any, address: str, path: str, button: str) -> Any:
    """Open a page, ask for a plan, wait until it can be confirmed; the button that confirms it."""
    page.goto(f"{address}/{path}")
    page.get_by_role("button", name=button, exact=True).click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    return confirm


def ended(place: Place, since: datetime, count: int = 1) -> list[Action]:
    """The actions since an instant, once `count` of them have an outcome."""
    return told_ended(lambda: place.log(since), count)


def focused(page: Any) -> str:
    """The button that Enter would press."""
    return str(page.evaluate("(at => at.tagName === 'BUTTON' ? at.innerText : '')(document.activeElement)")).strip()


def tab_to(page: Any, words: str, most: int = 60) -> None:
    """Press Tab until the focus is on the words."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if words in focused(page):
            return
    raise AssertionError(f"“{words}” is not reached by {most} tabs; the focus is on “{focused(page)}”")


def test_the_repair_is_reached_planned_and_left_by_keyboard_alone(place, desk, page):
    since, verb = place.clock.now(), "Re-run 90 lost players"
    page.goto(f"{desk}/?date=2025-12-29")
    page.get_by_role("button", name=verb).wait_for()
    tab_to(page, verb)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("7 checks, 0 stop it").wait_for()
    tab_to(page, "Cancel")
    tab_to(page, f"{verb} of Mon 29 Dec 2025", most=2)
    assert dialog.get_by_test_id("stBaseButton-primary").is_enabled()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert place.log(since) == []


def nothing_until(gate: Event) -> Verb:
    """An edit of aliases that is under way until the gate opens, and then has changed nothing."""

    def wait(_: Deed) -> dict[str, Any]:
        gate.wait(120)
        return {}

    return replace(EDIT, effect=wait)


def test_what_is_half_typed_in_a_plan_stays_when_another_action_ends(place, desk, page):
    gate, since = Event(), place.clock.now()
    verb, other = nothing_until(gate), Actor("somebody else", Role.OPERATOR)
    plan = verb.plan(place.cloud, as_args([Edit(Do.DEACTIVATE, "herbjones", "herbertjones")]))
    act = Thread(target=run_action, args=(place.cloud, other, verb, plan, "to be seen elsewhere"))
    act.start()
    try:
        while not place.log(since):
            time.sleep(0.2)
        page.goto(f"{desk}/?date=2025-12-29")
        # A page whose log took longer than it waits shows the older one, and looks again after half a minute.
        page.get_by_text("somebody else").first.wait_for(timeout=2 * PATIENCE_MS)
        page.get_by_role("button", name="Re-run 90 lost players").click()
        field = page.get_by_role("dialog").get_by_role("textbox", name="Reason (optional)")
        field.press_sequentially("half a ")
        gate.set()
        ended(place, since)
        page.wait_for_timeout(4000)  # the strip has looked twice since
        page.keyboard.type("reason")  # the focus has stayed as well
        assert field.input_value() == "half a reason"
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        page.get_by_role("dialog").wait_for(state="detached")
    finally:
        gate.set()
        act.join()
    assert [action.state for action in place.log(since)] == [State.FAILED]


def test_29_december_from_red_to_158_of_158_with_its_entry_in_the_log(place, desk, page, pictures):
    began = time.monotonic()
    page.goto(f"{desk}/?date=2025-12-29")
    page.get_by_text("90 of 158 players are missing").wait_for()
    confirm = open_plan(page, desk, "?date=2025-12-29", "Re-run 90 lost players")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("7 checks, 0 stop it").wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=pictures / "plan.png")
    confirm.click()
    page.get_by_text("players answered").first.wait_for()
    page.screenshot(path=pictures / "running.png")
    page.get_by_text("158 of 158 eligible players are active, 3,950 rows").first.wait_for(timeout=90_000)
    page.get_by_text("All 158 eligible players have active predictions").wait_for(timeout=90_000)
    page.wait_for_timeout(800)
    page.screenshot(path=pictures / "repaired.png")
    print(f"from opening to repaired: {time.monotonic() - began:.1f} s")
    page.get_by_role("link", name="Record").first.click()
    page.get_by_text("coverage 68 → 158 of 158").wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=pictures / "action-log.png")


def test_two_clicks_and_a_click_elsewhere_are_one_action_and_leave_no_dead_button(place, desk, page):
    since, before = place.clock.now(), place.changes()
    confirm = open_plan(page, desk, "concurrency", "Restore the normal width")
    confirm.evaluate("button => { button.click(); setTimeout(() => button.click(), 250) }")
    page.wait_for_timeout(400)
    page.get_by_test_id("stSidebar").get_by_text("viewer", exact=True).click(force=True)
    found = ended(place, since)
    assert [(a.title, a.state) for a in found] == [("Restore prediction-worker to 20 × 5", State.DONE)]
    assert place.changes() == before + 1
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for()
    page.get_by_test_id("stSidebar").get_by_text("operator", exact=True).click()
    again = page.get_by_role("button", name="Emergency: narrow to 4 × 3")
    again.wait_for()
    assert again.is_enabled()


def test_a_viewer_sees_the_plan_and_no_verb_that_could_be_pressed(place, desk, page):
    since = place.clock.now()
    page.goto(f"{desk}/concurrency")
    page.get_by_test_id("stSidebar").get_by_text("viewer", exact=True).click()
    page.get_by_role("button", name="Plan: Emergency: narrow to 4 × 3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("carrying this out needs an operator").wait_for()
    assert dialog.get_by_test_id("stBaseButton-primary").is_disabled()
    assert page.get_by_test_id("stMain").get_by_test_id("stBaseButton-primary").count() == 0
    assert place.log(since) == []


def test_two_browsers_on_two_dashboards_at_once_are_one_action(place, desk, browser, page):
    other, since, before = place.dashboard(), place.clock.now(), place.changes()
    second = browser.new_page()
    second.set_default_timeout(PATIENCE_MS)
    narrow = "Emergency: narrow to 4 × 3"
    both = [open_plan(page, desk, "concurrency", narrow), open_plan(second, other, "concurrency", narrow)]
    for confirm in both:
        confirm.evaluate("button => { setTimeout(() => button.click(), 500) }")
    found = ended(place, since)
    for each in (page, second):
        each.get_by_text("takes 4 × 3 = 12 requests at once").first.wait_for()
    assert [(a.title, a.state) for a in place.log(since)] == [(found[0].title, State.DONE)]
    assert place.changes() == before + 1
    second.close()


def test_a_closed_tab_changes_nothing_and_the_next_viewer_is_told(place, desk, browser, page):
    since, before = place.clock.now(), place.changes()
    leaving = browser.new_page()
    leaving.set_default_timeout(PATIENCE_MS)
    open_plan(leaving, desk, "concurrency", "Restore the normal width").click()
    leaving.wait_for_timeout(300)
    leaving.close()
    assert [a.state for a in ended(place, since)] == [State.DONE]
    assert place.changes() == before + 1
    page.goto(f"{desk}/overview")
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for()


def test_a_dashboard_that_was_killed_midway_leaves_an_action_that_the_next_one_finds_and_finishes(
    place, browser, page, monkeypatch
):
    monkeypatch.setattr(place.sandbox.world.run, "_rollout_s", 3.0)
    dying, since, before = place.dashboard(), place.clock.now(), place.changes()
    confirm = open_plan(page, dying, "concurrency", "Emergency: narrow to 4 × 3")
    confirm.click()
    while place.changes() == before:
        time.sleep(0.05)
    place.kill(dying)
    assert [a.ended for a in place.log(since)] == [None]
    time.sleep(3)
    place.clock.ahead += timedelta(seconds=61)
    page.goto(f"{place.dashboard()}/overview")
    page.get_by_text("no outcome is recorded").wait_for()
    page.get_by_role("button", name="Check and finish").click()
    found = ended(place, since)
    assert [(a.state, a.facts.get("found_again")) for a in found] == [(State.DONE, True)]
    assert place.changes() == before + 1
