"""What a screenshot becomes in docs/: a small WebP, still or moving."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image

from tests.browser.conftest import ROOT

DOCS = ROOT / "docs"
LONGEST_MS = 1_800  # nobody waits through a step of a recording for longer


def save(shot: bytes, name: str) -> None:
    """A still, without loss: flat colours and letters pack well."""
    Image.open(io.BytesIO(shot)).convert("RGB").save(DOCS / f"{name}.webp", lossless=True, quality=80, method=4)


def save_moving(frames: Sequence[tuple[float, bytes]], name: str, last_ms: int = 4_000) -> None:
    """A recording: each frame for as long as it stood, a long wait cut short; frames that change nothing are joined."""
    kept: list[tuple[float, bytes]] = []
    for at, shot in frames:
        if not kept or kept[-1][1] != shot:
            kept.append((at, shot))
    shown = [min(LONGEST_MS, int(1000 * (after - at))) for (at, _), (after, _) in pairwise(kept)]
    first, *rest = [Image.open(io.BytesIO(shot)).convert("RGB") for _, shot in kept]
    first.save(
        DOCS / f"{name}.webp",
        save_all=True,
        append_images=rest,
        duration=[*shown, last_ms],
        loop=0,
        quality=70,
        method=4,
    )
