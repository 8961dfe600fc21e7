"""Which revisions of a Cloud Run service serve its requests, and whether a new one would.

A deploy does not move traffic that is pinned to a revision or split: only traffic to LATEST follows.
https://cloud.google.com/run/docs/rollouts-rollbacks-traffic-migration
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud import run_v2


@dataclass(frozen=True)
class Traffic:
    """The revisions that serve, with their percent of the requests, largest share first; and whether a new one will."""

    shares: tuple[tuple[str, int], ...]  # short revision name, percent
    follows_latest: bool

    @property
    def revisions(self) -> tuple[str, ...]:
        """The short names of the serving revisions."""
        return tuple(name for name, _ in self.shares)

    def __str__(self) -> str:
        if len(self.shares) == 1:
            return self.shares[0][0]
        return ", ".join(f"{name} ({percent} %)" for name, percent in self.shares)


def read_traffic(service: run_v2.Service) -> Traffic:
    """Where a service's requests go, by its trafficStatuses; a tag without a share serves only who names it. Pure."""
    percent: Counter[str] = Counter()
    for status in service.traffic_statuses:
        # A status of type LATEST names no revision: it is the newest that is ready.
        percent[short_name(status.revision or service.latest_ready_revision)] += status.percent
    if not service.traffic_statuses and service.latest_ready_revision:
        percent[short_name(service.latest_ready_revision)] = 100
    return _to_traffic(percent, not any(target.revision and target.percent for target in service.traffic))


def to_targets(service: run_v2.Service) -> list[dict[str, Any]]:
    """The traffic that a service asks for, as JSON: of each target its revision (empty: the latest), percent and tag. Pure."""
    return [{"revision": short_name(t.revision), "percent": t.percent, "tag": t.tag} for t in service.traffic]


def parse_targets(service: run_v2.Service, targets: Iterable[Mapping[str, Any]]) -> Traffic:
    """Where a service's requests would go with these targets, as `to_targets` has them. Pure."""
    percent: Counter[str] = Counter()
    follows_latest = True
    for target in targets:
        percent[target["revision"] or short_name(service.latest_ready_revision)] += target["percent"]
        follows_latest = follows_latest and not (target["revision"] and target["percent"])
    return _to_traffic(percent, follows_latest)


def _to_traffic(percent: Counter[str], follows_latest: bool) -> Traffic:
    shares = sorted(((name, share) for name, share in percent.items() if name and share), key=lambda s: (-s[1], s[0]))
    return Traffic(tuple(shares), follows_latest)


def short_name(resource: str) -> str:
    """The last part of a Cloud Run resource's full name."""
    return resource.rsplit("/", 1)[-1]
