"""The capacity of the Cloud Run services, instances × concurrency: read with its annotations and judged against normal.

Cloud Run has two maxima of instances. The service's applies at once; the revision's, and the requests per instance, need
a new revision that takes over a little later. The normal values are annotated on the service, so a restore finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from google.cloud import run_v2

from services.core.clock import ET
from services.core.result import DataSource, Health
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.policy.concurrency_config import WorkerConcurrencyConfig
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_COORDINATOR_CAPACITY
from services.scaling.annotations import NOT_SET, CapacityAnnotations, CapacitySetting, parse_annotations

MIN_INSTANCES, MAX_INSTANCES = 1, 100
MIN_CONCURRENCY, MAX_CONCURRENCY = 1, 80
MAX_CAPACITY = 300  # BigQuery takes 300 calls at once from one identity; each busy worker holds one


class CapacityState(StrEnum):
    """How a service's capacity compares with its known settings."""

    EMERGENCY = "emergency"
    NORMAL = "normal"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class ServiceCapacity:
    """One Cloud Run service as its serving revision has it."""

    service: str
    actual: CapacitySetting
    revision: str
    revision_since: datetime | None
    changed_by: str
    etag: str
    state: CapacityState
    health: Health
    writes_predictions: bool  # the worker: its product counts against the DML limit

    @property
    def max_instances(self) -> int | None:
        """The smaller of the two maxima; None when neither is set."""
        return self.actual.instances

    @property
    def concurrency(self) -> int:
        """Requests that one instance takes at once."""
        return self.actual.concurrency

    @property
    def capacity(self) -> int | None:
        """Requests at once: instances × concurrency; None without a maximum."""
        return self.actual.capacity


@dataclass(frozen=True)
class ServiceCapacities:
    """The worker and the coordinator, in this order."""

    services: tuple[ServiceCapacity, ...]
    sources: tuple[DataSource, ...]


@dataclass(frozen=True)
class WorkerCapacity:
    """The worker as it is set in Cloud Run, beside its annotations and what the configuration says."""

    service: str
    actual: CapacitySetting
    annotations: CapacityAnnotations
    configured: tuple[int, int]  # instances × concurrency
    etag: str
    revision: str
    rolling_out: bool

    @property
    def drift(self) -> str:
        """A sentence when the capacity is no longer what an action set it to, else empty."""
        expected = self.annotations.set_to
        if expected is None or expected == self.actual:
            return ""
        return (
            f"{self.annotations.set_by or 'Somebody'} set {self.service} to {expected}, but it is {self.actual}:"
            f" a later deploy or command (revision {self.revision}) has changed it."
        )


def read_service_capacities(clients: Clients) -> ServiceCapacities:
    """Worker and coordinator as Cloud Run has them now; raises OnCallError when it does not answer."""
    settings = clients.settings
    services = tuple(
        _read_service_capacity(clients, name) for name in (settings.worker_service, settings.coordinator_service)
    )
    return ServiceCapacities(services, (DataSource("Cloud Run services.get and revisions.get", clients.now()),))


def read_worker_capacity(clients: Clients) -> WorkerCapacity:
    """The worker's capacity from Cloud Run now; raises OnCallError when Cloud Run does not answer."""
    return to_worker_capacity(clients, get_service(clients, clients.settings.worker_service))


def get_service(clients: Clients, name: str) -> run_v2.Service:
    """One Cloud Run service by its short name; raises OnCallError when Cloud Run does not answer."""
    with translate_errors("Cloud Run"):
        return clients.run.get_service(name=clients.service_name(name), timeout=clients.settings.query_timeout_s)


def to_worker_capacity(clients: Clients, service: run_v2.Service) -> WorkerCapacity:
    """The worker's capacity from what Cloud Run answered, without asking it again."""
    settled = service.latest_ready_revision == service.latest_created_revision
    settled = settled and service.observed_generation == service.generation and not service.reconciling
    return WorkerCapacity(
        service=clients.settings.worker_service,
        actual=_to_setting(service, service.template),
        annotations=parse_annotations(service.annotations),
        configured=_configured_capacity(is_worker=True),
        etag=service.etag,
        revision=_revision_name(service),
        rolling_out=not settled,
    )


