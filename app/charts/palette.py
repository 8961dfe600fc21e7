"""The colours of charts: readable on the light and the dark theme, and behind white text. The theme is in .streamlit/config.toml."""

from __future__ import annotations

import streamlit as st

from services.core.result import Health

BLUE, RED, AMBER, GREEN, GREY, VIOLET = "#3a74a8", "#bd493b", "#a3690f", "#3d8259", "#70777d", "#7a5ca3"
NEUTRAL_FILL = "rgba(138,146,152,0.18)"
TEXT_COLOR = {"light": "#4f565b", "dark": "#b4bcc1"}
ALERT_TEXT_COLOR = {"light": "#b3372a", "dark": "#ee8d80"}
COLOR_BY_HEALTH = {
    Health.OK: GREEN,
    Health.WARNING: AMBER,
    Health.CRITICAL: RED,
    Health.UNKNOWN: VIOLET,
    Health.NONE_EXPECTED: GREY,
}


def text_color() -> str:
    """The text colour for a chart that does not follow the page's theme by itself."""
    return TEXT_COLOR.get(_theme(), GREY)


def _theme() -> str:
    return st.context.theme.type or ""
