"""Runs: every batch of a game date with its state and its sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.foundation.clients import Cloud
from services.foundation.reading import Health, Problem, Source


class BatchState(StrEnum):
    """Where a batch stands; architecture.md §4."""

    REQUESTED = "requested"
    RUNNING = "running"
    STAGED = "staged"
    CONSOLIDATING = "consolidating"
    CONSOLIDATED = "consolidated"
    CONSOLIDATION_FAILED = "consolidation failed"
    STALLED = "stalled"
    ABANDONED = "abandoned"
    REPORTED_SUCCESS = "reported success"  # the customer's older coordinator: its own word, unproven


@dataclass(frozen=True)
class Batch:
    """One batch. Counts are None where nothing recorded them."""

    batch_id: str
    game_date: date
    state: BatchState
    started: datetime | None
    ended: datetime | None
    started_by: str
    requested: int | None
    generated: int | None
    staged_rows: int | None
    written_rows: int | None
    status_text: str  # what the coordinator itself says of it
    health: Health
    recorded_in: str  # "ledger" or "logs"


@dataclass(frozen=True)
class Batches:
    batches: tuple[Batch, ...]  # newest first
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()


def read_batches(cloud: Cloud, game_date: date) -> Batches:
    """Batches of a game date: from our ledger, and from the log lines of coordinators that keep none."""
    raise NotImplementedError
