"""Actions in a real browser run once: two clicks, two browsers, two dashboards, a closed tab, a dashboard that dies."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest

from services.actions.action_type import ActionContext, ActionType
from services.actions.executor import execute
from services.actions.log_reader import ABANDONED_AFTER_S, ActionState
from services.aliases.edits import Edit, EditKind, to_params
from services.aliases.save import EDIT_ALIASES
from services.auth.roles import Actor, Role
from tests.browser.environment import PAGE_TIMEOUT_MS, environment, module_dashboard_url, page, wait_for_actions
from tests.browser.iap_proxy import IapProxy, run_proxy
from tests.support.axe import list_violations
from tests.support.iap_signer import NORA, IapSigner

__all__ = ["environment", "module_dashboard_url", "page"]  # fixtures

pytestmark = pytest.mark.browser


def open_plan(page: Any, address: str, path: str, button: str) -> Any:
    """Open a page and a plan, wait until it can be confirmed; returns the button that confirms it."""
    page.goto(f"{address}/{path}")
    page.get_by_role("button", name=button, exact=True).click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    return confirm


def confirm_in_writing(page: Any, target: str) -> None:
    """Give a reason and type the target, as a plan asks that could do harm."""
    dialog = page.get_by_role("dialog")
    for name, text in (("Reason", "calm again"), (f"Type {target} to confirm", target)):
        field = dialog.get_by_role("textbox", name=name, exact=True)
        field.fill(text)
        field.press("Tab")
    page.wait_for_timeout(500)  # the last rerun draws the button anew


def focused_button(page: Any) -> str:
    """The button that Enter would press."""
    return str(page.evaluate("(at => at.tagName === 'BUTTON' ? at.innerText : '')(document.activeElement)")).strip()


def tab_to(page: Any, label: str, max_tabs: int = 60) -> None:
    """Press Tab until the element with this text has the focus."""
    for _ in range(max_tabs):
        page.keyboard.press("Tab")
        if label in focused_button(page):
            return
    raise AssertionError(f"“{label}” is not reached by {max_tabs} tabs; the focus is on “{focused_button(page)}”")


def test_the_repair_can_be_planned_and_cancelled_by_keyboard_alone(environment, module_dashboard_url, page):
    since, button_label = environment.clock.now(), "Re-run 90 players"
    page.goto(f"{module_dashboard_url}/?date=2025-12-29")
    page.get_by_role("button", name=button_label).wait_for()
    tab_to(page, button_label)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("7 checks passed").wait_for()
    tab_to(page, "Cancel")
    tab_to(page, button_label, max_tabs=2)
    confirm = dialog.get_by_test_id("stBaseButton-primary")
    assert confirm.is_enabled()
    page.set_viewport_size({"width": 720, "height": 450})  # 1440 × 900 at 200 % zoom
    assert confirm.bounding_box()["y"] + confirm.bounding_box()["height"] <= 450
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert environment.read_actions(since) == []


def open_bell(page: Any) -> Any:
    """What ended, what runs and what waits for a person."""
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Recent actions").click()
    return page.get_by_test_id("stPopoverBody")


def cut_and_wait_for_reconnect(page: Any, proxy: IapProxy) -> None:
    """Cut the page's websocket, and wait until it has a new one and has rendered again."""
    with page.expect_event("websocket"):
        proxy.cut_websockets()
    page.get_by_test_id("stConnectionStatus").wait_for(state="detached")
    page.locator(
        "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"
    ).wait_for()


def blocked_edit(gate: Event) -> ActionType:
    """An edit of aliases that is under way until the gate opens, and then has changed nothing."""

    def wait_for_gate(_: ActionContext) -> dict[str, Any]:
        gate.wait(120)
        return {}

    return replace(EDIT_ALIASES, apply=wait_for_gate)


