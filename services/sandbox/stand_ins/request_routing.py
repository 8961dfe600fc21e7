"""Which revision of a Cloud Run service takes a request, and how many it takes at once."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.sandbox.stand_ins.run_resources import DEFAULT_CONCURRENCY, DEFAULT_MAX_INSTANCES, LATEST, REVISION

Resource = Mapping[str, Any]


@dataclass
class RequestSlots:
    """Requests at one service, by the revision that has them: those in progress, and all that were routed."""

    busy: Counter[str] = field(default_factory=Counter)
    routed: Counter[str] = field(default_factory=Counter)
    slot_freed: asyncio.Condition = field(default_factory=asyncio.Condition)


@dataclass(frozen=True)
class RevisionLimits:
    """How many instances a revision may have, and how many requests each of them takes."""

    instances: int
    concurrency: int


def limits_of(revision: Resource) -> RevisionLimits:
    """The limits of a revision; what it does not set is the server's default."""
    return RevisionLimits(
        int((revision.get("scaling") or {}).get("maxInstanceCount") or DEFAULT_MAX_INSTANCES),
        int(revision.get("maxInstanceRequestConcurrency") or DEFAULT_CONCURRENCY),
    )


def traffic_statuses(service: Resource, base_url: str) -> list[dict[str, Any]]:
    """`trafficStatuses` of a service whose `traffic` is in effect: a tag has an address, and LATEST names no revision."""
    short_name = service["name"].rsplit("/", 1)[-1]
    statuses = []
    for target in service["traffic"]:
        status = dict(target)
        status["type"] = target.get("type") or (REVISION if target.get("revision") else LATEST)
        if target.get("tag"):
            status["uri"] = f"{base_url}/run/{target['tag']}---{short_name}"
        statuses.append(status)
    return statuses


def revision_of(service: Resource, target: Resource) -> str:
    """The full name of the revision that a traffic target means now; LATEST is the newest that is ready."""
    if target.get("type") == LATEST or not target.get("revision"):
        return str(service.get("latestReadyRevision") or "")
    return f"{service['name']}/revisions/{str(target['revision']).rsplit('/', 1)[-1]}"


def shares(service: Resource, tag: str = "") -> dict[str, int]:
    """Revision → percent of the requests that it gets; those sent to a tag all go to the tag's revision."""
    percent: Counter[str] = Counter()
    for target in service.get("trafficStatuses") or ():
        if tag and target.get("tag") == tag:
            return {revision_of(service, target): 100}
        if not tag:
            percent[revision_of(service, target)] += target.get("percent", 0)
    return {revision: share for revision, share in percent.items() if revision and share > 0}


def total_capacity(revisions: Sequence[RevisionLimits], service_max: int) -> int:
    """Requests at once over all serving revisions; `service_max` bounds their instances together, 0 is no bound."""
    remaining, capacity = service_max or math.inf, 0
    for limits in sorted(revisions, key=lambda r: -r.concurrency):
        instances = int(min(limits.instances, remaining))
        remaining -= instances
        capacity += instances * limits.concurrency
    return capacity


def has_slot(revision: str, busy: Mapping[str, int], limits: Mapping[str, RevisionLimits], service_max: int) -> bool:
    """Whether a revision takes one more request, within its own maximum and the service's over all revisions."""
    wanted = {**busy, revision: busy.get(revision, 0) + 1}
    instances = {name: math.ceil(count / limits[name].concurrency) for name, count in wanted.items() if count}
    return instances[revision] <= limits[revision].instances and (
        not service_max or sum(instances.values()) <= service_max
    )


def next_revision(percent: Mapping[str, int], routed: Mapping[str, int]) -> str:
    """The revision that is furthest behind its share of the requests; empty when none serves."""
    total = sum(routed.get(revision, 0) for revision in percent) + 1
    return max(percent, key=lambda r: percent[r] * total / 100 - routed.get(r, 0), default="")
