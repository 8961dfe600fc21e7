"""Stand-in for Cloud Run Admin v2: services, revisions, traffic, and operations that take their time."""

from __future__ import annotations

import asyncio
import copy
import random
import re
import string
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.core.clock import Clock, to_rfc3339
from services.sandbox.stand_ins import request_routing as routing
from services.sandbox.stand_ins.request_messages import RequestRefused
from services.sandbox.stand_ins.request_routing import RequestSlots
from services.sandbox.stand_ins.run_resources import (
    LATEST,
    SERVICE_TYPE,
    Resource,
    apply_update,
    condition,
    differs_from_template,
    new_revision,
    parse_service,
    to_etag,
    version_of,
    with_template_defaults,
)

FAILED_PRECONDITION, INTERNAL = 9, 13  # google.rpc.Code


@dataclass
class Operation:
    """One accepted change: done at `done_at`, with `revision` ready then, or with an error (google.rpc code, sentence)."""

    name: str
    service: str
    generation: str
    done_at: datetime
    metadata: Resource
    revision: str = ""
    error: tuple[int, str] | None = None
    response: Resource | None = None


class CloudRun:
    """The services of one region.

    A change of the service alone takes `operation_s`, one that makes a revision `rollout_s` (both settable); while
    `rollout_error` is set, new revisions do not become ready and fail with it.
    """

    def __init__(self, clock: Clock, base_url: str, rollout_s: float = 2.0, operation_s: float = 0.5) -> None:
        self._clock, self.base_url, self._rollout_s, self.operation_s = clock, base_url, rollout_s, operation_s
        self.rollout_error = ""
        self.services: dict[str, Resource] = {}
        self.revisions: dict[str, Resource] = {}
        self.operations: dict[str, Operation] = {}
        self.backends: dict[str, str] = {}
        self.slots: dict[str, RequestSlots] = {}
        self._last_version = 0

    def seed(self, services: Sequence[Mapping[str, Any]], revisions: Sequence[Mapping[str, Any]]) -> None:
        self.revisions.update({str(r["name"]): copy.deepcopy(dict(r)) for r in revisions})
        for resource in services:
            service = copy.deepcopy(dict(resource))
            service["uri"] = f"{self.base_url}/run/{service['name'].rsplit('/', 1)[-1]}"
            service["urls"] = [service["uri"]]
            service["template"] = with_template_defaults(service.get("template") or {})
            service.setdefault("generation", "1")
            service.setdefault("createTime", to_rfc3339(self._clock.now()))
            service.setdefault("traffic", [{"type": LATEST, "percent": 100}])
            self.services[service["name"]] = service
            self._mark_ready(service)

    def get(self, name: str) -> Resource | None:
        """A service as it is now; None when there is none of this name."""
        self._finish_operations()
        return self.services.get(name)

    def find(self, project: str, short_name: str) -> Resource | None:
        """A service by its project and short name, as v1 names it; None when there is none."""
        pattern = re.compile(rf"projects/{re.escape(project)}/locations/[^/]+/services/{re.escape(short_name)}")
        return next((self.get(name) for name in self.services if pattern.fullmatch(name)), None)

    def get_operation(self, name: str) -> Resource | None:
        """A long-running operation as operations.get returns it; None when there is none of this name."""
        self._finish_operations()
        operation = self.operations.get(name)
        return None if operation is None else _to_operation_resource(operation)

    def patch(self, name: str, body: Any, update_mask: str, validate_only: bool, modifier: str = "") -> Resource:
        """Change a service as services.patch does, and return the operation, which is not done yet.

        A new template creates a revision that is ready after `rollout_s`. Raises KeyError without the service, RequestRefused.
        """
        current = self.get(name)
        if current is None:
            raise KeyError(name)
        sent = parse_service(body)
        if sent.get("etag") not in (None, current["etag"]):
            text = f"version '{version_of(sent['etag'])}' was specified but current version is '{version_of(current['etag'])}'"
            raise RequestRefused(409, f"Conflict for resource '{name.rsplit('/', 1)[-1]}': {text}.")
        changed = apply_update(current, sent, update_mask)
        revision = self._revision_to_create(current, changed)
        if validate_only:
            operation = Operation(self._operation_name(name), name, current["generation"], self._clock.now(), changed)
            operation.response = changed
            return _to_operation_resource(operation)
        changed["lastModifier"] = modifier or changed.get("lastModifier", "")
        return self._accept(changed, revision)

    def _revision_to_create(self, current: Resource, changed: Resource) -> str:
        """The name of the revision that a change needs, empty when none; raises RequestRefused for a name that is taken."""
        template = changed["template"]
        named = str(template.get("revision") or "")
        if not differs_from_template(template, current["template"]) and named == (
            current["template"].get("revision") or ""
        ):
            return ""
        if not named:
            return self._generate_revision_name(current)
        revision = f"{current['name']}/revisions/{named}"
        if revision not in self.revisions:
            return revision
        if differs_from_template(template, self.revisions[revision]):
            text = f"Revision named '{named}' with different configuration already exists."
            raise RequestRefused(409, text, "ALREADY_EXISTS")
        return ""

    def _generate_revision_name(self, service: Resource) -> str:
        short_name = service["name"].rsplit("/", 1)[-1]
        numbers = [r.rsplit("-", 2)[-2] for r in self.revisions if r.startswith(f"{service['name']}/revisions/")]
        number = max((int(n) for n in numbers if n.isdigit()), default=0) + 1
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=3))
        return f"{service['name']}/revisions/{short_name}-{number:05d}-{suffix}"

    def _accept(self, changed: Resource, revision: str) -> Resource:
        now = self._clock.now()
        at = to_rfc3339(now)
        changed.update({"generation": str(int(changed["generation"]) + 1), "updateTime": at, "reconciling": True})
        changed["terminalCondition"] = condition("Ready", "CONDITION_RECONCILING", at)
        changed["etag"] = self._next_etag()
        error = self._traffic_error(changed, revision)
        if revision:
            self.revisions[revision] = new_revision(revision, changed, at)
            changed["latestCreatedRevision"] = revision
            if self.rollout_error:
                text = f"Revision '{revision.rsplit('/', 1)[-1]}' is not ready and cannot serve traffic. {self.rollout_error}"
                error = (FAILED_PRECONDITION, text)
        self.services[changed["name"]] = changed
        operation = Operation(
            name=self._operation_name(changed["name"]),
            service=changed["name"],
            generation=changed["generation"],
            done_at=now + timedelta(seconds=self._rollout_s if revision else self.operation_s),
            metadata=copy.deepcopy(changed),
            revision=revision,
            error=error,
        )
        self.operations[operation.name] = operation
        return _to_operation_resource(operation)

    def _traffic_error(self, service: Resource, revision: str) -> tuple[int, str] | None:
        """https://github.com/terraform-google-modules/terraform-docs-samples/pull/269"""
        for target in service["traffic"]:
            name = routing.revision_of(service, target)
            if target.get("revision") and name != revision and name not in self.revisions:
                text = f"Revision '{target['revision']}' does not exist or is deleted."
                return INTERNAL, f"{text} Update all traffic to route to currently available revisions."
        return None

    def _finish_operations(self) -> None:
        """Complete every operation whose time has come, in their order."""
        now = self._clock.now()
        for operation in self.operations.values():
            if operation.response is None and operation.done_at <= now:
                self._finish(operation)

    def _finish(self, operation: Operation) -> None:
        service, at = self.services[operation.service], to_rfc3339(self._clock.now())
        revision = self.revisions.get(operation.revision)
        if revision is not None:
            failure = operation.error[1] if operation.error else ""
            revision.pop("reconciling", None)
            state = "CONDITION_FAILED" if failure else "CONDITION_SUCCEEDED"
            revision["conditions"] = [condition("Ready", state, at, failure)]
            if not failure:
                service["latestReadyRevision"] = operation.revision
        is_newest = operation.generation == service["generation"]
        if operation.error is None or revision is not None:
            self._mark_ready(service, settled=is_newest)
        elif is_newest:
            service.update({"observedGeneration": service["generation"], "etag": self._next_etag()})
            service.pop("reconciling", None)
            service["terminalCondition"] = condition("Ready", "CONDITION_FAILED", at, operation.error[1])
        operation.response = copy.deepcopy(service)

    def _mark_ready(self, service: Resource, settled: bool = True) -> None:
        """Bring what the service's status says in line with its specification."""
        service["trafficStatuses"] = routing.traffic_statuses(service, self.base_url)
        service["etag"] = self._next_etag()
        if not settled:
            return
        at = to_rfc3339(self._clock.now())
        newest = self.revisions.get(service.get("latestCreatedRevision", ""), {})
        failure = next((c["message"] for c in newest.get("conditions", ()) if c["state"] == "CONDITION_FAILED"), "")
        state = "CONDITION_FAILED" if failure else "CONDITION_SUCCEEDED"
        service["observedGeneration"] = service["generation"]
        service.pop("reconciling", None)
        service["terminalCondition"] = condition("Ready", state, at, failure)
        service["conditions"] = [condition("RoutesReady", "CONDITION_SUCCEEDED", at)]
        service["conditions"].append(condition("ConfigurationsReady", state, at, failure))

    def _next_etag(self) -> str:
        """The etag of the next version: microseconds, as in Google's messages about conflicts, and always rising."""
        self._last_version = max(self._last_version + 1, int(self._clock.now().timestamp() * 1_000_000))
        return to_etag(self._last_version)

    def _operation_name(self, service: str) -> str:
        return f"{service.rsplit('/services/', 1)[0]}/operations/{uuid.uuid4()}"

    # --- The load balancer ----------------------------------------------------------------------------------------

    def capacity(self, name: str) -> int:
        """Requests that a service takes at once, by the revisions that really serve."""
        service = self.get(name) or {"name": name}
        serving = [routing.limits_of(self.revisions.get(revision, {})) for revision in routing.shares(service)]
        return routing.total_capacity(serving, _service_max(service))

    async def acquire_slot(self, name: str, timeout_s: float, tag: str = "") -> str:
        """Wait for a slot and return its revision; empty after `timeout_s`, which is Cloud Run's 429."""
        slots = self.slots.setdefault(name, RequestSlots())
        async with slots.slot_freed:
            try:
                return await asyncio.wait_for(slots.slot_freed.wait_for(lambda: self._take_slot(name, tag)), timeout_s)
            except TimeoutError:
                return ""

    def _take_slot(self, name: str, tag: str) -> str:
        service, slots = self.get(name) or {"name": name}, self.slots[name]
        revision = routing.next_revision(routing.shares(service, tag), slots.routed)
        limits = {r: routing.limits_of(self.revisions.get(r, {})) for r in {revision, *slots.busy}}
        if not revision or not routing.has_slot(revision, slots.busy, limits, _service_max(service)):
            return ""
        slots.busy[revision] += 1
        slots.routed[revision] += 1
        return revision

    async def release_slot(self, name: str, revision: str) -> None:
        slots = self.slots[name]
        async with slots.slot_freed:
            slots.busy[revision] -= 1
            slots.slot_freed.notify_all()


def _service_max(service: Resource) -> int:
    return int((service.get("scaling") or {}).get("maxInstanceCount") or 0)


def _to_operation_resource(operation: Operation) -> Resource:
    """https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.operations"""
    resource: Resource = {"name": operation.name, "metadata": {"@type": SERVICE_TYPE, **operation.metadata}}
    if operation.response is None:
        return resource
    if operation.error is not None:
        code, message = operation.error
        return {**resource, "done": True, "error": {"code": code, "message": message}}
    return {**resource, "done": True, "response": {"@type": SERVICE_TYPE, **operation.response}}
