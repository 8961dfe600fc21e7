"""The repair of 29 December as it happens on the screen: 68 of 158, the plan, the run, 158 of 158."""

from __future__ import annotations

import time
from typing import Any

from tests.pictures.desk import PATIENCE_MS, at_rest
from tests.pictures.files import save, save_moving
from tests.pictures.gallery import NIGHT

SIZE = {"width": 1120, "height": 760}
REPAIRED_MS = 150_000
LOOK_EVERY_MS = 500


class Film:
    """Frames of a page, and which of them are steps and not waiting."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[tuple[bytes, bool]] = []

    def shoot(self, step: bool = True) -> bytes:
        shot: bytes = self.page.screenshot()
        self.frames.append((shot, step))
        return shot

    def until(self, words: str, patience_ms: int = PATIENCE_MS) -> bytes:
        """Film until the words stand on the page."""
        end = time.monotonic() + patience_ms / 1000
        while not self.page.get_by_text(words).first.is_visible():
            if time.monotonic() > end:
                raise TimeoutError(f"“{words}” did not appear within {patience_ms / 1000:.0f} s.")
            self.shoot(step=False)
            self.page.wait_for_timeout(LOOK_EVERY_MS)
        self.page.wait_for_timeout(LOOK_EVERY_MS)
        return self.shoot()


def record(browser: Any, address: str) -> None:
    """Write the recording and its three stills into docs/."""
    context = browser.new_context(color_scheme="light", viewport=SIZE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/?date={NIGHT}")
    at_rest(page)
    film = Film(page)
    film.shoot()
    _press(film, page.get_by_role("button", name="Re-run 90 lost players").first)
    save(film.until("7 checks, 0 stop it"), "plan")
    _press(film, page.get_by_role("dialog").get_by_test_id("stBaseButton-primary"))
    save(film.until("players answered"), "running")
    film.until("All 158 eligible players have active predictions", REPAIRED_MS)
    at_rest(page)
    save(film.shoot(), "repaired")
    save_moving(film.frames, "repair")
    context.close()


def _press(film: Film, button: Any) -> None:
    """Show where the pointer goes before it presses."""
    button.hover()
    film.page.wait_for_timeout(600)
    film.shoot()
    film.page.wait_for_timeout(600)
    button.click()
