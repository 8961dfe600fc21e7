"""What our own HTML shares: the icon and the colour of a health state, and numbers as CSS."""

from __future__ import annotations

from html import escape

from services.core.result import Health

ICON_BY_HEALTH = {
    Health.OK: "check_circle",
    Health.WARNING: "warning",
    Health.CRITICAL: "error",
    Health.UNKNOWN: "help",
    Health.NONE_EXPECTED: "remove",
}
# Classes of app/http/style.css, which colour by the design tokens.
CLASS_BY_HEALTH = {
    Health.OK: "grn",
    Health.WARNING: "amb",
    Health.CRITICAL: "red",
    Health.UNKNOWN: "vio",
    Health.NONE_EXPECTED: "mute",
}


def icon(name: str, css_class: str = "", label: str = "") -> str:
    """A Material icon; with a `label` it is read out, without one it only repeats the text beside it."""
    role = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    return f'<i class="ms {css_class}" {role}>{name}</i>'


def health_icon(health: Health, css_class: str = "") -> str:
    """The icon of a health state in its colour, read out as its word."""
    return icon(ICON_BY_HEALTH[health], f"{CLASS_BY_HEALTH[health]} {css_class}", str(health))


def percent(fraction: float) -> str:
    """0.4304 as 43.04%."""
    return f"{100 * fraction:.2f}%"


def section_html(body: str) -> str:
    """A page's head as one region; its parts are placed by app/http/style.css."""
    return f'<section class="status" aria-label="Status">{body}</section>'


def head_html(title: str, text: str, *badges: tuple[str, str, str]) -> str:
    """The first part of a page's head: title, badges as (icon, class, word), of which the first marks the whole, and one sentence."""
    (icon_name, css_class, _), *_ = badges
    words = "".join(f'<span class="badge {css}">{icon(name)}{escape(word)}</span>' for name, css, word in badges)
    return (
        f'<div class="head">{icon(icon_name, f"state {css_class}")}<div><div class="hd"><h2>{escape(title)}</h2>{words}</div>'
        f"<p>{escape(text)}</p></div></div>"
    )
