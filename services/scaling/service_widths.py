"""Concurrency: how wide the workers are now, against what the predictions table admits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.core.result import Health, Source
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.policy.dml_limits import EMERGENCY, NORMAL_COORDINATOR, NORMAL_WORKER


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


NORMAL_INSTANCES = "on-call/normal-max-instances"  # annotations that remember what normal was
NORMAL_CONCURRENCY = "on-call/normal-concurrency"


def read_widths(cloud: Cloud) -> Widths:
    """Worker and coordinator as Cloud Run has them now; raises OnCallError when it does not answer."""
    settings = cloud.settings
    with reading_from("Cloud Run"):
        found = tuple(_service(cloud, name) for name in (settings.worker_service, settings.coordinator_service))
    return Widths(found, (Source("Cloud Run services.get and revisions.get", cloud.now()),))


def _service(cloud: Cloud, name: str) -> ServiceWidth:
    limit_s = cloud.settings.query_timeout_s
    service = cloud.run.get_service(name=cloud.service_name(name), timeout=limit_s)
    revision = cloud.revisions.get_revision(name=service.latest_ready_revision, timeout=limit_s)
    worker = name == cloud.settings.worker_service
    instances = revision.scaling.max_instance_count or None
    limit = service.scaling.max_instance_count or None
    concurrency = revision.max_instance_request_concurrency
    actual = (min((m for m in (limit, instances) if m), default=None), concurrency)
    width = judge_width(actual, normal(service.annotations, worker), worker)
    return ServiceWidth(
        service=name,
        max_instances_service=limit,
        max_instances_revision=instances,
        request_concurrency=concurrency,
        revision=service.latest_ready_revision.rsplit("/", 1)[-1],
        revision_since=_instant(revision.create_time),
        changed_by=service.last_modifier,
        etag=service.etag,
        width=width,
        health=judge_health(actual, width, worker),
        writes_predictions=worker,
    )


def normal(annotations: Any, worker: bool) -> tuple[int, int]:
    """Normal instances × concurrency: what is noted on the service itself, else what the platform is deployed with."""
    instances, concurrency = NORMAL_WORKER if worker else NORMAL_COORDINATOR
    noted = annotations.get(NORMAL_INSTANCES, ""), annotations.get(NORMAL_CONCURRENCY, "")
    return (int(noted[0]) if noted[0].isdigit() else instances, int(noted[1]) if noted[1].isdigit() else concurrency)


def judge_width(actual: tuple[int | None, int], normal_width: tuple[int, int], worker: bool) -> Width:
    if actual == normal_width:
        return Width.NORMAL
    return Width.EMERGENCY if worker and actual == EMERGENCY else Width.DRIFTED


def judge_health(actual: tuple[int | None, int], width: Width, worker: bool) -> Health:
    """Emergency is safe and yet a state to leave; a drifted width is a warning; a worker without a maximum is critical."""
    if worker and actual[0] is None:
        return Health.CRITICAL
    return Health.OK if width is Width.NORMAL else Health.WARNING


def _instant(at: Any) -> datetime | None:
    return datetime.fromtimestamp(at.timestamp(), UTC) if at else None
