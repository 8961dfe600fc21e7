"""How long a job takes on the real service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JobLatency:
    """Seconds a job of each kind takes on the real service, multiplied by `scale` here."""

    scale: float = 0.1
    merge_s: float = 4.7
    load_s: float = 1.5
    copy_s: float = 2.0
