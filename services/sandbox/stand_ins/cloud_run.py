"""Cloud Run Admin v2's REST stand-in: services and revisions with etags, two maxima, and a load balancer with its limits."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.core.clock import Clock

Resource = dict[str, Any]
_SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"


class Conflict(Exception):
    """The etag is not the one of the service now."""


@dataclass
class Slots:
    """How many requests of one service are on their way, against instances × concurrency."""

    busy: int = 0
    freed: asyncio.Condition = field(default_factory=asyncio.Condition)


class CloudRun:
    """The services of one region."""

    def __init__(self, clock: Clock, address: str, rollout_s: float = 2.0) -> None:
        self._clock, self.address, self._rollout_s = clock, address, rollout_s
        self.services: dict[str, Resource] = {}
        self.revisions: dict[str, Resource] = {}
        self.backends: dict[str, str] = {}
        self._serving: dict[str, tuple[datetime, str]] = {}
        self.slots: dict[str, Slots] = {}

    def seed(self, services: Sequence[Mapping[str, Any]], revisions: Sequence[Mapping[str, Any]]) -> None:
        for told in services:
            service = copy.deepcopy(dict(told))
            short = service["name"].rsplit("/", 1)[-1]
            service["uri"] = f"{self.address}/run/{short}"
            service["urls"] = [service["uri"]]
            service.setdefault("generation", "1")
            service.setdefault("observedGeneration", service["generation"])
            service["etag"] = _etag(service)
            self.services[service["name"]] = service
        self.revisions.update({r["name"]: dict(r) for r in told_list(revisions)})

    def get(self, name: str) -> Resource | None:
        service = self.services.get(name)
        if service is not None:
            self._settle(name)
        return service

    def patch(self, name: str, told: Resource, mask: str, validate_only: bool) -> Resource:
        """Change a service; a new template makes a new revision that serves a little later. Raises Conflict."""
        current = self.get(name)
        if current is None:
            raise KeyError(name)
        if told.get("etag") and told["etag"] != current["etag"]:
            raise Conflict
        changed = _masked(current, told, mask)
        if validate_only:
            return operation(changed, name)
        new_template = _without_revision(changed.get("template")) != _without_revision(current.get("template"))
        changed["generation"] = str(int(current["generation"]) + 1)
        changed["updateTime"] = _rfc3339(self._clock.now())
        if new_template:
            self._roll_out(changed)
        else:
            changed["observedGeneration"] = changed["generation"]
        changed["etag"] = _etag(changed)
        self.services[name] = changed
        return operation(changed, name)

    def _roll_out(self, service: Resource) -> None:
        short = service["name"].rsplit("/", 1)[-1]
        number = int(str(service.get("latestCreatedRevision", "x-00000-x")).rsplit("-", 2)[-2]) + 1
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=3))
        revision = f"{service['name']}/revisions/{short}-{number:05d}-{suffix}"
        service["template"]["revision"] = ""
        self.revisions[revision] = {
            "name": revision,
            "service": service["name"],
            "createTime": _rfc3339(self._clock.now()),
            "scaling": service["template"].get("scaling", {}),
            "maxInstanceRequestConcurrency": service["template"].get("maxInstanceRequestConcurrency"),
        }
        service.update({"latestCreatedRevision": revision, "reconciling": True})
        self._serving[service["name"]] = (self._clock.now(), revision)

    def _settle(self, name: str) -> None:
        """Let a revision serve once its roll-out time is over."""
        started = self._serving.get(name)
        if started is None or (self._clock.now() - started[0]).total_seconds() < self._rollout_s:
            return
        service = self.services[name]
        service.update({"latestReadyRevision": started[1], "observedGeneration": service["generation"]})
        service.pop("reconciling", None)
        service["trafficStatuses"] = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
        del self._serving[name]

    def capacity(self, name: str) -> int:
        """Requests a service takes at once: the smaller maximum × request concurrency, of the revision that serves."""
        service = self.get(name) or {}
        revision = self.revisions.get(str(service.get("latestReadyRevision")), {})
        of_service = int((service.get("scaling") or {}).get("maxInstanceCount") or 0)
        of_revision = int((revision.get("scaling") or {}).get("maxInstanceCount") or 100)
        concurrency = int(revision.get("maxInstanceRequestConcurrency") or 80)
        return min(m for m in (of_service, of_revision) if m) * concurrency

    async def admit(self, name: str, wait_s: float) -> bool:
        """Take a place for one request, waiting for one to come free; False is Cloud Run's 429."""
        slots = self.slots.setdefault(name, Slots())
        async with slots.freed:
            try:
                await asyncio.wait_for(slots.freed.wait_for(lambda: slots.busy < self.capacity(name)), wait_s)
            except TimeoutError:
                return False
            slots.busy += 1
            return True

    async def leave(self, name: str) -> None:
        slots = self.slots[name]
        async with slots.freed:
            slots.busy -= 1
            slots.freed.notify_all()


def told_list(revisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [copy.deepcopy(dict(r)) for r in revisions]


def operation(service: Resource, name: str) -> Resource:
    """A long-running operation that is done, with the service in it."""
    place = name.rsplit("/services/", 1)[0]
    return {
        "name": f"{place}/operations/{service['etag'][:12].strip(chr(34))}",
        "done": True,
        "response": {"@type": _SERVICE_TYPE, **service},
    }


def _masked(current: Resource, told: Resource, mask: str) -> Resource:
    changed = copy.deepcopy(current)
    if not mask:
        # A client without a mask sends the whole service: a map it emptied is simply absent.
        for key in ("annotations", "labels", "template", "scaling", "traffic", "description"):
            changed.pop(key, None)
            if key in told:
                changed[key] = copy.deepcopy(told[key])
        return changed
    for path in mask.split(","):
        _put(changed, told, [_camel(part) for part in path.strip().split(".")])
    return changed


def _put(target: Resource, told: Resource, path: list[str]) -> None:
    for part in path[:-1]:
        told = told.get(part) or {}
        target = target.setdefault(part, {})
    if path[-1] in told:
        target[path[-1]] = copy.deepcopy(told[path[-1]])
    else:
        target.pop(path[-1], None)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _without_revision(template: Any) -> str:
    return json.dumps({k: v for k, v in (template or {}).items() if k != "revision"}, sort_keys=True)


def _etag(service: Resource) -> str:
    text = json.dumps({k: v for k, v in service.items() if k != "etag"}, sort_keys=True)
    return '"' + hashlib.sha256(text.encode()).hexdigest()[:24] + '"'


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
