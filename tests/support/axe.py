"""What axe-core finds on a page in a real Chromium: against WCAG 2.2 A and AA, and against its best practices."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = (("light", 1440), ("dark", 1440), ("dark", 390), ("light", 390))
EXTREME_LOOKS = (("light", 1440), ("dark", 390))  # both themes and both widths, of a page that a test has come to
IS_DRAWN_IN = """scheme => {
  const [red] = getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor.match(/\\d+/g)
  return (red < 128) === (scheme === "dark")
}"""
SETTLE_S = 8.0  # on a loaded machine


def find_violations(page: Any) -> list[str]:
    """Each with its rule, its element and what is wrong with it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"runOnly": AXE_TAGS, "resultTypes": ["violations"]}
    response = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['target'][0]} {node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}"
        for violation in response["violations"]
        for node in violation["nodes"]
    ]


def _find_lasting_violations(page: Any) -> list[str]:
    """What axe-core still finds once the theme's colours have changed and what is wider than the screen is a stop of the keyboard."""
    deadline = time.monotonic() + SETTLE_S
    while (violations := find_violations(page)) and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    return violations


def list_violations(page: Any, looks: Sequence[tuple[str, int]] = EXTREME_LOOKS) -> list[str]:
    """Those in any of these themes and widths; the page then is light and has the size that it had."""
    size, violations = page.viewport_size, []
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(IS_DRAWN_IN, arg=scheme)
        page.wait_for_timeout(200)
        violations += [f"{scheme}, {width}: {violation}" for violation in _find_lasting_violations(page)]
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)
    return violations