def test_half_typed_input_in_a_plan_survives_the_end_of_another_action(environment, module_dashboard_url, page):
    gate, since = Event(), environment.clock.now()
    action_type, other_actor = blocked_edit(gate), Actor("somebody else", Role.OPERATOR)
    plan = action_type.plan(environment.clients, to_params([Edit(EditKind.DEACTIVATE, "herbjones", "herbertjones")]))
    worker_thread = Thread(
        target=execute, args=(environment.clients, other_actor, action_type, plan, "to be seen elsewhere")
    )
    worker_thread.start()
    try:
        while not environment.read_actions(since):
            time.sleep(0.2)
        page.goto(f"{module_dashboard_url}/?date=2025-12-29")
        # A page whose log took longer than it waits shows the older one, and looks again after half a minute.
        page.get_by_role("button", name="1 running").wait_for(timeout=2 * PAGE_TIMEOUT_MS)
        page.get_by_role("button", name="Re-run 90 players").click()
        field = page.get_by_role("dialog").get_by_role("textbox", name="Reason (optional)")
        field.press_sequentially("half a ")
        gate.set()
        wait_for_actions(environment, since)
        page.wait_for_timeout(4000)  # the strip has refreshed twice since
        page.keyboard.type("reason")  # the focus has stayed as well
        assert field.input_value() == "half a reason"
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")  # at once, before the page has been asked about the first
        page.get_by_role("dialog").get_by_role("button", name="Keep editing").click()
        assert field.input_value() == "half a reason"
        field.press("End")
        page.keyboard.type("s")
        page.get_by_role("dialog").get_by_role("button", name="Close").click()  # together with what was typed last
        page.get_by_role("dialog").get_by_role("button", name="Keep editing").click()
        assert field.input_value() == "half a reasons"
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Discard").click()
        page.get_by_role("dialog").wait_for(state="detached")
    finally:
        gate.set()
        worker_thread.join()
    assert [action.state for action in environment.read_actions(since)] == [ActionState.FAILED]


HOSTILE_REASON = (
    "**bold** [link](http://evil.example) ![image](http://evil.example/i) <img src=x onerror=alert(1)> "
    "http://evil.example www.evil.example :red[red] \u202eback"
)


def assert_hostile_reason_is_plain(page):
    """What a browser makes of the reason: its characters, and no element."""
    page.get_by_text("**bold** [link](").first.wait_for(timeout=60_000)
    made_of_it = "a[href*='evil'], img[src*='evil'], img[src='x'], strong:has-text('bold'), span:text-is('red')"
    assert page.locator(made_of_it).count() == 0
    assert "\u202e" not in page.locator("body").inner_text()


# When the outcome card came, in ms, what stood on the page then, and when Stop was disabled; looked at every 50 ms.
WATCH_END = """() => { window.came = {}
  const come = name => window.came[name] ??= performance.now()
  setInterval(() => {
    if (document.querySelector(".st-key-outcomes")?.textContent.includes("3,950 rows")) {
      come("outcome")
      window.came.page ??= document.querySelector("[data-testid=stMain]").textContent
    }
    if (document.querySelector("[class*=st-key-offer-run-stop] button:disabled")) come("no stop")
  }, 50) }"""


