"""Every pair of colours that the theme and the charts put on each other is readable in both themes: axe-core measures it.

The pages of test_accessibility.py show only some of the pairs, and a table's canvas and a chart's SVG show axe no text.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from app.charts import palette
from tests.support.paths import ROOT

pytestmark = pytest.mark.browser
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
COLORS = ("red", "orange", "green", "blue", "violet", "gray")
CHART_MARKS = ("BLUE", "RED", "AMBER", "GREEN", "VIOLET", "GREY")
CAPTION_OPACITY = 0.6  # Streamlit mixes a caption's colour from the text's and the background's


@pytest.fixture
def page(browser: Any) -> Any:
    page = browser.new_page()
    yield page
    page.close()


def find_unreadable(
    page: Any, pairs: dict[str, tuple[str, str]], style: str = "", rule: str = "color-contrast"
) -> set[str]:
    """Names of the (text, background) pairs that fail an axe rule: color-contrast is 4.5 : 1, or 3 : 1 for large text."""
    page.set_content(
        "".join(
            f'<div style="background: {background}; padding: 9px">'
            f'<span id="{name}" style="color: {text}; {style}">readable</span></div>'
            for name, (text, background) in pairs.items()
        )
    )
    response = Axe().run(page, options={"runOnly": [rule], "rules": {rule: {"enabled": True}}}).response
    measured = {
        outcome: {node["target"][0].removeprefix("#") for result in response[outcome] for node in result["nodes"]}
        for outcome in ("passes", "violations")
    }
    assert measured["passes"] | measured["violations"] == set(pairs), "axe measured every pair"
    return measured["violations"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable(page, theme):
    colors = CONFIG["theme"][theme]
    pairs = {
        "link": (colors["linkColor"], colors["backgroundColor"]),
        "dataframe-header": (colors["dataframeHeaderTextColor"], colors["dataframeHeaderBackgroundColor"]),
        "primary-button": ("#ffffff", colors["primaryColor"]),
        "chart-text": (palette.TEXT_COLOR[theme], colors["backgroundColor"]),
        "chart-alert": (palette.ALERT_TEXT_COLOR[theme], colors["backgroundColor"]),
    }
    for color in COLORS:
        pairs[f"{color}-on-badge"] = colors[f"{color}TextColor"], colors[f"{color}BackgroundColor"]
        pairs[f"{color}-on-page"] = colors[f"{color}TextColor"], colors["backgroundColor"]
    assert find_unreadable(page, pairs) == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_body_text_has_the_enhanced_contrast_of_7(page, theme):
    colors = CONFIG["theme"][theme]
    pairs = {
        "page": (colors["textColor"], colors["backgroundColor"]),
        "sidebar": (colors["textColor"], colors["sidebar"]["backgroundColor"]),
    }
    assert find_unreadable(page, pairs, rule="color-contrast-enhanced") == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_captions_are_readable_on_every_background(page, theme):
    colors = CONFIG["theme"][theme]
    backgrounds = {
        "page": colors["backgroundColor"],
        "secondary": colors["secondaryBackgroundColor"],
        "sidebar": colors["sidebar"]["backgroundColor"],
    }
    pairs = {name: (colors["textColor"], background) for name, background in backgrounds.items()}
    assert find_unreadable(page, pairs, style=f"opacity: {CAPTION_OPACITY}") == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_mark_stands_out_and_its_white_number_is_readable(page, theme):
    background = CONFIG["theme"][theme]["backgroundColor"]
    marks = {mark: getattr(palette, mark) for mark in CHART_MARKS}
    assert (
        find_unreadable(page, {mark: (color, background) for mark, color in marks.items()}, "font-size: 24px") == set()
    )
    assert find_unreadable(page, {mark: ("#ffffff", color) for mark, color in marks.items()}) == set()


def test_a_pair_of_low_contrast_is_found(page):
    assert find_unreadable(page, {"pale": ("#999999", "#ffffff"), "dark": ("#555555", "#ffffff")}) == {"pale"}
