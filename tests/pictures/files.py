"""What a screenshot becomes in docs/: a small WebP, still or moving."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from tests.browser.conftest import ROOT

DOCS = ROOT / "docs"
STEP_MS, BETWEEN_MS, LAST_MS = 2_000, 400, 4_000
MOST_BETWEEN = 24  # frames of waiting in a recording; a busy machine gives more


def save(shot: bytes, name: str) -> None:
    """A still, without loss: flat colours and letters pack well."""
    Image.open(io.BytesIO(shot)).convert("RGB").save(DOCS / f"{name}.webp", lossless=True, quality=80, method=4)


def save_moving(frames: Sequence[tuple[bytes, bool]], name: str) -> None:
    """A recording: each step stands long enough to be read; of the waiting between them a few frames, whatever it took."""
    changed = [frame for i, frame in enumerate(frames) if i == 0 or frame[1] or frame[0] != frames[i - 1][0]]
    waiting = [i for i, (_, step) in enumerate(changed) if not step]
    dropped = set(waiting) - set(waiting[:: max(1, -(-len(waiting) // MOST_BETWEEN))])
    kept = [frame for i, frame in enumerate(changed) if i not in dropped]
    first, *rest = [Image.open(io.BytesIO(shot)).convert("RGB") for shot, _ in kept]
    durations = [STEP_MS if step else BETWEEN_MS for _, step in kept]
    first.save(
        DOCS / f"{name}.webp",
        save_all=True,
        append_images=rest,
        duration=[*durations[:-1], LAST_MS],
        loop=0,
        quality=75,
        method=4,
        minimize_size=True,
    )