def test_29_december_is_repaired_from_68_to_158_players_and_logged(
    environment, module_dashboard_url, page, screenshots_dir
):
    started = time.monotonic()
    page.goto(f"{module_dashboard_url}/?date=2025-12-29")
    page.get_by_role("heading", name="90 of 158 players are missing").wait_for()
    confirm = open_plan(page, module_dashboard_url, "?date=2025-12-29", "Re-run 90 players")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("7 checks passed").wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=screenshots_dir / "plan.png")
    dialog.get_by_role("textbox", name="Reason (optional)").fill(HOSTILE_REASON)
    confirm.click()
    page.get_by_role("heading", name="Re-running 90 players").wait_for()
    page.screenshot(path=screenshots_dir / "running.png")
    page.evaluate(WATCH_END)
    page.get_by_text("158 of 158 eligible players are active, 3,950 rows").first.wait_for(timeout=90_000)
    page.get_by_text("All 158 eligible players have active predictions").first.wait_for(timeout=90_000)
    page.wait_for_timeout(800)
    came = page.evaluate("window.came")
    assert "90 of 158 players are missing" not in came["page"], "no outcome beside the verdict before it"
    assert came["no stop"] < came["outcome"], "once consolidating has begun there is nothing to stop"
    page.screenshot(path=screenshots_dir / "repaired.png")
    print(f"from opening to repaired: {time.monotonic() - started:.1f} s")
    open_bell(page).get_by_role("link", name="View").first.click()
    page.get_by_text("68 → 158 of 158", exact=True).wait_for()
    page.wait_for_timeout(800)
    page.screenshot(path=screenshots_dir / "action-log.png")
    assert_hostile_reason_is_plain(page)
    page.reload()  # without the list of what was done lately
    page.get_by_text("68 → 158 of 158", exact=True).wait_for()
    assert list_violations(page) == []  # of the action
    page.goto(f"{module_dashboard_url}/shift_handoff?date=2025-12-29")
    page.get_by_text(re.compile(r"^Actions taken: \d")).first.click()
    assert_hostile_reason_is_plain(page)
    page.goto(f"{module_dashboard_url}/runs?date=2025-12-29")
    page.get_by_role("link", name="batch_2025-12-29").first.press("Enter")
    page.get_by_role("heading", name="Stages").wait_for()
    page.get_by_text("2,250 inserted, 0 updated, 0 unchanged").wait_for()
    page.get_by_role("tab", name="Players 90").wait_for()
    assert_hostile_reason_is_plain(page)  # why it was started
    assert list_violations(page) == []
    page.go_back()
    page.get_by_role("region", name="Batches").wait_for()
    page.go_forward()
    page.get_by_role("heading", name="Stages").wait_for()
    page.get_by_test_id("stSidebar").get_by_role("link", name="Coverage").click()
    page.wait_for_url("**/coverage?date=2025-12-29")  # without the batch


def test_a_double_click_is_one_action_and_leaves_no_disabled_button(environment, module_dashboard_url, page):
    since, before = environment.clock.now(), environment.count_changes()
    confirm = open_plan(page, module_dashboard_url, "worker_capacity", "Restore normal capacity")
    confirm_in_writing(page, "prediction-worker")
    confirm.evaluate("button => { button.click(); setTimeout(() => button.click(), 250) }")
    page.wait_for_timeout(400)
    page.get_by_test_id("stSidebar").get_by_text("viewer", exact=True).click(force=True)
    actions = wait_for_actions(environment, since)
    assert [(a.title, a.state) for a in actions] == [("Restore prediction-worker to 20 × 5", ActionState.DONE)]
    assert environment.count_changes() == before + 1
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for()
    page.get_by_test_id("stSidebar").get_by_text("operator", exact=True).click()
    scale_down_button = page.get_by_role("button", name="Reduce to 4 × 3")
    scale_down_button.wait_for()
    assert scale_down_button.is_enabled()


def test_a_viewer_sees_the_plan_and_no_enabled_action_button(environment, module_dashboard_url, page):
    since = environment.clock.now()
    page.goto(f"{module_dashboard_url}/worker_capacity")
    page.get_by_test_id("stSidebar").get_by_text("viewer", exact=True).click()
    page.get_by_role("button", name="View plan: Reduce to 4 × 3").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("You have view-only access").wait_for()
    assert dialog.get_by_test_id("stBaseButton-primary").is_disabled()
    assert page.get_by_test_id("stMain").get_by_test_id("stBaseButton-primary").count() == 0
    assert environment.read_actions(since) == []


def test_two_browsers_on_two_dashboards_start_one_action(environment, module_dashboard_url, browser, page):
    other_url, since, before = environment.start_dashboard(), environment.clock.now(), environment.count_changes()
    second = browser.new_page()
    second.set_default_timeout(PAGE_TIMEOUT_MS)
    scale_down_label = "Reduce to 4 × 3"
    confirm_buttons = [
        open_plan(page, module_dashboard_url, "worker_capacity", scale_down_label),
        open_plan(second, other_url, "worker_capacity", scale_down_label),
    ]
    for confirm in confirm_buttons:
        confirm.evaluate("button => { setTimeout(() => button.click(), 500) }")
    actions = wait_for_actions(environment, since)
    for tab in (page, second):
        tab.get_by_text("now allows 12 concurrent requests (4 × 3)").first.wait_for()
    assert [(a.title, a.state) for a in environment.read_actions(since)] == [(actions[0].title, ActionState.DONE)]
    assert environment.count_changes() == before + 1
    second.close()


