"""The worker's width: what Cloud Run has, what is noted on the service, what it would mean, and the one call that changes it.

Cloud Run has two maxima. The service's applies at once; the revision's, and the requests per instance, need a new revision
that takes over a little later. The normal values are noted on the service itself, so whoever restores finds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from google.cloud import run_v2

from services.core.clock import ET
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.policy.concurrency_config import EMERGENCY_CONCURRENCY, EMERGENCY_INSTANCES, WorkerConcurrencyConfig
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.annotations import (
    ALL_ANNOTATIONS,
    ANNOTATION_NORMAL_CONCURRENCY,
    ANNOTATION_NORMAL_MAX_INSTANCES,
    ANNOTATION_NORMAL_REVISION_MAX_INSTANCES,
    ANNOTATION_REVERT_AT,
    ANNOTATION_SET_BY,
    ANNOTATION_SET_TO,
    NOT_SET,
    CapacityAnnotations,
    CapacitySetting,
    format_maximum,
    parse_normal_setting,
    parse_revert_annotation,
    parse_setting,
)

EMERGENCY_CAPACITY = (
    EMERGENCY_INSTANCES,
    EMERGENCY_CONCURRENCY,
)  # 12 writes at once, below what the predictions table admits
MIN_INSTANCES, MAX_INSTANCES = 1, 100
MIN_CONCURRENCY, MAX_CONCURRENCY = 1, 80
MAX_CAPACITY = 300  # BigQuery takes 300 calls at once from one identity; each busy worker holds one


@dataclass(frozen=True)
class WorkerCapacity:
    """The worker as Cloud Run has it, beside what is noted on it and what the configuration says."""

    service: str
    actual: CapacitySetting
    annotations: CapacityAnnotations
    configured: tuple[int, int]
    etag: str
    revision: str
    rolling_out: bool

    @property
    def drift(self) -> str:
        """In a sentence, that the width is no longer what somebody set it to; empty when it is."""
        expected = self.annotations.set_to
        if expected is None or expected == self.actual:
            return ""
        return (
            f"{self.annotations.set_by or 'Somebody'} set {self.service} to {expected}, but it is {self.actual}:"
            f" a later deploy or command (revision {self.revision}) has changed it."
        )


@dataclass(frozen=True)
class ContentionEstimate:
    """Worst case if every slot of a width writes at the same moment."""

    capacity: int
    direct_outstanding: int
    direct_rejected: int
    staged_outstanding: int

    @property
    def summary(self) -> str:
        rejected_text = (
            f"{self.direct_rejected} of {self.capacity} would be rejected"
            if self.direct_rejected
            else "none is rejected"
        )
        return (
            f"{self.capacity} writes at once against {MAX_OUTSTANDING_DML} admitted: with direct MERGEs {rejected_text};"
            f" with staging there is {self.staged_outstanding} MERGE a batch at any width."
        )


def simulate_contention(instances: int, concurrency: int) -> ContentionEstimate:
    """What a width would mean for the predictions table. Pure."""
    capacity = instances * concurrency
    return ContentionEstimate(capacity, min(capacity, MAX_OUTSTANDING_DML), max(0, capacity - MAX_OUTSTANDING_DML), 1)


def read_worker_capacity(clients: Clients) -> WorkerCapacity:
    """The worker's width from Cloud Run, asked now; raises OnCallError when Cloud Run does not answer."""
    return to_worker_capacity(clients, get_service(clients))


def get_service(clients: Clients) -> run_v2.Service:
    with translate_errors("Cloud Run"):
        return clients.run.get_service(name=clients.service_name(clients.settings.worker_service), timeout=20)


