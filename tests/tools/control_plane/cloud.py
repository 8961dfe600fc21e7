"""The state of one Google Cloud project, as far as deploy/ and the printed commands read and change it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]


class Refused(Exception):
    """An error as Google's APIs give it (https://google.aip.dev/193)."""

    def __init__(self, code: int, status: str, message: str, details: list[Resource] | None = None) -> None:
        super().__init__(message)
        self.code, self.status, self.message, self.details = code, status, message, details or []


def not_found(name: str) -> Refused:
    """The error for a resource that is not there."""
    return Refused(404, "NOT_FOUND", f"{name} was not found.")


def already_exists(name: str) -> Refused:
    """The error for a resource that is there already."""
    return Refused(409, "ALREADY_EXISTS", f"{name} already exists.")


@dataclass(frozen=True)
class Call:
    """One request that a discovery document knows. `path` begins behind the host; `body` is parsed JSON."""

    api: str
    method: str
    path: str
    query: dict[str, str]
    body: Any

    def after(self, part: str) -> str:
        """The path's element behind another one: `services` of `…/services/worker:getIamPolicy` is `worker`."""
        parts = self.path.split("/")
        return parts[parts.index(part) + 1].partition(":")[0]


@dataclass
class Fault:
    """What a method is refused with, the first `times` times that it is called; `skip` calls go well before."""

    method: str
    refused: Refused
    times: int = 1_000_000
    skip: int = 0


@dataclass
class Cloud:
    """One project. Resources by name; `policies` are IAM policies by resource."""

    project: str = "nba-props-platform"
    number: str = "123456789012"
    location: str = "US"
    region: str = "us-west2"
    enabled: set[str] = field(default_factory=lambda: {"bigquery.googleapis.com", "logging.googleapis.com"})
    policies: dict[str, Resource] = field(default_factory=dict)
    accounts: dict[str, Resource] = field(default_factory=dict)
    services: dict[str, Resource] = field(default_factory=dict)
    revisions: dict[str, Resource] = field(default_factory=dict)
    jobs: dict[str, Resource] = field(default_factory=dict)
    metrics: dict[str, Resource] = field(default_factory=dict)
    alert_policies: dict[str, Resource] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    custom_roles: dict[str, Resource] = field(default_factory=dict)
    timers: dict[str, Resource] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    datasets: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # of each, (role, member)
    tables: dict[str, list[str]] = field(default_factory=dict)  # of each dataset.table, its columns
    statements: list[str] = field(default_factory=list)
    query_jobs: dict[str, Resource] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)  # what a discovery document does not allow

    def find_fault(self, method: str) -> Refused | None:
        """What this call is refused with by a fault, if anything; counts the call."""
        for fault in self.faults:
            if fault.method == method:
                if fault.skip > 0:
                    fault.skip -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    return fault.refused
        return None

    def member_exists(self, member: str) -> bool:
        """Whether an IAM member can be granted a role: a service account of this project has to exist."""
        address = member.removeprefix("serviceAccount:")
        return not address.endswith(f"@{self.project}.iam.gserviceaccount.com") or address in self.accounts

    def roles(self, resource: str) -> set[tuple[str, str]]:
        """(role, member) of a resource's own IAM policy."""
        bindings = self.policies.get(resource, {}).get("bindings", [])
        return {(binding["role"], member) for binding in bindings for member in binding["members"]}