def test_an_action_of_a_closed_tab_completes_and_is_shown_to_the_next_viewer(
    environment, module_dashboard_url, browser, page
):
    since, before = environment.clock.now(), environment.count_changes()
    leaving = browser.new_page()
    leaving.set_default_timeout(PAGE_TIMEOUT_MS)
    confirm = open_plan(leaving, module_dashboard_url, "worker_capacity", "Restore normal capacity")
    confirm_in_writing(leaving, "prediction-worker")
    confirm.click()
    leaving.wait_for_timeout(300)
    leaving.close()
    assert [a.state for a in wait_for_actions(environment, since)] == [ActionState.DONE]
    assert environment.count_changes() == before + 1
    page.goto(f"{module_dashboard_url}/overview")
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for()


def test_an_action_of_a_killed_dashboard_is_found_and_finished_by_the_next_one(environment, browser, page, monkeypatch):
    monkeypatch.setattr(environment.sandbox.state.cloud_run, "_rollout_s", 3.0)
    doomed_url, since, before = environment.start_dashboard(), environment.clock.now(), environment.count_changes()
    confirm = open_plan(page, doomed_url, "worker_capacity", "Reduce to 4 × 3")
    confirm.click()
    while environment.count_changes() == before:
        time.sleep(0.05)
    environment.kill(doomed_url)
    assert [a.ended_at for a in environment.read_actions(since)] == [None]
    time.sleep(3)
    environment.clock.offset += timedelta(seconds=ABANDONED_AFTER_S + 1)
    page.goto(f"{environment.start_dashboard()}/overview")
    bell = open_bell(page)
    bell.get_by_text("no outcome is recorded").first.wait_for()
    bell.get_by_role("button", name="Check and finish").click()
    actions = wait_for_actions(environment, since)
    assert [(a.state, a.facts.get("found_again")) for a in actions] == [(ActionState.DONE, True)]
    assert environment.count_changes() == before + 1


def test_after_a_cut_websocket_the_page_goes_on_where_it_was(environment, page, monkeypatch):
    """Cloud Run ends every websocket after 60 minutes: here during a typed plan, and again while its action is running."""
    monkeypatch.setattr(environment.sandbox.state.cloud_run, "_rollout_s", 4.0)
    proxy = IapProxy(IapSigner(), NORA, environment.start_dashboard())
    since, before = environment.clock.now(), environment.count_changes()
    with run_proxy(proxy) as address:
        page.goto(f"{address}/worker_capacity?date=2025-12-28")
        page.get_by_text("After 3 h").click()
        page.get_by_role("button", name="Restore normal capacity", exact=True).click()
        dialog = page.get_by_role("dialog")
        field = dialog.get_by_role("textbox", name="Reason")
        field.press_sequentially("half a ")
        cut_and_wait_for_reconnect(page, proxy)
        page.keyboard.type("reason")  # the focus has stayed as well
        assert field.input_value() == "half a reason"
        dialog.get_by_role("textbox", name="Type prediction-worker to confirm").fill("prediction-worker")
        dialog.get_by_test_id("stBaseButton-primary").click()
        while environment.count_changes() == before:
            time.sleep(0.05)
        cut_and_wait_for_reconnect(page, proxy)
        assert {"date=2025-12-28", "auto_revert=After+3+h"} <= set(page.url.partition("?")[2].split("&"))
        (action,) = wait_for_actions(environment, since)
        record = page.locator(f"a[href*='{action.action_id}']")  # earlier actions may be on the page, too
        row = page.locator("div").filter(has=record).filter(has_text="now allows 100 concurrent requests (20 × 5)")
        row.last.wait_for()
        assert record.count() == 1
        assert page.get_by_role("dialog").count() == 0
    assert [(a.title, a.reason, a.state) for a in environment.read_actions(since)] == [
        ("Restore prediction-worker to 20 × 5", "half a reason", ActionState.DONE)
    ]
    assert environment.count_changes() == before + 1