def to_worker_capacity(clients: Clients, service: run_v2.Service) -> WorkerCapacity:
    annotations = dict(service.annotations)
    configured = WorkerConcurrencyConfig.from_env()
    settled = service.latest_ready_revision == service.latest_created_revision
    settled = settled and service.observed_generation == service.generation and not service.reconciling
    return WorkerCapacity(
        service=clients.settings.worker_service,
        actual=CapacitySetting(
            service.scaling.max_instance_count or None,
            service.template.scaling.max_instance_count or None,
            service.template.max_instance_request_concurrency or MAX_CONCURRENCY,
        ),
        annotations=CapacityAnnotations(
            parse_normal_setting(annotations),
            parse_setting(annotations.get(ANNOTATION_SET_TO, "")),
            annotations.get(ANNOTATION_SET_BY, ""),
            parse_revert_annotation(annotations),
        ),
        configured=(configured.max_instances, configured.concurrency),
        etag=service.etag,
        revision=service.latest_ready_revision.rsplit("/", 1)[-1],
        rolling_out=not settled,
    )


def target_setting(worker: WorkerCapacity, instances: int, concurrency: int) -> CapacitySetting:
    """The numbers that give a width, leaving the revision's maximum alone wherever the service's can do it at once."""
    current = worker.actual
    revision_max_suffices = current.max_revision is None or current.max_revision >= instances
    return CapacitySetting(instances, current.max_revision if revision_max_suffices else instances, concurrency)


def normal_setting(worker: WorkerCapacity) -> CapacitySetting:
    """The normal numbers: those noted on the service; else those it has, or the configured ones if it has the emergency's."""
    if worker.annotations.normal is not None:
        return worker.annotations.normal
    if (worker.actual.instances, worker.actual.requests) != EMERGENCY_CAPACITY:
        return worker.actual
    instances, concurrency = worker.configured
    return CapacitySetting(None, instances, concurrency)


def annotations_for(worker: WorkerCapacity, target: CapacitySetting, set_by: str, revert_at: str) -> dict[str, str]:
    """The notes beside a changed width. Normal values noted before are kept: a second narrowing must not lose them."""
    normal = normal_setting(worker)
    annotations = {
        ANNOTATION_NORMAL_MAX_INSTANCES: format_maximum(normal.max_service),
        ANNOTATION_NORMAL_REVISION_MAX_INSTANCES: format_maximum(normal.max_revision),
        ANNOTATION_NORMAL_CONCURRENCY: str(normal.requests),
        ANNOTATION_SET_TO: f"{format_maximum(target.max_service)}/{format_maximum(target.max_revision)}/{target.requests}",
        ANNOTATION_SET_BY: set_by,
    }
    return annotations | ({ANNOTATION_REVERT_AT: revert_at} if revert_at else {})


def update_service(
    clients: Clients, worker: WorkerCapacity, etag: str, target: CapacitySetting, annotations: Mapping[str, str]
) -> run_v2.Service:
    """Change the service in one call that Cloud Run refuses when its etag has moved on."""
    service = get_service(clients)
    other_annotations = {name: text for name, text in service.annotations.items() if name not in ALL_ANNOTATIONS}
    service.annotations = {**other_annotations, **annotations}
    service.etag = etag
    service.scaling.max_instance_count = target.max_service or 0
    mask_paths = ["annotations", "scaling.max_instance_count"]
    if (target.max_revision, target.requests) != (worker.actual.max_revision, worker.actual.requests):
        service.template.scaling.max_instance_count = target.max_revision or 0
        service.template.max_instance_request_concurrency = target.requests
        service.template.revision = ""  # a name from the last deploy would name two revisions
        mask_paths += [
            "template.scaling.max_instance_count",
            "template.max_instance_request_concurrency",
            "template.revision",
        ]
    with translate_errors("Cloud Run"):
        request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask_paths})
        return clients.run.update_service(request=request, timeout=60).result(timeout=120)


def to_display(setting: CapacitySetting) -> dict[str, Any]:
    """The numbers under the names that the record and the screen use."""
    labels = {"max_service": "service maximum", "max_revision": "revision maximum", "requests": "requests per instance"}
    return {labels[key]: NOT_SET if value is None else value for key, value in asdict(setting).items()}


def format_time(at: datetime) -> str:
    return f"{at.astimezone(ET):%H:%M} ET"
