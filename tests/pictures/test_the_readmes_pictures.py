"""What the README shows is there, is of today's pages, and is small."""

from __future__ import annotations

import re

from tests.browser.conftest import ROOT
from tests.pictures.gallery import SCHEMES, SMALL

SHOWN = set(re.findall(r"\]\((docs/[\w-]+\.webp)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
MIB = 2**20


def test_every_page_is_shown_light_and_dark_and_nothing_else_lies_beside():
    pages = [page.stem for page in (ROOT / "pages").glob("*.py")] + [f"overview-{screen}" for screen in SMALL]
    wanted = {f"docs/{page}-{scheme}.webp" for page in pages for scheme in SCHEMES}
    told = {f"docs/{name}.webp" for name in ("repair", "plan", "running", "repaired")}
    assert wanted | told == SHOWN
    assert {f"docs/{file.name}" for file in (ROOT / "docs").iterdir()} == SHOWN


def test_the_pictures_are_small():
    sizes = {file.name: file.stat().st_size for file in (ROOT / "docs").iterdir()}
    assert sizes["repair.webp"] < 2 * MIB
    assert sum(sizes.values()) < 4 * MIB
