"""The look and the locks: readable in both themes, and nothing open that should be shut."""

from __future__ import annotations

import tomllib

import pytest

from app.charts import palette
from tests.support.paths import ROOT

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
THEMES = ("light", "dark")
COLORS = ("red", "orange", "green", "blue", "violet", "gray")


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(foreground: str, background: str) -> float:
    dark, light = sorted((luminance(foreground), luminance(background)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("colour", COLORS)
def test_health_text_is_readable_on_its_badge_and_on_the_page(theme, colour):
    theme_config = CONFIG["theme"][theme]
    assert contrast(theme_config[f"{colour}TextColor"], theme_config[f"{colour}BackgroundColor"]) >= 4.5
    assert contrast(theme_config[f"{colour}TextColor"], theme_config["backgroundColor"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_links_are_readable(theme):
    theme_config = CONFIG["theme"][theme]
    assert contrast(theme_config["textColor"], theme_config["backgroundColor"]) >= 7
    assert contrast(theme_config["linkColor"], theme_config["backgroundColor"]) >= 4.5
    assert contrast(theme_config["dataframeHeaderTextColor"], theme_config["dataframeHeaderBackgroundColor"]) >= 4.5
    assert contrast(theme_config["textColor"], theme_config["sidebar"]["backgroundColor"]) >= 7


def caption_color(text: str, background: str, opacity: float = 0.6) -> str:
    """A caption's colour: Streamlit mixes it from the text's and the ground's."""
    mixed = [
        round(int(text[i : i + 2], 16) * opacity + int(background[i : i + 2], 16) * (1 - opacity)) for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


@pytest.mark.parametrize("theme", THEMES)
def test_captions_are_readable_on_every_background(theme):
    theme_config = CONFIG["theme"][theme]
    for background in (
        theme_config["backgroundColor"],
        theme_config["secondaryBackgroundColor"],
        theme_config["sidebar"]["backgroundColor"],
    ):
        assert contrast(caption_color(theme_config["textColor"], background), background) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_white_text_on_the_primary_button_is_readable(theme):
    assert contrast(CONFIG["theme"][theme]["primaryColor"], "#ffffff") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("mark", ["BLUE", "RED", "AMBER", "GREEN", "VIOLET", "GREY"])
def test_a_chart_mark_stands_out_and_its_white_number_is_readable(theme, mark):
    color = getattr(palette, mark)
    assert contrast(color, CONFIG["theme"][theme]["backgroundColor"]) >= 3
    assert contrast(color, "#ffffff") >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_text_in_charts_is_readable(theme):
    background = CONFIG["theme"][theme]["backgroundColor"]
    assert contrast(palette.TEXT_COLOR[theme], background) >= 4.5
    assert contrast(palette.ALERT_TEXT_COLOR[theme], background) >= 4.5


def test_the_theme_loads_nothing_from_the_network():
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
def test_security_options_are_set(section, key, value):
    assert CONFIG[section][key] is value or CONFIG[section][key] == value
