"""Every page of the dashboard, light and dark, and the overview as a small screen shows it."""

from __future__ import annotations

from typing import Any

from tests.support.chromium import wait_until_idle
from tests.support.paths import ROOT
from tests.tools.pictures.image_files import save_image

NIGHT = "2025-12-29"
SCHEMES = ("light", "dark")
DESKTOP_WIDTH, SMALL_WIDTHS = 1440, {"tablet": 800, "phone": 390}
MIN_HEIGHT, MAX_HEIGHT = 700, 1500
PARAMS = {"player": "&player=lukadoncic"}  # of pages that are about one thing


def take_screenshots(browser: Any, address: str) -> None:
    """Write the pictures into docs/."""
    names = ["overview", *sorted(page.stem for page in (ROOT / "pages").glob("*.py") if page.stem != "overview")]
    for scheme in SCHEMES:
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        for name in names:
            path = "" if name == "overview" else name
            save_image(
                _screenshot_page(page, f"{address}/{path}?date={NIGHT}{PARAMS.get(name, '')}", DESKTOP_WIDTH),
                f"{name}-{scheme}",
            )
        for screen, width in SMALL_WIDTHS.items():
            save_image(_screenshot_page(page, f"{address}/?date={NIGHT}", width), f"overview-{screen}-{scheme}")
        context.close()


def _screenshot_page(page: Any, address: str, width: int) -> bytes:
    """A page at its full height, as it is just after opening."""
    page.set_viewport_size({"width": width, "height": MIN_HEIGHT})
    page.goto(address)
    wait_until_idle(page)
    height = page.get_by_test_id("stMainBlockContainer").evaluate("block => block.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(MIN_HEIGHT, min(MAX_HEIGHT, height + 24))})
    wait_until_idle(page)
    screenshot: bytes = page.screenshot()
    return screenshot