def _read_service_capacity(clients: Clients, name: str) -> ServiceCapacity:
    service = get_service(clients, name)
    with translate_errors("Cloud Run"):
        revision = clients.revisions.get_revision(
            name=service.latest_ready_revision, timeout=clients.settings.query_timeout_s
        )
    is_worker = name == clients.settings.worker_service
    actual = _to_setting(service, revision)
    normal = normal_capacity(parse_annotations(service.annotations), is_worker)
    state = classify_capacity((actual.instances, actual.concurrency), normal, is_worker)
    return ServiceCapacity(
        service=name,
        actual=actual,
        revision=_revision_name(service),
        revision_since=_to_datetime(revision.create_time),
        changed_by=service.last_modifier,
        etag=service.etag,
        state=state,
        health=classify_health(actual.instances, state, is_worker),
        writes_predictions=is_worker,
    )


def _to_setting(service: run_v2.Service, revision: run_v2.Revision | run_v2.RevisionTemplate) -> CapacitySetting:
    """The three numbers; Cloud Run writes a maximum that is not set as 0, and leaves its own default concurrency out."""
    return CapacitySetting(
        service.scaling.max_instance_count or None,
        revision.scaling.max_instance_count or None,
        revision.max_instance_request_concurrency or MAX_CONCURRENCY,
    )


def _revision_name(service: run_v2.Service) -> str:
    return str(service.latest_ready_revision).rsplit("/", 1)[-1]


def _to_datetime(at: datetime | None) -> datetime | None:
    """Cloud Run's own kind of time as a plain one in UTC."""
    return datetime.fromtimestamp(at.timestamp(), UTC) if at else None


def _configured_capacity(is_worker: bool) -> tuple[int, int]:
    """Instances × concurrency that the configuration says a service is deployed with."""
    if not is_worker:
        return NORMAL_COORDINATOR_CAPACITY
    config = WorkerConcurrencyConfig.from_env()
    return config.max_instances, config.concurrency


def normal_capacity(annotations: CapacityAnnotations, is_worker: bool) -> tuple[int | None, int]:
    """Normal instances × concurrency: what the service records of itself, else what the configuration says."""
    recorded = annotations.recorded_normal
    return (recorded.instances, recorded.concurrency) if recorded else _configured_capacity(is_worker)


def classify_capacity(actual: tuple[int | None, int], normal: tuple[int | None, int], is_worker: bool) -> CapacityState:
    """How instances × concurrency compare with the normal ones. Pure."""
    if actual == normal:
        return CapacityState.NORMAL
    return CapacityState.EMERGENCY if is_worker and actual == EMERGENCY_CAPACITY else CapacityState.DRIFTED


def classify_health(instances: int | None, state: CapacityState, is_worker: bool) -> Health:
    """Emergency is safe but has to end; a drifted capacity is a warning; a worker without a maximum is critical."""
    if is_worker and instances is None:
        return Health.CRITICAL
    return Health.OK if state is CapacityState.NORMAL else Health.WARNING


def target_setting(worker: WorkerCapacity, instances: int, concurrency: int) -> CapacitySetting:
    """The numbers that give a capacity; the revision's maximum stays wherever the service's can do it at once."""
    current = worker.actual
    revision_max_suffices = current.max_revision is None or current.max_revision >= instances
    return CapacitySetting(instances, current.max_revision if revision_max_suffices else instances, concurrency)


def normal_setting(worker: WorkerCapacity) -> CapacitySetting:
    """The normal numbers: annotated before a change; else the present ones; for an emergency recorded or configured ones."""
    if worker.annotations.normal is not None:
        return worker.annotations.normal
    if (worker.actual.instances, worker.actual.concurrency) != EMERGENCY_CAPACITY:
        return worker.actual
    instances, concurrency = worker.configured
    return worker.annotations.restored_to or CapacitySetting(None, instances, concurrency)


def to_display(setting: CapacitySetting) -> dict[str, int | str]:
    """The numbers under the names that the record and the screen use."""
    return {
        "service maximum": NOT_SET if setting.max_service is None else setting.max_service,
        "revision maximum": NOT_SET if setting.max_revision is None else setting.max_revision,
        "requests per instance": setting.concurrency,
    }


def format_time(at: datetime) -> str:
    """A moment in US Eastern time, for a sentence."""
    return f"{at.astimezone(ET):%H:%M} ET"
