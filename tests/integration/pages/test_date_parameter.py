"""The `date` query parameter: kept from page to page; an invalid one falls back with a notice."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest

from app.frame.pages import ENTRIES
from app.state import session
from tests.integration.pages.helpers import INCIDENT, PAGES

ENTRIES_BY_NAME = {entry.name: entry for entry in ENTRIES.values()}


def test_without_a_date_the_dashboard_opens_on_tonight_and_writes_it_into_the_url(open_page):
    screen = open_page(date=None)
    assert screen.app.query_params["date"] == INCIDENT
    assert "90 of 158" in screen.verdict


@pytest.mark.parametrize(
    ("page", "requested"),
    [
        *((page, "yesterday") for page in PAGES),
        *(("overview", requested) for requested in ("2025-02-30", "2026-12-29", "2019-01-01")),
    ],
)
def test_a_date_that_cannot_be_shown_falls_back_to_tonight_with_a_notice(open_page, page, requested):
    screen = open_page(page, requested)
    assert "Showing Mon 29 Dec 2025." in screen.warnings
    assert screen.app.query_params["date"] == INCIDENT
    of_date = ENTRIES_BY_NAME[page].of_date
    assert [picker.value for picker in screen.app.date_input] == [date(2025, 12, 29)] * of_date


def test_the_night_is_kept_from_page_to_page(open_page):
    screen = open_page("coverage", "2025-12-21")
    screen.app.switch_page("../pages/missing_players.py").run()
    assert screen.app.query_params["date"] == "2025-12-21"
    assert screen.app.date_input[0].value == date(2025, 12, 21)


def test_the_date_picker_and_its_arrows_set_the_page_and_the_url(open_page):
    screen = open_page("coverage")
    screen.app.button(key="Previous game date").click().run()
    assert screen.app.query_params["date"] == "2025-12-28"
    screen.app.date_input[0].set_value(date(2025, 12, 21)).run()
    assert screen.app.query_params["date"] == "2025-12-21"


def test_a_second_date_in_the_url_stands_beside_the_first_and_one_that_cannot_be_shown_leaves_the_url(open_page):
    screen = open_page("coverage", compare="2025-12-28")
    for text in ("29 Dec against 28 Dec", "158 direct writes", "94 direct writes", "4 × 3 from 20:20 ET", "90 of 158"):
        assert text in screen.text
    picker = next(picker for picker in screen.app.date_input if picker.label == "Compare with")
    picker.set_value(date(2025, 12, 29)).run()
    assert screen.warnings == "Mon 29 Dec 2025 is the date shown; choose another one to compare it with."
    assert "compare" not in screen.app.query_params
    assert "29 Dec against" not in screen.text
    screen.app.button(key="compare").click().run()
    assert screen.app.query_params["compare"] == "2025-12-28"
    screen.app.query_params["compare"] = "2025-W01-1"
    screen.app.run()
    assert screen.warnings == "Invalid date in the URL (expected YYYY-MM-DD)."
    assert "compare" not in screen.app.query_params


def test_the_links_of_the_overview_keep_the_night(open_page):
    screen = open_page(date="2025-12-21")
    assert "Compare with 20 Dec" in screen.text
    links = screen.links
    assert len(links) >= 20
    assert all("date=2025-12-21" in re.split("[?&]", href) for href in links.values())


def test_a_future_day_cannot_be_selected(open_page):
    assert open_page(date="2025-12-30").app.button(key="Next game date").disabled


def test_a_page_left_open_on_tonight_turns_at_six_says_so_and_offers_the_way_back(open_page, monkeypatch):
    screen = open_page(date=None)
    monkeypatch.setattr(session, "now", lambda: datetime(2025, 12, 30, 11, 0, tzinfo=UTC))
    screen.app.run()
    assert "Game date changed to Tue 30 Dec 2025 at 06:00 ET" in screen.text
    assert screen.app.query_params["date"] == "2025-12-30"
    assert screen.app.date_input[0].value == date(2025, 12, 30)
    back = next(button for button in screen.app.button if button.label == "Show Mon 29 Dec 2025")
    back.click().run()
    assert "90 of 158" in screen.verdict
    assert "Game date changed" not in screen.text
