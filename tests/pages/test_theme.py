"""The look and the locks: readable in both themes, and nothing open that should be shut."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from app.charts import palette

CONFIG = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
THEMES = ("light", "dark")
COLOURS = ("red", "orange", "green", "blue", "violet", "gray")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("colour", COLOURS)
def test_a_health_word_can_be_read_on_its_badge_and_on_the_page(theme, colour):
    look = CONFIG["theme"][theme]
    assert contrast(look[f"{colour}TextColor"], look[f"{colour}BackgroundColor"]) >= 4.5
    assert contrast(look[f"{colour}TextColor"], look["backgroundColor"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_links_can_be_read(theme):
    look = CONFIG["theme"][theme]
    assert contrast(look["textColor"], look["backgroundColor"]) >= 7
    assert contrast(look["linkColor"], look["backgroundColor"]) >= 4.5
    assert contrast(look["dataframeHeaderTextColor"], look["dataframeHeaderBackgroundColor"]) >= 4.5
    assert contrast(look["textColor"], look["sidebar"]["backgroundColor"]) >= 7


def faded(text: str, ground: str, share: float = 0.6) -> str:
    """A caption's colour: Streamlit mixes it from the text's and the ground's."""
    mixed = [round(int(text[i : i + 2], 16) * share + int(ground[i : i + 2], 16) * (1 - share)) for i in (1, 3, 5)]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


@pytest.mark.parametrize("theme", THEMES)
def test_quiet_words_under_a_figure_and_in_the_sidebar_can_be_read(theme):
    look = CONFIG["theme"][theme]
    for ground in (look["backgroundColor"], look["secondaryBackgroundColor"], look["sidebar"]["backgroundColor"]):
        assert contrast(faded(look["textColor"], ground), ground) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_white_letters_on_the_button_that_repairs_can_be_read(theme):
    assert contrast(CONFIG["theme"][theme]["primaryColor"], "#ffffff") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("mark", ["BLUE", "RED", "AMBER", "GREEN", "VIOLET", "GREY"])
def test_a_mark_in_a_picture_stands_out_and_its_white_number_can_be_read(theme, mark):
    colour = getattr(palette, mark)
    assert contrast(colour, CONFIG["theme"][theme]["backgroundColor"]) >= 3
    assert contrast(colour, "#ffffff") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_words_in_a_picture_can_be_read(theme):
    background = CONFIG["theme"][theme]["backgroundColor"]
    assert contrast(palette.INK[theme], background) >= 4.5
    assert contrast(palette.ALARM[theme], background) >= 4.5


def test_nothing_is_fetched_from_the_network_for_the_look():
    assert "http" not in str(CONFIG["theme"])


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("server", "headless", True),
        ("server", "address", "127.0.0.1"),
        ("server", "enableXsrfProtection", True),
        ("server", "enableCORS", True),
        ("server", "enableAgentApi", False),
        ("server", "fileWatcherType", "none"),
        ("browser", "gatherUsageStats", False),
        ("client", "toolbarMode", "viewer"),
        ("client", "showErrorDetails", "none"),
        ("client", "showErrorLinks", False),
        ("client", "disableDataExport", True),
    ],
)
def test_what_must_stay_shut_is_shut(section, key, value):
    assert CONFIG[section][key] is value or CONFIG[section][key] == value
