"""The capacity of the Cloud Run services, instances × concurrency: read with its annotations and compared with normal.

Cloud Run has two maxima of instances. The service's applies immediately; the revision's, and the requests per instance, need
a new revision that takes over a little later. The normal values are annotated on the service, so a restore finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

from google.cloud import run_v2

from services.core.clock import format_eastern
from services.core.errors import SourceUnavailable
from services.core.result import DataSource, Health
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.error_messages import translate_errors
from services.gcp.retry import read_options
from services.policy.concurrency_config import WorkerConcurrencyConfig
from services.policy.dml_limits import NORMAL_COORDINATOR_CAPACITY, is_emergency_capacity
from services.scaling.annotations import (
    DEFAULT_MAX_INSTANCES,
    NOT_SET,
    CapacityAnnotations,
    CapacitySetting,
    parse_annotations,
)
from services.scaling.traffic import Traffic, read_traffic

MIN_INSTANCES, MAX_INSTANCES = 1, 100
MIN_CONCURRENCY, MAX_CONCURRENCY = 1, 80
MAX_CAPACITY = 300  # BigQuery takes 300 concurrent calls from one identity; each busy worker makes one


class CapacityState(StrEnum):
    """How a service's capacity compares with its known settings."""

    EMERGENCY = "emergency"
    NORMAL = "normal"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class ServiceCapacity:
    """One Cloud Run service as its serving revisions have it; `revision` names them, with shares when they are several."""

    service: str
    actual: CapacitySetting
    revision: str
    revision_since: datetime | None
    changed_by: str
    etag: str
    state: CapacityState
    health: Health
    writes_predictions: bool  # the worker: its product counts against the DML limit
    follows_latest: bool = True  # False: traffic is pinned or split, and a new revision would not serve

    @property
    def max_instances(self) -> int | None:
        """The smaller of the two maxima; None when neither is set."""
        return self.actual.instances

    @property
    def concurrency(self) -> int:
        """Concurrent requests that one instance takes."""
        return self.actual.concurrency

    @property
    def capacity(self) -> int | None:
        """Concurrent requests: instances × concurrency; None without a maximum."""
        return self.actual.capacity


@dataclass(frozen=True)
class ServiceCapacities:
    """The worker and the coordinator, in this order."""

    services: tuple[ServiceCapacity, ...]
    sources: tuple[DataSource, ...]


@dataclass(frozen=True)
class WorkerCapacity:
    """The worker as its serving revisions have it, beside its annotations and the configured capacity."""

    service: str
    actual: CapacitySetting
    annotations: CapacityAnnotations
    configured: tuple[int, int]  # instances × concurrency
    etag: str
    traffic: Traffic
    rolling_out: bool
    min_service: int = 0  # instances that are kept ready, by the service and by its revision template
    min_revision: int = 0
    rollout_problem: str = ""  # why the newest revision does not serve, in Cloud Run's words

    @property
    def revision(self) -> str:
        """The short name of the revision that serves; of a split, all of them with their shares."""
        return str(self.traffic)

    @property
    def drift(self) -> str:
        """A message when the capacity is no longer what somebody set it to; empty when it is."""
        expected = self.annotations.set_to
        if expected is None or expected == self.actual:
            return ""
        by = f" by {self.annotations.set_by}" if self.annotations.set_by else ""
        return f"Drift: last set to {expected}{by}, now {self.actual} (changed by revision {self.revision})."


def read_service_capacities(clients: Clients) -> ServiceCapacities:
    """Worker and coordinator as Cloud Run has them now; raises OnCallError when it does not answer."""
    settings = clients.settings
    with concurrent_reads() as pool:
        names = (settings.worker_service, settings.coordinator_service)
        services = tuple(pool.map(partial(_read_service_capacity, clients), names))
    return ServiceCapacities(services, (DataSource("Cloud Run services.get and revisions.get", clients.now()),))


def read_worker_capacity(clients: Clients) -> WorkerCapacity:
    """The worker's capacity from Cloud Run now; raises OnCallError when Cloud Run does not answer."""
    return to_worker_capacity(clients, get_service(clients, clients.settings.worker_service))


def get_service(clients: Clients, name: str) -> run_v2.Service:
    """One Cloud Run service by its short name; raises OnCallError when Cloud Run does not answer."""
    with translate_errors("Cloud Run"):
        options = read_options(clients.settings.query_timeout_s)
        service = clients.run.get_service(name=clients.service_name(name), **options)
    if not service.name:
        raise SourceUnavailable("Unexpected response from Cloud Run: not a service.", "Retry in a minute.")
    return service


def to_worker_capacity(clients: Clients, service: run_v2.Service) -> WorkerCapacity:
    """The worker's capacity from what Cloud Run answered; asks for revisions only where the template is not what serves."""
    traffic, settled = read_traffic(service), is_settled(service, service.generation)
    failed = service.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    template_serves = settled and not failed and traffic.follows_latest
    revisions = [service.template] if template_serves else get_revisions(clients, service, traffic)
    return WorkerCapacity(
        service=clients.settings.worker_service,
        actual=to_setting(service, revisions),
        annotations=parse_annotations(service.annotations),
        configured=_configured_capacity(is_worker=True),
        etag=service.etag,
        traffic=traffic,
        rolling_out=not settled,
        min_service=service.scaling.min_instance_count,
        min_revision=service.template.scaling.min_instance_count,
        rollout_problem=service.terminal_condition.message if failed else "",
    )


