"""Concurrency: how wide the workers are now, against what the predictions table admits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.foundation.clients import Cloud
from services.foundation.reading import Health, Source

DML_RUNNING, DML_WAITING = 2, 20  # mutating DML per table that BigQuery runs and queues


class Width(StrEnum):
    """How a service stands against its known widths."""

    EMERGENCY = "emergency"
    NORMAL = "normal"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class ServiceWidth:
    """One Cloud Run service. The smaller of the two maxima counts; None means no maximum is set at that level."""

    service: str
    max_instances_service: int | None
    max_instances_revision: int | None
    request_concurrency: int
    revision: str
    revision_since: datetime | None
    changed_by: str
    etag: str
    width: Width
    health: Health
    writes_predictions: bool  # the worker: its product counts against the DML limit

    @property
    def max_instances(self) -> int | None:
        known = [m for m in (self.max_instances_service, self.max_instances_revision) if m]
        return min(known, default=None)

    @property
    def product(self) -> int | None:
        return self.max_instances * self.request_concurrency if self.max_instances else None


@dataclass(frozen=True)
class Widths:
    services: tuple[ServiceWidth, ...]
    sources: tuple[Source, ...]


def read_widths(cloud: Cloud) -> Widths:
    """Worker and coordinator as Cloud Run has them now; raises OnCallError when it does not answer."""
    raise NotImplementedError
