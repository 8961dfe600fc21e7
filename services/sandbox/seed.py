"""The data of a scenario: table rows, log entries, past jobs and Cloud Run services, as plain JSON-ready values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Seed:
    """Plain JSON-ready data. `tables` maps dataset.table to rows; jobs, entries and services are in Google's REST shapes."""

    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    table_created: Mapping[str, str] = field(default_factory=dict)  # dataset.table → RFC 3339, for staging tables
    log_entries: Sequence[Mapping[str, Any]] = ()  # LogEntry
    jobs: Sequence[Mapping[str, Any]] = ()  # bigquery#job
    services: Sequence[Mapping[str, Any]] = ()  # google.cloud.run.v2.Service
    revisions: Sequence[Mapping[str, Any]] = ()  # google.cloud.run.v2.Revision
    scheduler_jobs: Sequence[Mapping[str, Any]] = ()  # Cloud Scheduler's Job with `times` (ET); empty: December's
    table_resources: Sequence[Mapping[str, Any]] = ()  # bigquery#table for tables.insert; empty: December's tables
    location: str = "US"  # of every dataset

    @cached_property
    def table_lines(self) -> Mapping[str, bytes]:
        """Each table's rows as newline-delimited JSON, which every sandbox of this process loads."""
        return {name: "\n".join(map(json.dumps, rows)).encode() for name, rows in self.tables.items()}
