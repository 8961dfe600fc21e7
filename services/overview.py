"""The overview: tonight's verdict in one line, worst first, and one signal per thing that can be wrong. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.concurrency import Widths
from services.dml_errors import DmlReport
from services.foundation.reading import Health, Reading
from services.night import Night
from services.runs import Batches
from services.staging_tables import Inventory


@dataclass(frozen=True)
class Signal:
    """One row of the overview: its state in words and the page with its evidence."""

    name: str
    health: Health
    text: str
    page: str  # file name in pages/ without .py


@dataclass(frozen=True)
class Verdict:
    game_date: date
    health: Health
    sentence: str  # e.g. "90 of 158 players are missing: generated but rejected on write, since 14:47 ET"
    details: tuple[str, ...]
    signals: tuple[Signal, ...]


def judge(
    game_date: date,
    night: Reading[Night],
    dml: Reading[DmlReport],
    staging: Reading[Inventory],
    widths: Reading[Widths],
    batches: Reading[Batches],
) -> Verdict:
    """Put the verdict into words from what could be read; what could not is unknown, never green."""
    raise NotImplementedError
