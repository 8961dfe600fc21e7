"""Staging tables: what runs left behind, what is safe, and what still holds rows nobody else has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.foundation.clients import Cloud
from services.foundation.reading import Health, Problem, Source


class TableClass(StrEnum):
    """What a staging table is; worst first."""

    ORPHAN = "orphan, older than 24 h"
    WAITING = "waiting for consolidation"
    UNKNOWN = "unknown"
    RUNNING = "batch running"
    MERGED = "already merged"


@dataclass(frozen=True)
class StagingTable:
    """One `_staging_*` table. `unmerged_rows` None: not proven either way."""

    table: str  # dataset.table
    batch_id: str
    worker: str
    game_date: date | None
    rows: int | None
    size_bytes: int | None
    created: datetime
    expires: datetime | None
    unmerged_rows: int | None
    table_class: TableClass


@dataclass(frozen=True)
class BatchTotal:
    batch_id: str
    game_date: date | None
    tables: int
    rows: int
    size_bytes: int
    oldest: datetime
    unmerged_rows: int | None
    table_class: TableClass


@dataclass(frozen=True)
class Inventory:
    tables: tuple[StagingTable, ...]
    batches: tuple[BatchTotal, ...]
    health: Health
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()


def read_inventory(cloud: Cloud) -> Inventory:
    """Every staging table with its class; raises OnCallError when the tables cannot be listed."""
    raise NotImplementedError
