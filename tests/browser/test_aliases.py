"""The alias form as a data owner uses it: suggestions saved and undone, bad lines named, two users at once, all fourteen."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Dialog, expect

from services.actions.log_reader import ActionState
from services.names.registry import read_registry
from tests.browser.environment import PAGE_TIMEOUT_MS, environment, module_dashboard_url, page, wait_for_actions

__all__ = ["environment", "module_dashboard_url", "page"]  # fixtures
pytestmark = pytest.mark.browser


def open_form(page, dashboard_url):
    page.goto(f"{dashboard_url}/player_names?date=2025-12-29")
    page.get_by_text("15 unmatched odds names").wait_for()
    return page.get_by_role("textbox", name="One per line")


def review(page, count):
    """Open the plan of everything accepted and pasted, by the button's number of changes."""
    page.get_by_role("button", name=f"Review {count} changes").click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    return confirm


def test_suggestions_are_accepted_saved_together_and_undone_where_they_were_saved(
    environment, module_dashboard_url, page
):
    since, before = environment.clock.now(), read_registry(environment.clients).aliases
    form = open_form(page, module_dashboard_url)
    row = page.locator('[class*="st-key-suggestion-"]').filter(has_text="kevinporterjr")
    row.get_by_role("button", name="Accept").click()
    row.get_by_text("Accepted").wait_for()
    form.fill("wendellcarterjr,wendellcarter\nrobertwilliams,robertwilliamsiii")
    form.press("Control+Enter")
    review(page, 4).click()
    (saved_action,) = wait_for_actions(environment, since)
    assert (saved_action.state, saved_action.title) == (ActionState.DONE, "Save 4 alias changes"), saved_action.message
    assert read_registry(environment.clients).active["robertwilliams"] == {"robertwilliamsiii"}
    expect(form).to_have_value("")  # what was saved has left the box
    page.get_by_role("button", name="Undo: restore aliases").first.click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    confirm.click()
    assert [action.state for action in wait_for_actions(environment, since, 2)] == [ActionState.DONE] * 2
    assert read_registry(environment.clients).aliases == before


def test_a_bad_line_of_twenty_is_named_blocks_saving_and_stays(environment, module_dashboard_url, page):
    since, before = environment.clock.now(), read_registry(environment.clients).aliases
    canonical_names = sorted(read_registry(environment.clients).lookups)[:18]
    valid_lines = [f"{name}junior,{name}" for name in canonical_names]
    form = open_form(page, module_dashboard_url)
    pasted = "\n".join([*valid_lines[:12], "herb,nobodyatall", "nocomma", *valid_lines[12:]])
    form.fill(pasted)
    box = page.locator(".st-key-pasted-aliases")
    counter = "box => getComputedStyle(box, '::after').content"
    assert box.evaluate(counter) == '"20 of 200 lines"', "counted as it is typed, before the page has it"
    form.press("Control+Enter")
    page.get_by_text("Line 13: Canonical nobodyatall is not in the player registry").wait_for()
    page.get_by_text("Line 14: expected").wait_for()
    assert page.get_by_role("button", name="Review").count() == 0
    questions: list[str] = []

    def refuse(question: Dialog) -> None:
        questions.append(question.type)
        question.dismiss()

    page.on("dialog", refuse)
    page.evaluate("setTimeout(() => location.reload())")
    page.wait_for_timeout(1000)
    assert questions == ["beforeunload"]
    page.get_by_role("link", name="Alerts").first.click()
    page.get_by_text("open alert").first.wait_for()
    page.go_back()
    page.get_by_text("Line 14: expected").wait_for()
    assert form.input_value() == pasted
    form.fill("\n".join(valid_lines))
    form.press("Control+Enter")
    page.get_by_role("button", name="Review 18 changes").wait_for()
    assert read_registry(environment.clients).aliases == before
    assert environment.read_actions(since) == []


def test_a_match_is_rejected_with_its_reason_and_suggested_again_after_undo(environment, module_dashboard_url, page):
    since, before = environment.clock.now(), read_registry(environment.clients).aliases
    open_form(page, module_dashboard_url)
    row = page.locator('[class*="st-key-suggestion-"]').filter(has_text="alexsarr")
    row.get_by_role("button", name="Not the same").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Olivier Sarr is meant")
    dialog.get_by_role("button", name="Not the same").click()  # what was just typed comes together with the click
    assert [action.state for action in wait_for_actions(environment, since)] == [ActionState.DONE]
    page.get_by_text("Rejected matches (1)").click()
    page.get_by_text("Olivier Sarr is meant").wait_for()
    page.get_by_test_id("stExpander").filter(has_text="Rejected").get_by_role("button", name="Undo").click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    confirm.click()
    assert [action.state for action in wait_for_actions(environment, since, 2)] == [ActionState.DONE] * 2
    assert read_registry(environment.clients).aliases == before


