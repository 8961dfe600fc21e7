"""The alias form as a data owner uses it: the likely ones checked and saved, a bad line named, an edit found in the log and taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.actions.log import State
from services.names.book import read_book
from tests.browser.test_actions_in_chromium import desk, ended, page, place

__all__ = ["desk", "page", "place"]  # the fixtures of a place whose tables may be changed
pytestmark = pytest.mark.browser


def open_form(page, desk):
    page.goto(f"{desk}/aliases?date=2025-12-29")
    page.get_by_text("15 names of the odds meet no player").wait_for()
    return page.get_by_role("textbox", name="New aliases")


def test_the_missing_aliases_are_saved_together_and_taken_back_from_the_log(place, desk, page):
    since, before = place.clock.now(), read_book(place.cloud).aliases
    form = open_form(page, desk)
    form.fill("kevinporterjr,kevinporter\nwendellcarterjr,wendellcarter\nrobertwilliams,robertwilliamsiii")
    form.press("Control+Enter")
    page.get_by_text("is turned round").wait_for()
    page.get_by_role("button", name="Check and save 3").click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    confirm.click()
    (done,) = ended(place, since)
    assert (done.state, done.title) == (State.DONE, "Save 4 aliases"), done.sentence
    assert read_book(place.cloud).active["robertwilliams"] == {"robertwilliamsiii"}

    page.goto(f"{desk}/action_log?action={done.action_id}")
    page.get_by_role("button", name="Take back", exact=True).click()
    confirm = page.get_by_role("dialog").get_by_test_id("stBaseButton-primary")
    confirm.wait_for()
    confirm.click()
    assert [action.state for action in ended(place, since, 2)] == [State.DONE] * 2
    assert read_book(place.cloud).aliases == before


def test_one_bad_line_among_twenty_is_named_and_nothing_can_be_saved(place, desk, page):
    form = open_form(page, desk)
    form.fill("\n".join([f"alias{n},kevinporter" for n in range(12)] + ["nocomma"] + ["herb,herbertjones"] * 7))
    form.press("Control+Enter")
    page.get_by_text("Line 13 is not").wait_for()
    assert page.get_by_role("button", name="Check and save").count() == 0
    assert not [
        a for a in place.log(place.clock.now() - timedelta(seconds=5)) if a.verb == "aliases.edit" and a.ended is None
    ]