def is_settled(service: run_v2.Service, generation: int) -> bool:
    """Whether Cloud Run has carried out a generation of a service, or failed to: its operation is done."""
    return service.observed_generation >= generation and not service.reconciling


def _read_service_capacity(clients: Clients, name: str) -> ServiceCapacity:
    service = get_service(clients, name)
    traffic = read_traffic(service)
    revisions = get_revisions(clients, service, traffic)
    is_worker = name == clients.settings.worker_service
    actual = to_setting(service, revisions)
    normal = normal_capacity(parse_annotations(service.annotations), is_worker)
    state = classify_capacity((actual.instances, actual.concurrency), normal, is_worker)
    return ServiceCapacity(
        service=name,
        actual=actual,
        revision=str(traffic),
        revision_since=max(filter(None, (_to_datetime(revision.create_time) for revision in revisions)), default=None),
        changed_by=service.last_modifier,
        etag=service.etag,
        state=state,
        health=classify_health(actual, state, is_worker),
        writes_predictions=is_worker,
        follows_latest=traffic.follows_latest,
    )


def get_revisions(clients: Clients, service: run_v2.Service, traffic: Traffic) -> list[run_v2.Revision]:
    """The revisions of a traffic; raises OnCallError, TableNotFound for one that is deleted."""
    with translate_errors("Cloud Run"):
        return [
            clients.revisions.get_revision(
                name=f"{service.name}/revisions/{revision}", **read_options(clients.settings.query_timeout_s)
            )
            for revision in traffic.revisions
        ]


def to_setting(
    service: run_v2.Service, revisions: Sequence[run_v2.Revision | run_v2.RevisionTemplate]
) -> CapacitySetting:
    """The three numbers of the revisions that serve; of a split, the most that they may take together. Pure.

    Cloud Run writes a service maximum that is not set as 0.
    """
    serving = revisions or [service.template]
    return CapacitySetting(
        service.scaling.max_instance_count or None,
        sum(revision.scaling.max_instance_count or DEFAULT_MAX_INSTANCES for revision in serving),
        max(revision.max_instance_request_concurrency or MAX_CONCURRENCY for revision in serving),
    )


def _to_datetime(at: datetime | None) -> datetime | None:
    """Cloud Run's own kind of time as a plain one in UTC."""
    return datetime.fromtimestamp(at.timestamp(), UTC) if at else None


def _configured_capacity(is_worker: bool) -> tuple[int, int]:
    """Instances × concurrency with which a service is deployed, by the configuration."""
    if not is_worker:
        return NORMAL_COORDINATOR_CAPACITY
    config = WorkerConcurrencyConfig.from_env()
    return config.max_instances, config.concurrency


def normal_capacity(annotations: CapacityAnnotations, is_worker: bool) -> tuple[int | None, int]:
    """Normal instances × concurrency: as annotated on the service, else as configured."""
    recorded = annotations.recorded_normal
    return (recorded.instances, recorded.concurrency) if recorded else _configured_capacity(is_worker)


def classify_capacity(actual: tuple[int | None, int], normal: tuple[int | None, int], is_worker: bool) -> CapacityState:
    """How instances × concurrency compare with the normal ones. Pure."""
    if actual == normal:
        return CapacityState.NORMAL
    return CapacityState.EMERGENCY if is_worker and is_emergency_capacity(*actual) else CapacityState.DRIFTED


def classify_health(actual: CapacitySetting, state: CapacityState, is_worker: bool) -> Health:
    """Emergency is safe but has to end; a drifted capacity is a warning; a worker without a maximum is critical."""
    if is_worker and not actual.has_own_maximum:
        return Health.CRITICAL
    return Health.OK if state is CapacityState.NORMAL else Health.WARNING


def target_setting(worker: WorkerCapacity, instances: int, concurrency: int) -> CapacitySetting:
    """The numbers that give a capacity; the revision's maximum stays where the service's suffices, which applies immediately."""
    current = worker.actual
    revision_max_suffices = current.max_revision is None or current.max_revision >= instances
    return CapacitySetting(instances, current.max_revision if revision_max_suffices else instances, concurrency)


def needs_new_revision(current: CapacitySetting, target: CapacitySetting) -> bool:
    """Whether a change creates a revision: only the service's maximum changes without one. Pure."""
    return (current.max_revision, current.concurrency) != (target.max_revision, target.concurrency)


def normal_setting(worker: WorkerCapacity) -> CapacitySetting:
    """The normal numbers: annotated before a change; else the present ones; for an emergency recorded or configured ones."""
    if worker.annotations.normal is not None:
        return worker.annotations.normal
    if not is_emergency_capacity(worker.actual.instances, worker.actual.concurrency):
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
    return format_eastern(at)
