"""What README and docs/pages.md show exists, is of today's pages, and is small."""

from __future__ import annotations

import re

from tests.support.paths import ROOT
from tests.tools.pictures.gallery import SCHEMES, SMALL_WIDTHS

README_IMAGES = set(re.findall(r"\]\(docs/([\w-]+\.webp)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
PAGE_IMAGES = set(re.findall(r"\]\(([\w-]+\.webp)\)", (ROOT / "docs" / "pages.md").read_text(encoding="utf-8")))
SHOWN_IMAGES = README_IMAGES | PAGE_IMAGES
MIB = 2**20


def test_every_page_has_a_light_and_a_dark_image_and_no_file_is_unused():
    pages = [page.stem for page in (ROOT / "pages").glob("*.py")] + [f"overview-{screen}" for screen in SMALL_WIDTHS]
    page_images = {f"{page}-{scheme}.webp" for page in pages for scheme in SCHEMES}
    recording_images = {f"{name}.webp" for name in ("repair", "plan", "running", "repaired")}
    assert page_images | recording_images == SHOWN_IMAGES
    assert {file.name for file in (ROOT / "docs").glob("*.webp")} == SHOWN_IMAGES


def test_the_images_are_small():
    sizes = {file.name: file.stat().st_size for file in (ROOT / "docs").glob("*.webp")}
    assert sizes["repair.webp"] < 2 * MIB
    assert sum(sizes.values()) < 4 * MIB
