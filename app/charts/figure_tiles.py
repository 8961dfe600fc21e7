"""The overview's figures as tiles with their bars, in one piece of HTML: they stand with the page's text, at their final size."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from app.charts.html_parts import CLASS_BY_HEALTH, health_icon
from app.components import widgets
from services.core.result import Health
from services.reports.figures import Bar, Figure

_BAR_HEIGHT_PX, _MIN_BAR_PX = 28, 2


def render(figures: Iterable[Figure]) -> None:
    """All figures, the first leftmost."""
    with st.container(key="tiles"):  # their room, before they have come
        st.html(f'<ul class="tiles" aria-label="Key figures">{"".join(map(to_html, figures))}</ul>')


def to_html(figure: Figure) -> str:
    """One tile: the label leads to the evidence; only a critical or unknown value has a colour."""
    color = CLASS_BY_HEALTH[figure.health] if figure.health in (Health.CRITICAL, Health.UNKNOWN) else ""
    unit = f" <small>{escape(figure.unit)}</small>" if figure.unit else ""
    link = f'<a href="{escape(widgets.page_href(figure.page))}">{escape(figure.label)}</a>'
    return (
        f'<li class="tile"><div class="l">{link}{health_icon(figure.health, "s")}</div>'
        f'<div class="v"><b class="{color}">{escape(figure.value)}{unit}</b>{_bars_html(figure)}</div>'
        f'<div class="d">{escape(figure.detail)}</div></li>'
    )


def _bars_html(figure: Figure) -> str:
    if not figure.bars:
        return ""
    top = max([figure.scale, *(bar.value or 0.0 for bar in figure.bars)]) or 1.0
    bars = "".join(_bar_html(bar, top) for bar in figure.bars)
    alt = escape(f"{figure.bars_text}. {'; '.join(bar.title for bar in figure.bars)}.")
    return f'<span class="spark" role="img" aria-label="{alt}">{bars}</span>'


def _bar_html(bar: Bar, top: float) -> str:
    title = escape(bar.title)
    if bar.value is None:
        return f'<i class="none" title="{title}"></i>'
    color = CLASS_BY_HEALTH[bar.health] if bar.health is not None else ""
    height = max(_MIN_BAR_PX, round(_BAR_HEIGHT_PX * bar.value / top))
    return f'<i class="{color}" title="{title}" style="height:{height}px"></i>'
