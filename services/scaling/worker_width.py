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
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.policy.concurrency_config import EMERGENCY_CONCURRENCY, EMERGENCY_INSTANCES, WorkerConcurrencyConfig
from services.policy.dml_limits import ADMITTED
from services.scaling.annotations import (
    _NOT_SET,
    _NOTES,
    NORMAL_MAX,
    NORMAL_REQUESTS,
    NORMAL_REVISION_MAX,
    REVERT_AT,
    SET_BY,
    SET_TO,
    Noted,
    Setting,
    _instant,
    _normal,
    _number,
    _setting,
)

EMERGENCY = (EMERGENCY_INSTANCES, EMERGENCY_CONCURRENCY)  # 12 writes at once, below what the predictions table admits
FLOOR_INSTANCES, CAP_INSTANCES = 1, 100
FLOOR_REQUESTS, CAP_REQUESTS = 1, 80
CAP_PRODUCT = 300  # BigQuery takes 300 calls at once from one identity; each busy worker holds one


@dataclass(frozen=True)
class WorkerWidth:
    """The worker as Cloud Run has it, beside what is noted on it and what the configuration says."""

    service: str
    actual: Setting
    noted: Noted
    configured: tuple[int, int]
    etag: str
    revision: str
    rolling_out: bool

    @property
    def drift(self) -> str:
        """In a sentence, that the width is no longer what somebody set it to; empty when it is."""
        wanted = self.noted.set_to
        if wanted is None or wanted == self.actual:
            return ""
        return (
            f"{self.noted.set_by or 'Somebody'} set {self.service} to {wanted}, but it is {self.actual}:"
            f" a later deploy or command (revision {self.revision}) has changed it."
        )


@dataclass(frozen=True)
class WhatIf:
    """Worst case if every slot of a width writes at the same moment."""

    product: int
    direct_outstanding: int
    direct_rejected: int
    staged_outstanding: int

    @property
    def sentence(self) -> str:
        lost = (
            f"{self.direct_rejected} of {self.product} would be rejected"
            if self.direct_rejected
            else "none is rejected"
        )
        return (
            f"{self.product} writes at once against {ADMITTED} admitted: with direct MERGEs {lost};"
            f" with staging there is {self.staged_outstanding} MERGE a batch at any width."
        )


def what_if(instances: int, requests: int) -> WhatIf:
    """What a width would mean for the predictions table. Pure."""
    product = instances * requests
    return WhatIf(product, min(product, ADMITTED), max(0, product - ADMITTED), 1)


def read_worker(cloud: Cloud) -> WorkerWidth:
    """The worker's width from Cloud Run, asked now; raises OnCallError when Cloud Run does not answer."""
    return width_of(cloud, get_service(cloud))


def get_service(cloud: Cloud) -> run_v2.Service:
    with reading_from("Cloud Run"):
        return cloud.run.get_service(name=cloud.service_name(cloud.settings.worker_service), timeout=20)


def width_of(cloud: Cloud, service: run_v2.Service) -> WorkerWidth:
    notes = dict(service.annotations)
    configured = WorkerConcurrencyConfig.from_env()
    settled = service.latest_ready_revision == service.latest_created_revision
    settled = settled and service.observed_generation == service.generation and not service.reconciling
    return WorkerWidth(
        service=cloud.settings.worker_service,
        actual=Setting(
            service.scaling.max_instance_count or None,
            service.template.scaling.max_instance_count or None,
            service.template.max_instance_request_concurrency or CAP_REQUESTS,
        ),
        noted=Noted(_normal(notes), _setting(notes.get(SET_TO, "")), notes.get(SET_BY, ""), _instant(notes)),
        configured=(configured.max_instances, configured.concurrency),
        etag=service.etag,
        revision=service.latest_ready_revision.rsplit("/", 1)[-1],
        rolling_out=not settled,
    )


def narrowed(width: WorkerWidth, instances: int, requests: int) -> Setting:
    """The numbers that give a width, leaving the revision's maximum alone wherever the service's can do it at once."""
    now = width.actual
    enough = now.max_revision is None or now.max_revision >= instances
    return Setting(instances, now.max_revision if enough else instances, requests)


def restored(width: WorkerWidth) -> Setting:
    """The normal numbers: those noted on the service; else those it has, or the configured ones if it has the emergency's."""
    if width.noted.normal is not None:
        return width.noted.normal
    if (width.actual.instances, width.actual.requests) != EMERGENCY:
        return width.actual
    instances, requests = width.configured
    return Setting(None, instances, requests)


def notes_for(width: WorkerWidth, wanted: Setting, by: str, revert_at: str) -> dict[str, str]:
    """The notes beside a changed width. Normal values noted before are kept: a second narrowing must not lose them."""
    normal = restored(width)
    notes = {
        NORMAL_MAX: _number(normal.max_service),
        NORMAL_REVISION_MAX: _number(normal.max_revision),
        NORMAL_REQUESTS: str(normal.requests),
        SET_TO: f"{_number(wanted.max_service)}/{_number(wanted.max_revision)}/{wanted.requests}",
        SET_BY: by,
    }
    return notes | ({REVERT_AT: revert_at} if revert_at else {})


def patch(cloud: Cloud, width: WorkerWidth, etag: str, wanted: Setting, notes: Mapping[str, str]) -> run_v2.Service:
    """Change the service in one call that Cloud Run refuses when its etag has moved on."""
    service = get_service(cloud)
    kept = {name: text for name, text in service.annotations.items() if name not in _NOTES}
    service.annotations = {**kept, **notes}
    service.etag = etag
    service.scaling.max_instance_count = wanted.max_service or 0
    masks = ["annotations", "scaling.max_instance_count"]
    if (wanted.max_revision, wanted.requests) != (width.actual.max_revision, width.actual.requests):
        service.template.scaling.max_instance_count = wanted.max_revision or 0
        service.template.max_instance_request_concurrency = wanted.requests
        service.template.revision = ""  # a name from the last deploy would name two revisions
        masks += [
            "template.scaling.max_instance_count",
            "template.max_instance_request_concurrency",
            "template.revision",
        ]
    with reading_from("Cloud Run"):
        request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": masks})
        return cloud.run.update_service(request=request, timeout=60).result(timeout=120)


def as_facts(setting: Setting) -> dict[str, Any]:
    """The numbers under the names that the record and the screen use."""
    names = {"max_service": "service maximum", "max_revision": "revision maximum", "requests": "requests per instance"}
    return {names[key]: _NOT_SET if value is None else value for key, value in asdict(setting).items()}


def told_time(at: datetime) -> str:
    return f"{at.astimezone(ET):%H:%M} ET"
