"""The alias form as a data owner uses it: the likely ones saved and taken back, bad lines named, two people at once, all fourteen."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from services.actions.log_reader import State
from services.names.registry import read_book
from tests.browser.test_actions_in_chromium import PATIENCE_MS, desk, ended, page, place

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
    page.get_by_role("button", name="Check and save").click()  # what was just typed comes together with the click
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
    page.get_by_role("button", name="Check and save").click()  # gone when what was just typed is read
    page.get_by_text("Line 13 is not").wait_for()
    assert page.get_by_role("button", name="Check and save").count() == 0
    page.wait_for_timeout(500)
    assert page.get_by_role("dialog").count() == 0
    assert not [
        a for a in place.log(place.clock.now() - timedelta(seconds=5)) if a.verb == "aliases.edit" and a.ended is None
    ]


def test_one_line_among_twenty_that_the_checks_refuse_is_named_and_nothing_can_be_saved(place, desk, page):
    since, before = place.clock.now(), read_book(place.cloud).aliases
    known = sorted(read_book(place.cloud).lookups)[:19]
    good = [f"{name}junior,{name}" for name in known]
    form = open_form(page, desk)
    form.fill("\n".join([*good[:12], "herb,nobodyatall", *good[12:]]))
    form.press("Control+Enter")
    page.get_by_text("Line 13: nobodyatall is not in the registry").wait_for()
    assert page.get_by_role("button", name="Check and save").count() == 0
    form.fill("\n".join(good))
    form.press("Control+Enter")
    page.get_by_role("button", name="Check and save 19").wait_for()
    assert read_book(place.cloud).aliases == before
    assert place.log(since) == []


def choose(page, label, words):
    """Pick what these words find in a list of the page."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(words)
    page.get_by_role("option", name=words, exact=True).click()


def correction(page, desk, alias, wrong, right):
    """An alias that is there, its right canonical name chosen, and the plan open, with its reason given where one is asked for."""
    page.goto(f"{desk}/aliases?date=2025-12-29")
    page.get_by_test_id("stMain").get_by_test_id("stButtonGroup").get_by_text("Aliases", exact=True).click()
    choose(page, "An alias that is there", f"{alias} → {wrong}")
    choose(page, "It should lead to", right)
    page.get_by_role("button", name="Correct", exact=True).click()
    return confirm(page, alias)


def confirm(page, typed):
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_test_id("stBaseButton-primary")
    button.wait_for()
    dialog.get_by_role("textbox", name="Reason").wait_for()  # its script comes after the button's, the first time
    if dialog.get_by_text(f"Type {typed} to confirm").count():
        told = {"Reason": "names of 29 December", f"Type {typed} to confirm": typed}
        for label, text in told.items():
            field = dialog.get_by_role("textbox", name=label)
            field.fill(text)
            field.press("Tab")
    return button


def test_two_people_who_correct_one_alias_at_once_leave_one_and_the_other_is_told(place, desk, page, browser):
    since, second = place.clock.now(), browser.new_page(viewport={"width": 1440, "height": 900})
    second.set_default_timeout(PATIENCE_MS)
    wanted = {"kevinporter": page, "timhardaway": second}
    buttons = [correction(each, desk, "herbjones", "herbertjones", right) for right, each in wanted.items()]
    for button in buttons:
        button.evaluate("button => { setTimeout(() => button.click(), 300) }")
    found = ended(place, since, 2)
    assert [action.state for action in found].count(State.DONE) == 1, [action.sentence for action in found]
    (told,) = [action for action in found if action.state is not State.DONE]
    assert told.state in (State.REFUSED, State.FAILED)
    assert "changed" in told.sentence
    (canonical,) = read_book(place.cloud).active["herbjones"]
    loser = next(each for right, each in wanted.items() if right != canonical)
    loser.get_by_text("changed").first.wait_for()
    second.close()


def test_two_identities_are_made_one_and_separated_again_from_the_log(place, desk, page):
    since, before = place.clock.now(), read_book(place.cloud)
    page.goto(f"{desk}/aliases?date=2025-12-29")
    page.get_by_test_id("stMain").get_by_test_id("stButtonGroup").get_by_text("Identities", exact=True).click()
    page.get_by_text("both are on MIL in 2025-26").wait_for()
    page.get_by_role("button", name="Make them one").first.click()
    page.get_by_role("dialog").get_by_text("Against it: jersey 9 and 11").wait_for()
    confirm(page, "garytrentjr_001").click()
    (done,) = ended(place, since)
    assert done.state is State.DONE, done.sentence
    assert read_book(place.cloud).ids("garytrentjr") == {"garytrent_001"}

    page.goto(f"{desk}/action_log?action={done.action_id}")
    page.get_by_role("button", name="Separate again", exact=True).click()
    confirm(page, "garytrentjr_001").click()
    assert [action.state for action in ended(place, since, 2)] == [State.DONE] * 2
    assert read_book(place.cloud) == before


FOURTEEN = """herbjones,herbertjones
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


def test_the_handoffs_fourteen_are_entered_checked_and_corrected(place, page, pictures):
    """From a table that holds only the one that points the wrong way; one of them is entered wrong and corrected after."""
    wrong_way = "DELETE FROM nba_reference.player_aliases WHERE alias_lookup != 'robertwilliamsiii'"
    place.cloud.bigquery.query(wrong_way).result()
    desk, since, began = place.dashboard(), place.clock.now(), time.monotonic()  # a desk that has not read them yet
    form = open_form(page, desk)
    form.fill(FOURTEEN)
    page.get_by_role("button", name="Check and save").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("nicolasclaxton does not have the surname of alexandresarr").wait_for()
    button = confirm(page, "herbjones")
    page.screenshot(path=pictures / "fourteen-aliases.png")
    button.click()
    (done,) = ended(place, since)
    assert (done.state, done.title) == (State.DONE, "Save 15 aliases"), done.sentence
    page.get_by_text("15 of 15 edits are in the table").first.wait_for()
    correction(page, desk, "nicolasclaxton", "alexandresarr", "nicclaxton").click()
    assert [action.state for action in ended(place, since, 2)] == [State.DONE] * 2
    print(f"fourteen aliases entered, checked and corrected: {time.monotonic() - began:.1f} s")
    right = FOURTEEN.replace("nicolasclaxton,alexandresarr", "nicolasclaxton,nicclaxton")
    book = read_book(place.cloud)
    assert book.active == {alias: {canonical} for alias, canonical in (line.split(",") for line in right.split())}
    assert all(
        row.alias_display and row.canonical_display and row.created_by and row.created_at for row in book.aliases
    )