def select_option(page, label, option):
    """Select the option of a list on the page that these words find."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def open_correction(page, dashboard_url, alias, current, corrected):
    """Choose the right canonical name of an existing alias and open the plan, with a reason where one is required."""
    page.goto(f"{dashboard_url}/player_names?date=2025-12-29")
    page.get_by_test_id("stMain").get_by_test_id("stButtonGroup").get_by_text("Aliases", exact=True).click()
    select_option(page, "Edit an existing alias", f"{alias} → {current}")
    select_option(page, "Correct canonical name", corrected)
    page.get_by_role("button", name="Change target", exact=True).click()
    return fill_confirmation(page, alias)


def fill_confirmation(page, typed):
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_test_id("stBaseButton-primary")
    button.wait_for()
    dialog.get_by_role("textbox", name="Reason").wait_for()  # its script comes after the button's, the first time
    if dialog.get_by_text(f"Type {typed} to confirm").count():
        field_values = {"Reason": "names of 29 December", f"Type {typed} to confirm": typed}
        for label, text in field_values.items():
            field = dialog.get_by_role("textbox", name=label)
            field.fill(text)
            field.press("Tab")
    return button


def test_of_two_concurrent_corrections_one_wins_and_the_other_is_reported(
    environment, module_dashboard_url, page, browser
):
    since, second = environment.clock.now(), browser.new_page(viewport={"width": 1440, "height": 900})
    second.set_default_timeout(PAGE_TIMEOUT_MS)
    page_by_canonical = {"kevinporter": page, "timhardaway": second}
    buttons = [
        open_correction(tab, module_dashboard_url, "herbjones", "herbertjones", canonical_name)
        for canonical_name, tab in page_by_canonical.items()
    ]
    for button in buttons:
        button.evaluate("button => { setTimeout(() => button.click(), 300) }")
    actions = wait_for_actions(environment, since, 2)
    assert [action.state for action in actions].count(ActionState.DONE) == 1, [action.message for action in actions]
    (rejected,) = [action for action in actions if action.state is not ActionState.DONE]
    assert rejected.state in (ActionState.REFUSED, ActionState.FAILED)
    assert "changed" in rejected.message
    (canonical,) = read_registry(environment.clients).active["herbjones"]
    losing_page = next(tab for canonical_name, tab in page_by_canonical.items() if canonical_name != canonical)
    losing_page.get_by_text("changed").first.wait_for()
    second.close()


def test_two_identities_are_merged_and_split_again_from_the_log(environment, module_dashboard_url, page):
    since, before = environment.clock.now(), read_registry(environment.clients)
    page.goto(f"{module_dashboard_url}/player_names?date=2025-12-29")
    page.get_by_test_id("stMain").get_by_test_id("stButtonGroup").get_by_text("Duplicate players", exact=True).click()
    page.get_by_text("both on MIL in 2025-26").wait_for()
    page.get_by_role("button", name="Merge players…").first.click()
    page.get_by_role("dialog").get_by_text("Evidence against: jersey 9 and 11").wait_for()
    fill_confirmation(page, "garytrentjr_001").click()
    (merge_action,) = wait_for_actions(environment, since)
    assert merge_action.state is ActionState.DONE, merge_action.message
    assert read_registry(environment.clients).player_ids("garytrentjr") == {"garytrent_001"}

    page.goto(f"{module_dashboard_url}/action_log?action={merge_action.action_id}")
    page.get_by_role("button", name="Undo: split players", exact=True).click()
    fill_confirmation(page, "garytrentjr_001").click()
    assert [action.state for action in wait_for_actions(environment, since, 2)] == [ActionState.DONE] * 2
    assert read_registry(environment.clients) == before


HANDOFF_ALIASES = """herbjones,herbertjones
garytrentjr,garytrent
jabarismithjr,jabarismith
jaimejaquezjr,jaimejaquez
michaelporterjr,michaelporter
treymurphyiii,treymurphy
marvinbagleyiii,marvinbagley
kevinporterjr,kevinporter
timhardawayjr,timhardaway
wendellcarterjr,wendellcarter
nicolasclaxton,alexandresarr
alexsarr,alexandresarr
boneshyland,nahshonhyland
robertwilliams,robertwilliamsiii"""


def test_the_handoffs_fourteen_are_entered_checked_and_corrected(environment, page, screenshots_dir):
    """From a table that holds only the one that points the wrong way; one of them is entered wrong and corrected after."""
    wrong_way = "DELETE FROM nba_reference.player_aliases WHERE alias_lookup != 'robertwilliamsiii'"
    environment.clients.bigquery.query(wrong_way).result()
    # A dashboard that has not read them yet.
    dashboard_url = environment.start_dashboard()
    since = environment.clock.now()
    started = time.monotonic()
    form = open_form(page, dashboard_url)
    form.fill(HANDOFF_ALIASES)
    form.press("Control+Enter")
    page.get_by_role("button", name="Review 15 changes").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("nicolasclaxton: surname differs from alexandresarr").wait_for()
    button = fill_confirmation(page, "herbjones")
    page.screenshot(path=screenshots_dir / "fourteen-aliases.png")
    button.click()
    (saved_action,) = wait_for_actions(environment, since)
    assert (saved_action.state, saved_action.title) == (ActionState.DONE, "Save 15 alias changes"), saved_action.message
    page.get_by_text("15 of 15 alias changes saved").first.wait_for()
    open_correction(page, dashboard_url, "nicolasclaxton", "alexandresarr", "nicclaxton").click()
    assert [action.state for action in wait_for_actions(environment, since, 2)] == [ActionState.DONE] * 2
    print(f"fourteen aliases entered, checked and corrected: {time.monotonic() - started:.1f} s")
    expected_lines = HANDOFF_ALIASES.replace("nicolasclaxton,alexandresarr", "nicolasclaxton,nicclaxton")
    registry = read_registry(environment.clients)
    assert registry.active == {
        alias: {canonical} for alias, canonical in (line.split(",") for line in expected_lines.split())
    }
    assert all(
        row.alias_display and row.canonical_display and row.created_by and row.created_at for row in registry.aliases
    )
