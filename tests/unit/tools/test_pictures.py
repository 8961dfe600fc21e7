"""What the README shows is there, is of today's pages, and is small."""

from __future__ import annotations

import re

from tests.support.paths import ROOT
from tests.tools.pictures.gallery import SCHEMES, SMALL_WIDTHS

README_IMAGES = set(re.findall(r"\]\((docs/[\w-]+\.webp)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
MIB = 2**20


def test_every_page_has_a_light_and_a_dark_image_and_no_file_is_unused():
    pages = [page.stem for page in (ROOT / "pages").glob("*.py")] + [f"overview-{screen}" for screen in SMALL_WIDTHS]
    page_images = {f"docs/{page}-{scheme}.webp" for page in pages for scheme in SCHEMES}
    recording_images = {f"docs/{name}.webp" for name in ("repair", "plan", "running", "repaired")}
    assert page_images | recording_images == README_IMAGES
    assert {f"docs/{file.name}" for file in (ROOT / "docs").iterdir()} == README_IMAGES


def test_the_images_are_small():
    sizes = {file.name: file.stat().st_size for file in (ROOT / "docs").iterdir()}
    assert sizes["repair.webp"] < 2 * MIB
    assert sum(sizes.values()) < 4 * MIB
