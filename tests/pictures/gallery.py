"""Every page of the desk, light and dark, and the overview as a small screen shows it."""

from __future__ import annotations

from typing import Any

from tests.browser.conftest import ROOT
from tests.pictures.desk import at_rest
from tests.pictures.files import save

NIGHT = "2025-12-29"
SCHEMES = ("light", "dark")
WIDE, SMALL = 1440, {"tablet": 800, "phone": 390}
SHORTEST, TALLEST = 700, 1500


def take(browser: Any, address: str) -> None:
    """Write the pictures into docs/."""
    names = ["overview", *sorted(page.stem for page in (ROOT / "pages").glob("*.py") if page.stem != "overview")]
    for scheme in SCHEMES:
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        for name in names:
            path = "" if name == "overview" else name
            save(_picture(page, f"{address}/{path}?date={NIGHT}", WIDE), f"{name}-{scheme}")
        for screen, width in SMALL.items():
            save(_picture(page, f"{address}/?date={NIGHT}", width), f"overview-{screen}-{scheme}")
        context.close()


def _picture(page: Any, address: str, width: int) -> bytes:
    """A page as high as what stands on it, as somebody sees it who just opened it."""
    page.set_viewport_size({"width": width, "height": SHORTEST})
    page.goto(address)
    at_rest(page)
    height = page.get_by_test_id("stMainBlockContainer").evaluate("block => block.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(SHORTEST, min(TALLEST, height + 24))})
    at_rest(page)
    shot: bytes = page.screenshot()
    return shot
