"""In a real browser: readable in both themes, reachable by keyboard, usable on a phone, and calm while it refreshes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.pictures.desk import at_rest

pytestmark = pytest.mark.browser
NIGHT = "?date=2025-12-29"
PAGES = ("", "missing_players", "alerts", "concurrency", "handoff_note")
VERB = "Re-run 90 lost players"

TOO_PALE = """() => {
  const parse = text => { const n = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(srgb') ? [n[0] * 255, n[1] * 255, n[2] * 255, n[3] ?? 1] : [n[0], n[1], n[2], n[3] ?? 1] };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat([1]);
  const light = colour => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => { const v = colour[i] / 255;
    return sum + share * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4) }, 0);
  const pale = new Set(), words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const text = words.currentNode.textContent.trim(), box = words.currentNode.parentElement;
    if (!text || box.closest('script, style, :disabled, [aria-disabled=true]')) continue;
    if (!box.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (box.getBoundingClientRect().width < 2) continue;
    const drawn = box.namespaceURI.includes('svg'), style = getComputedStyle(box);
    let ink = parse(drawn ? style.fill : style.color), ground = [255, 255, 255, 1], seen = 1; const above = [];
    if (drawn && ink[0] + ink[1] + ink[2] === 765) continue;  // white on a bar: tested with the bars' colours
    for (let each = box; each; each = each.parentElement) {
      above.unshift(parse(getComputedStyle(each).backgroundColor)); seen *= Number(getComputedStyle(each).opacity) }
    for (const each of above) ground = over(each, ground);
    ink = over([ink[0], ink[1], ink[2], ink[3] * seen], ground);
    const [dark, bright] = [light(ink), light(ground)].sort((a, b) => a - b);
    if ((bright + 0.05) / (dark + 0.05) < 4.5) pale.add(`${text.slice(0, 30)}: ${ink.map(Math.round)} on ${ground.map(Math.round)}`);
  }
  return [...pale];
}"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def look(page: Any, address: str) -> Any:
    page.goto(address)
    at_rest(page)
    return page.get_by_test_id("stMain")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_on_the_screen_has_a_contrast_of_4_5(page, dashboard, scheme):
    page.emulate_media(color_scheme=scheme)
    for name in PAGES:
        look(page, f"{dashboard}/{name}{NIGHT}")
        assert page.evaluate(TOO_PALE) == [], name


@pytest.mark.parametrize("width", [800, 390])
def test_on_a_small_screen_the_answer_and_its_button_stand_in_the_first_look(page, dashboard, width):
    page.set_viewport_size({"width": width, "height": 640})
    main = look(page, f"{dashboard}/{NIGHT}")
    for each in (main.get_by_role("heading", level=2), main.get_by_role("button", name=VERB)):
        box = each.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 640
    assert main.get_by_role("button", name=VERB).bounding_box()["height"] >= 34
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0


def test_a_mark_in_the_picture_of_the_night_tells_its_words_to_who_goes_by_keyboard(page, dashboard):
    main = look(page, f"{dashboard}/{NIGHT}")
    worst = main.locator(".mark.column").nth(1)
    words = worst.get_by_text("61 of 87 writes rejected in this minute")
    expect(words).to_be_hidden()
    worst.focus()
    expect(words).to_be_visible()


def test_a_lane_of_the_night_leads_to_its_evidence(page, dashboard):
    main = look(page, f"{dashboard}/{NIGHT}")
    lane, name = main.locator(".night .lane").nth(1), main.get_by_role("link", name="rejected writes")
    middles = [box["y"] + box["height"] / 2 for box in (lane.bounding_box(), name.bounding_box())]
    assert abs(middles[0] - middles[1]) < 3, "a name stands before its lane"
    name.click()
    expect(page).to_have_url(re.compile(r"/dml_errors\?date=2025-12-29"))


def test_a_nights_name_stands_under_its_bar_and_turns_the_page_to_it(page, dashboard):
    main = look(page, f"{dashboard}/coverage{NIGHT}")
    bar, name = main.locator(".nights > span").nth(5), main.get_by_role("button", name="21", exact=True)
    middles = [box["x"] + box["width"] / 2 for box in (bar.bounding_box(), name.bounding_box())]
    assert abs(middles[0] - middles[1]) < 3
    name.click()
    expect(page).to_have_url(re.compile(r"/coverage\?date=2025-12-21"))
    expect(main.get_by_text("Sun 21 Dec 2025").first).to_be_visible()


def first_row(page: Any) -> str:
    return str(page.locator("[data-testid=stDataFrame] [role=gridcell]").first.text_content())


def test_a_table_stays_sorted_while_the_page_refreshes(page, dashboard):
    main = look(page, f"{dashboard}/missing_players{NIGHT}")
    grid = main.get_by_test_id("stDataFrame").first
    before = first_row(page)
    grid.click(position={"x": 40, "y": 14})
    page.wait_for_timeout(500)
    sorted_first = first_row(page)
    assert sorted_first != before
    page.get_by_test_id("stSidebar").get_by_text("Pause").click()
    main.get_by_text("paused since").wait_for()
    at_rest(page)
    assert first_row(page) == sorted_first


def test_a_link_with_a_filter_opens_filtered_and_the_menu_leaves_the_filter_behind(page, dashboard):
    main = look(page, f"{dashboard}/missing_players{NIGHT}&missing_find=herb&missing_kind=nonsense")
    expect(main.get_by_text("CSV, 1 row")).to_be_visible()
    assert "nonsense" not in page.url
    page.get_by_test_id("stSidebar").get_by_role("link", name="Coverage").click()
    expect(page).to_have_url(re.compile(r"/coverage\?date=2025-12-29$"))
