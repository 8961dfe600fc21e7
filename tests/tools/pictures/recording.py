"""The repair of 29 December as it happens on the screen: 68 of 158, the plan, the run, 158 of 158."""

from __future__ import annotations

import time
from typing import Any

from tests.support.chromium import PAGE_TIMEOUT_MS, wait_until_idle
from tests.tools.pictures.gallery import NIGHT
from tests.tools.pictures.image_files import save_animation, save_image

VIEWPORT = {"width": 1120, "height": 760}
REPAIR_TIMEOUT_MS = 150_000
FRAME_INTERVAL_MS = 500


class Recorder:
    """Frames of a page, and which of them are steps and not waiting."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[tuple[bytes, bool]] = []

    def capture(self, step: bool = True) -> bytes:
        screenshot: bytes = self.page.screenshot()
        self.frames.append((screenshot, step))
        return screenshot

    def capture_until(self, text: str, timeout_ms: int = PAGE_TIMEOUT_MS) -> bytes:
        """Capture frames until the text is on the page."""
        end = time.monotonic() + timeout_ms / 1000
        while not self.page.get_by_text(text).first.is_visible():
            if time.monotonic() > end:
                raise TimeoutError(f"“{text}” did not appear within {timeout_ms / 1000:.0f} s.")
            self.capture(step=False)
            self.page.wait_for_timeout(FRAME_INTERVAL_MS)
        self.page.wait_for_timeout(FRAME_INTERVAL_MS)
        return self.capture()


def record(browser: Any, address: str) -> None:
    """Write the recording and its three stills into docs/."""
    context = browser.new_context(color_scheme="light", viewport=VIEWPORT)
    page = context.new_page()
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    page.goto(f"{address}/?date={NIGHT}")
    wait_until_idle(page)
    recorder = Recorder(page)
    recorder.capture()
    _hover_and_click(recorder, page.get_by_role("button", name="Re-run 90 players").first)
    save_image(recorder.capture_until("7 checks passed"), "plan")
    _hover_and_click(recorder, page.get_by_role("dialog").get_by_test_id("stBaseButton-primary"))
    save_image(recorder.capture_until("Re-running 90 players"), "running")
    recorder.capture_until("All 158 eligible players have active predictions", REPAIR_TIMEOUT_MS)
    wait_until_idle(page)
    save_image(recorder.capture(), "repaired")
    save_animation(recorder.frames, "repair")
    context.close()


def _hover_and_click(recorder: Recorder, button: Any) -> None:
    """Hover before clicking, so that the recording shows the pointer."""
    button.hover()
    recorder.page.wait_for_timeout(600)
    recorder.capture()
    recorder.page.wait_for_timeout(600)
    button.click()
