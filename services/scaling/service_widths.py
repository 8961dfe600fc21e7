"""Concurrency: how wide the workers are now, against what the predictions table admits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.core.result import DataSource, Health
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_COORDINATOR_CAPACITY, NORMAL_WORKER_CAPACITY


class CapacityState(StrEnum):
    """How a service stands against its known widths."""

    EMERGENCY = "emergency"
    NORMAL = "normal"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class ServiceCapacity:
    """One Cloud Run service. The smaller of the two maxima counts; None means no maximum is set at that level."""

    service: str
    max_instances_service: int | None
    max_instances_revision: int | None
    request_concurrency: int
    revision: str
    revision_since: datetime | None
    changed_by: str
    etag: str
    state: CapacityState
    health: Health
    writes_predictions: bool  # the worker: its product counts against the DML limit

    @property
    def max_instances(self) -> int | None:
        maxima = [m for m in (self.max_instances_service, self.max_instances_revision) if m]
        return min(maxima, default=None)

    @property
    def capacity(self) -> int | None:
        return self.max_instances * self.request_concurrency if self.max_instances else None


@dataclass(frozen=True)
class ServiceCapacities:
    services: tuple[ServiceCapacity, ...]
    sources: tuple[DataSource, ...]


ANNOTATION_NORMAL_MAX_INSTANCES = "on-call/normal-max-instances"  # annotations that remember what normal was
ANNOTATION_NORMAL_CONCURRENCY = "on-call/normal-concurrency"


def read_service_capacities(clients: Clients) -> ServiceCapacities:
    """Worker and coordinator as Cloud Run has them now; raises OnCallError when it does not answer."""
    settings = clients.settings
    with translate_errors("Cloud Run"):
        services = tuple(
            _read_service(clients, name) for name in (settings.worker_service, settings.coordinator_service)
        )
    return ServiceCapacities(services, (DataSource("Cloud Run services.get and revisions.get", clients.now()),))


def _read_service(clients: Clients, name: str) -> ServiceCapacity:
    timeout_s = clients.settings.query_timeout_s
    service = clients.run.get_service(name=clients.service_name(name), timeout=timeout_s)
    revision = clients.revisions.get_revision(name=service.latest_ready_revision, timeout=timeout_s)
    is_worker = name == clients.settings.worker_service
    revision_max = revision.scaling.max_instance_count or None
    service_max = service.scaling.max_instance_count or None
    concurrency = revision.max_instance_request_concurrency
    actual = (min((m for m in (service_max, revision_max) if m), default=None), concurrency)
    state = classify_capacity(actual, normal_capacity(service.annotations, is_worker), is_worker)
    return ServiceCapacity(
        service=name,
        max_instances_service=service_max,
        max_instances_revision=revision_max,
        request_concurrency=concurrency,
        revision=service.latest_ready_revision.rsplit("/", 1)[-1],
        revision_since=_to_datetime(revision.create_time),
        changed_by=service.last_modifier,
        etag=service.etag,
        state=state,
        health=classify_health(actual, state, is_worker),
        writes_predictions=is_worker,
    )


def normal_capacity(annotations: Any, is_worker: bool) -> tuple[int, int]:
    """Normal instances × concurrency: what is noted on the service itself, else what the platform is deployed with."""
    instances, concurrency = NORMAL_WORKER_CAPACITY if is_worker else NORMAL_COORDINATOR_CAPACITY
    annotated = annotations.get(ANNOTATION_NORMAL_MAX_INSTANCES, ""), annotations.get(ANNOTATION_NORMAL_CONCURRENCY, "")
    return (
        int(annotated[0]) if annotated[0].isdigit() else instances,
        int(annotated[1]) if annotated[1].isdigit() else concurrency,
    )


def classify_capacity(actual: tuple[int | None, int], normal_limits: tuple[int, int], is_worker: bool) -> CapacityState:
    if actual == normal_limits:
        return CapacityState.NORMAL
    return CapacityState.EMERGENCY if is_worker and actual == EMERGENCY_CAPACITY else CapacityState.DRIFTED


def classify_health(actual: tuple[int | None, int], state: CapacityState, is_worker: bool) -> Health:
    """Emergency is safe and yet a state to leave; a drifted width is a warning; a worker without a maximum is critical."""
    if is_worker and actual[0] is None:
        return Health.CRITICAL
    return Health.OK if state is CapacityState.NORMAL else Health.WARNING


def _to_datetime(at: Any) -> datetime | None:
    return datetime.fromtimestamp(at.timestamp(), UTC) if at else None
