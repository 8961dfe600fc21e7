"""What a screenshot becomes in docs/: a small WebP, still or moving."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
STEP_FRAME_MS, WAIT_FRAME_MS, LAST_FRAME_MS = 2_000, 400, 4_000
MAX_WAIT_FRAMES = 24  # frames of waiting in a recording; a busy machine gives more


def save_image(screenshot: bytes, name: str) -> None:
    """A still, without loss: flat colours and letters pack well."""
    Image.open(io.BytesIO(screenshot)).convert("RGB").save(DOCS / f"{name}.webp", lossless=True, quality=80, method=4)


def save_animation(frames: Sequence[tuple[bytes, bool]], name: str) -> None:
    """A recording: each step stands long enough to be read; of the waiting between them a few frames, whatever it took."""
    distinct = [frame for i, frame in enumerate(frames) if i == 0 or frame[1] or frame[0] != frames[i - 1][0]]
    waiting = [i for i, (_, step) in enumerate(distinct) if not step]
    dropped = set(waiting) - set(waiting[:: max(1, -(-len(waiting) // MAX_WAIT_FRAMES))])
    selected = [frame for i, frame in enumerate(distinct) if i not in dropped]
    first, *rest = [Image.open(io.BytesIO(shot)).convert("RGB") for shot, _ in selected]
    durations = [STEP_FRAME_MS if step else WAIT_FRAME_MS for _, step in selected]
    first.save(
        DOCS / f"{name}.webp",
        save_all=True,
        append_images=rest,
        duration=[*durations[:-1], LAST_FRAME_MS],
        loop=0,
        quality=75,
        method=4,
        minimize_size=True,
    )
