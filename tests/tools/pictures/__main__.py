"""`make pictures`: the README's gallery and the recording of the repair, from a sandbox of its own into docs/."""

from __future__ import annotations

import sys
import time

from tests.support.chromium import CHROMIUM, CHROMIUM_ARGS
from tests.tools.pictures import gallery, recording
from tests.tools.pictures.dashboard import run_dashboard
from tests.tools.pictures.image_files import DOCS


def main() -> None:
    if not CHROMIUM.exists():
        sys.exit(f"There is no {CHROMIUM}: install Debian's chromium (make chromium), or set CHROMIUM.")
    from playwright.sync_api import sync_playwright

    began = time.monotonic()
    with run_dashboard() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        gallery.take_screenshots(browser, address)
        recording.record(browser, address)
        browser.close()
    sizes = {file.name: file.stat().st_size for file in sorted(DOCS.iterdir())}
    print("\n".join(f"  docs/{name:32}{size / 1024:8.0f} KiB" for name, size in sizes.items()))
    print(f"  {len(sizes)} pictures, {sum(sizes.values()) / 2**20:.1f} MiB, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
