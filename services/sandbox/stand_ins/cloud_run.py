"""Stand-in for Cloud Run Admin v2: services and revisions with etags, both instance maxima, and request slots."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.core.clock import Clock, to_rfc3339

Resource = dict[str, Any]
_SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"


class EtagMismatch(Exception):
    """The request's etag differs from the service's current one."""


@dataclass
class RequestSlots:
    """Requests in progress at one service; at most instances × concurrency may be busy."""

    busy: int = 0
    slot_freed: asyncio.Condition = field(default_factory=asyncio.Condition)


class CloudRun:
    """The services of one region."""

    def __init__(self, clock: Clock, base_url: str, rollout_s: float = 2.0) -> None:
        self._clock, self.base_url, self._rollout_s = clock, base_url, rollout_s
        self.services: dict[str, Resource] = {}
        self.revisions: dict[str, Resource] = {}
        self.backends: dict[str, str] = {}
        self._rollouts: dict[str, tuple[datetime, str]] = {}
        self.slots: dict[str, RequestSlots] = {}

    def seed(self, services: Sequence[Mapping[str, Any]], revisions: Sequence[Mapping[str, Any]]) -> None:
        for resource in services:
            service = copy.deepcopy(dict(resource))
            short_name = service["name"].rsplit("/", 1)[-1]
            service["uri"] = f"{self.base_url}/run/{short_name}"
            service["urls"] = [service["uri"]]
            service.setdefault("generation", "1")
            service.setdefault("observedGeneration", service["generation"])
            service["etag"] = _etag(service)
            self.services[service["name"]] = service
        self.revisions.update({r["name"]: dict(r) for r in copy_resources(revisions)})

    def get(self, name: str) -> Resource | None:
        service = self.services.get(name)
        if service is not None:
            self._finish_rollout(name)
        return service

    def patch(self, name: str, body: Resource, update_mask: str, validate_only: bool) -> Resource:
        """Change a service; a new template creates a revision that serves after `rollout_s`. Raises KeyError, EtagMismatch."""
        current = self.get(name)
        if current is None:
            raise KeyError(name)
        if body.get("etag") and body["etag"] != current["etag"]:
            raise EtagMismatch
        changed = _apply_update_mask(current, body, update_mask)
        if validate_only:
            return completed_operation(changed, name)
        new_template = _without_revision(changed.get("template")) != _without_revision(current.get("template"))
        changed["generation"] = str(int(current["generation"]) + 1)
        changed["updateTime"] = to_rfc3339(self._clock.now())
        if new_template:
            self._roll_out(changed)
        else:
            changed["observedGeneration"] = changed["generation"]
        changed["etag"] = _etag(changed)
        self.services[name] = changed
        return completed_operation(changed, name)

    def _roll_out(self, service: Resource) -> None:
        short_name = service["name"].rsplit("/", 1)[-1]
        number = int(str(service.get("latestCreatedRevision", "x-00000-x")).rsplit("-", 2)[-2]) + 1
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=3))
        revision = f"{service['name']}/revisions/{short_name}-{number:05d}-{suffix}"
        service["template"]["revision"] = ""
        self.revisions[revision] = {
            "name": revision,
            "service": service["name"],
            "createTime": to_rfc3339(self._clock.now()),
            "scaling": service["template"].get("scaling", {}),
            "maxInstanceRequestConcurrency": service["template"].get("maxInstanceRequestConcurrency"),
        }
        service.update({"latestCreatedRevision": revision, "reconciling": True})
        self._rollouts[service["name"]] = (self._clock.now(), revision)

    def _finish_rollout(self, name: str) -> None:
        """Make a revision the serving one once its roll-out time is over."""
        rollout = self._rollouts.get(name)
        if rollout is None or (self._clock.now() - rollout[0]).total_seconds() < self._rollout_s:
            return
        service = self.services[name]
        service.update({"latestReadyRevision": rollout[1], "observedGeneration": service["generation"]})
        service.pop("reconciling", None)
        service["trafficStatuses"] = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
        del self._rollouts[name]

    def capacity(self, name: str) -> int:
        """Concurrent requests a service takes: the smaller instance maximum × concurrency of the serving revision."""
        service = self.get(name) or {}
        revision = self.revisions.get(str(service.get("latestReadyRevision")), {})
        service_max = int((service.get("scaling") or {}).get("maxInstanceCount") or 0)
        revision_max = int((revision.get("scaling") or {}).get("maxInstanceCount") or 100)
        concurrency = int(revision.get("maxInstanceRequestConcurrency") or 80)
        return min(m for m in (service_max, revision_max) if m) * concurrency

    async def acquire_slot(self, name: str, timeout_s: float) -> bool:
        """Wait for a slot for one request; False after `timeout_s`, which is Cloud Run's 429."""
        slots = self.slots.setdefault(name, RequestSlots())
        async with slots.slot_freed:
            try:
                await asyncio.wait_for(slots.slot_freed.wait_for(lambda: slots.busy < self.capacity(name)), timeout_s)
            except TimeoutError:
                return False
            slots.busy += 1
            return True

    async def release_slot(self, name: str) -> None:
        slots = self.slots[name]
        async with slots.slot_freed:
            slots.busy -= 1
            slots.slot_freed.notify_all()


def copy_resources(revisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [copy.deepcopy(dict(r)) for r in revisions]


def completed_operation(service: Resource, name: str) -> Resource:
    """A long-running operation that is already done, with the service as its response."""
    parent = name.rsplit("/services/", 1)[0]
    return {
        "name": f"{parent}/operations/{service['etag'][:12].strip(chr(34))}",
        "done": True,
        "response": {"@type": _SERVICE_TYPE, **service},
    }


def _apply_update_mask(current: Resource, body: Resource, update_mask: str) -> Resource:
    changed = copy.deepcopy(current)
    if not update_mask:
        # A client without a mask sends the whole service, where an emptied map is absent.
        for key in ("annotations", "labels", "template", "scaling", "traffic", "description"):
            changed.pop(key, None)
            if key in body:
                changed[key] = copy.deepcopy(body[key])
        return changed
    for path in update_mask.split(","):
        _copy_field(changed, body, [_to_camel_case(part) for part in path.strip().split(".")])
    return changed


def _copy_field(target: Resource, source: Resource, path: list[str]) -> None:
    for part in path[:-1]:
        source = source.get(part) or {}
        target = target.setdefault(part, {})
    if path[-1] in source:
        target[path[-1]] = copy.deepcopy(source[path[-1]])
    else:
        target.pop(path[-1], None)


def _to_camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _without_revision(template: Any) -> str:
    return json.dumps({k: v for k, v in (template or {}).items() if k != "revision"}, sort_keys=True)


def _etag(service: Resource) -> str:
    text = json.dumps({k: v for k, v in service.items() if k != "etag"}, sort_keys=True)
    return '"' + hashlib.sha256(text.encode()).hexdigest()[:24] + '"'
