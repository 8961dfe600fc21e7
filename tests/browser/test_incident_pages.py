"""29 December in a real browser: the figures, the links from the verdict to the evidence, and no truncated text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

DESKTOP_VIEWPORT, TABLET_VIEWPORT = {"width": 1440, "height": 1000}, {"width": 800, "height": 1000}
PAGE_TIMEOUT_MS = 60_000


@pytest.fixture(params=[("light", DESKTOP_VIEWPORT), ("dark", TABLET_VIEWPORT)], ids=["light, 1440 px", "dark, 800 px"])
def page(request: pytest.FixtureRequest, browser: Any) -> Iterator[Any]:
    scheme, size = request.param
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page = context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    page.scheme, page.faults = scheme, []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    yield page
    context.close()


def open_and_settle(page: Any, address: str) -> Any:
    """Open a page and wait until its verdict is shown and nothing is running."""
    page.goto(address)
    main = page.get_by_test_id("stMain")
    expect(main.locator("h2, h3").first).to_be_visible(timeout=PAGE_TIMEOUT_MS)
    wait_until_idle(page)
    return main


def wait_until_idle(page: Any) -> None:
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PAGE_TIMEOUT_MS)
    page.wait_for_timeout(1200)  # grids and charts draw after the script has ended


def save_screenshot(page: Any, directory: Any, name: str) -> None:
    """A screenshot of the whole page, for people."""
    height = page.get_by_test_id("stMainBlockContainer").evaluate("block => block.scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": max(700, min(2400, height + 24))})
    page.wait_for_timeout(600)
    page.screenshot(path=directory / f"{name}-{page.scheme}.png")


def find_truncated_text(page: Any) -> list[str]:
    """Texts that are wider than their element."""
    return page.evaluate(
        """() => [...document.querySelectorAll(
               '[data-testid=stMain] p, [data-testid=stMain] h2, [data-testid=stMain] h3,'
               + '[data-testid=stMetricValue], [data-testid=stMetricLabel], [data-testid=stMain] td')]
             .filter(box => box.offsetParent && box.scrollWidth > box.clientWidth + 1 && box.clientWidth > 0)
             .map(box => box.textContent)"""
    )


def test_the_overview_shows_the_missing_players_and_the_denominators(page, dashboard_url, screenshots_dir):
    main = open_and_settle(page, f"{dashboard_url}/?date=2025-12-29")
    expect(main.get_by_role("heading", level=2)).to_contain_text("90 of 158")
    for figure in ("43.0%", "57.0%", "225", "352 players · 19.3% active", "176 names · 38.6% active", "1,700 rows"):
        expect(main.get_by_text(figure, exact=True)).to_be_visible()
    expect(main.get_by_role("link", name="−90 rejected")).to_be_visible()
    assert find_truncated_text(page) == []
    save_screenshot(page, screenshots_dir, "overview")
    assert page.faults == []


def test_the_overview_is_also_served_under_its_own_path(page, dashboard_url):
    main = open_and_settle(page, f"{dashboard_url}/overview?date=2025-12-29")
    expect(main.get_by_role("heading", level=2)).to_contain_text("90 of 158")
    expect(page.get_by_text("Page not found")).to_have_count(0)


@pytest.mark.parametrize("path", ["system_health", "connections", "doctor"])
def test_system_health_is_served_under_its_path_and_its_former_ones(page, dashboard_url, path):
    main = open_and_settle(page, f"{dashboard_url}/{path}?date=2025-12-29")
    expect(main.get_by_role("heading", level=1, name="System health")).to_be_visible()
    expect(main.get_by_label("Game date")).to_have_count(0)
    expect(main.get_by_role("heading", level=2)).to_contain_text("checks")
    main.get_by_text("Passed checks").click()
    expect(main.get_by_role("region", name="Passed checks")).to_contain_text(".iam.gserviceaccount.com")
    expect(main.locator("a[href^='mailto:']")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_a_figure_links_to_its_page_on_the_same_date(page, dashboard_url):
    main = open_and_settle(page, f"{dashboard_url}/?date=2025-12-21")
    main.get_by_role("list", name="Key figures").get_by_role("link", name="Rejected writes").click()
    expect(page).to_have_url(re.compile(r"/dml_errors\?date=2025-12-21"))
    expect(page.get_by_test_id("stMain").get_by_text("Sun 21 Dec 2025").first).to_be_visible()


def test_the_menu_keeps_the_game_date(page, dashboard_url):
    open_and_settle(page, f"{dashboard_url}/?date=2025-12-21")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Coverage").click()
    expect(page).to_have_url(re.compile(r"/coverage\?date=2025-12-21"))


def test_the_coverage_page_draws_all_dates_and_the_thresholds(page, dashboard_url, screenshots_dir):
    main = open_and_settle(page, f"{dashboard_url}/coverage?date=2025-12-29")
    chart = main.locator(".by-date")
    for label in ("warning 95%", "critical 85%", "no games"):
        expect(chart.get_by_text(label).first).to_be_visible()
    assert find_truncated_text(page) == []
    save_screenshot(page, screenshots_dir, "coverage")
    assert page.faults == []


def test_the_missing_players_add_up_and_can_be_downloaded(page, dashboard_url, screenshots_dir):
    main = open_and_settle(page, f"{dashboard_url}/missing_players?date=2025-12-29")
    expect(main.get_by_text("158 eligible = 68 active + 90 rejected + 0 unexplained")).to_be_visible()
    expect(main.get_by_role("heading", name="90 players: write rejected")).to_be_visible()
    with page.expect_download(timeout=PAGE_TIMEOUT_MS) as download:
        main.get_by_role("button", name=re.compile("CSV, 105 rows")).click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 106
    assert lines[0].startswith("player,team,opponent,failed stage,reason,evidence,suggested fix")
    assert find_truncated_text(page) == []
    save_screenshot(page, screenshots_dir, "missing_players")
    assert page.faults == []


def test_a_row_leads_to_its_player_by_keyboard_and_back_leads_to_the_list(page, dashboard_url):
    main = open_and_settle(page, f"{dashboard_url}/missing_players?date=2025-12-29&missing_find=doncic")
    main.get_by_role("link", name="Luka Dončić").focus()
    page.keyboard.press("Enter")
    expect(main.get_by_role("heading", level=2)).to_contain_text("Luka Dončić has no active predictions")
    expect(page).to_have_url(re.compile(r"/player\?date=2025-12-29&player=lukadoncic$"))
    page.go_back()
    expect(main.get_by_role("heading", level=2)).to_contain_text("90 of 158")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Coverage").click()
    expect(page).to_have_url(re.compile(r"/coverage\?date=2025-12-29$"))


@pytest.mark.parametrize("name", ["dml_errors", "staging_tables", "worker_capacity"])
def test_the_other_pages_render_without_truncated_text(page, dashboard_url, screenshots_dir, name):
    open_and_settle(page, f"{dashboard_url}/{name}?date=2025-12-29")
    assert find_truncated_text(page) == []
    save_screenshot(page, screenshots_dir, name)
    assert page.faults == []
