"""What each Cloud Run service really is: serving revision, image, commit, traffic, account, last deploy, and its environment against
the manifest and the revision before. Values of variables are compared and never leave this module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from google.cloud import run_v2

from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem, worst
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.error_messages import translate_errors
from services.gcp.retry import read_options
from services.plumbing.declared_states import count_as_declared, list_failing, sort_worst_first
from services.plumbing.manifest import DeclaredService, read_declared_services
from services.scaling.capacity import get_revisions, get_service
from services.scaling.traffic import Traffic, read_traffic, short_name

MAX_REVISIONS = 20  # of a service, the newest: the one before the serving one is among them
COMMIT_LABELS = (
    "commit-sha",
    "commit_sha",
    "commit",
    "git-commit",
    "git_sha",
)  # of a revision, as deploy scripts set them
COMMIT_VARIABLES = ("BUILD_COMMIT", "COMMIT_SHA", "GIT_COMMIT")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class ServiceState:
    """One declared service. `problems` are sentences that follow its name; `changed` are variables changed by its last deploy."""

    name: str
    owner: str
    revision: str
    image: str
    commit: str  # "" where neither labels, variables nor the image's tag name it
    traffic: Traffic
    service_account: str
    deployed_at: datetime | None
    deployed_by: str
    variables_present: int
    variables_declared: int
    changed: tuple[str, ...]
    problems: tuple[str, ...]
    health: Health


@dataclass(frozen=True)
class ServiceReport:
    """Every declared service that could be read, worst first; a `problem` for each that could not."""

    services: tuple[ServiceState, ...]
    problems: tuple[Problem, ...]
    source: DataSource

    @property
    def failing(self) -> tuple[ServiceState, ...]:
        """The services that are not as declared."""
        return list_failing(self.services)

    @property
    def health(self) -> Health:
        """That of the worst service; unknown where one could not be read and none is worse."""
        states = [service.health for service in self.services]
        return (
            worst([*states, *([Health.UNKNOWN] if self.problems else [])])
            if states or self.problems
            else Health.NONE_EXPECTED
        )

    @property
    def headline(self) -> str:
        """How many are as declared, and the first that is not."""
        unread = len(self.problems)
        return count_as_declared("service", self.services, unread, str(unread or ""))


def read_service_report(clients: Clients) -> ServiceReport:
    """Each declared service as Cloud Run has it now; raises OnCallError where the manifest cannot be read.

    Readers at the same time share the calls.
    """
    return clients.cache.shared("declared services", lambda: _read_report(clients))


def _read_report(clients: Clients) -> ServiceReport:
    declared = read_declared_services(clients.settings)
    with concurrent_reads() as pool:
        found = list(pool.map(partial(_read_or_problem, clients), declared))
    states = sort_worst_first(state for state in found if isinstance(state, ServiceState))
    problems = tuple(problem for problem in found if isinstance(problem, Problem))
    return ServiceReport(states, problems, DataSource("Cloud Run services.get, revisions.list", clients.now()))


def _read_or_problem(clients: Clients, declared: DeclaredService) -> ServiceState | Problem:
    try:
        return _read(clients, declared)
    except OnCallError as error:
        return Problem.from_error(declared.name, clients.now(), error)


def _read(clients: Clients, declared: DeclaredService) -> ServiceState:
    service = get_service(clients, declared.name)
    traffic, newest = read_traffic(service), _list_revisions(clients, declared.name)
    serving = next((r for r in newest if short_name(r.name) in traffic.revisions[:1]), None)
    if serving is None and traffic.revisions:
        serving = get_revisions(clients, service, Traffic(traffic.shares[:1], follows_latest=False))[0]
    created = serving.create_time if serving is not None else None
    older = [r for r in newest if created is not None and r.create_time < created]
    return to_state(declared, service, serving, older[0] if older else None)


def _list_revisions(clients: Clients, service: str) -> list[run_v2.Revision]:
    """The newest revisions, newest first."""
    request = run_v2.ListRevisionsRequest(parent=clients.service_name(service), page_size=MAX_REVISIONS)
    with translate_errors("Cloud Run"):
        pager = clients.revisions.list_revisions(request, **read_options(clients.settings.query_timeout_s))
        page = next(iter(pager.pages))
    return sorted((r for r in page.revisions if r.create_time), key=lambda r: r.create_time.timestamp(), reverse=True)


def to_state(
    declared: DeclaredService, service: run_v2.Service, serving: run_v2.Revision | None, before: run_v2.Revision | None
) -> ServiceState:
    """A service beside its declaration and the revision before the serving one. Pure."""
    traffic, variables = read_traffic(service), _variables(serving)
    missing = [name for name in declared.variables if name not in variables]
    other = [name for name, text in declared.variables.items() if text and variables.get(name, text) != text]
    changed = _changed_variables(variables, _variables(before)) if serving and before else ()
    problems = list(_problems(service, traffic, serving, missing, other))
    critical = serving is None or bool(missing)
    image = serving.containers[0].image if serving is not None and serving.containers else ""
    return ServiceState(
        name=declared.name,
        owner=declared.owner,
        revision=short_name(serving.name) if serving is not None else "",
        image=image,
        commit=_find_commit(serving, image),
        traffic=traffic,
        service_account=serving.service_account if serving is not None else "",
        deployed_at=datetime.fromtimestamp(serving.create_time.timestamp(), UTC)
        if serving and serving.create_time
        else None,
        deployed_by=(serving.creator if serving is not None else "") or service.last_modifier,
        variables_present=len(declared.variables) - len(missing),
        variables_declared=len(declared.variables),
        changed=changed,
        problems=tuple(problems),
        health=Health.CRITICAL if critical else Health.WARNING if problems else Health.OK,
    )


def _problems(
    service: run_v2.Service, traffic: Traffic, serving: run_v2.Revision | None, missing: list[str], other: list[str]
) -> Iterator[str]:
    if serving is None:
        yield "serves no revision"
    elif missing:
        yield f"lacks {', '.join(missing)} in {short_name(serving.name)}"
    if other:
        yield f"has another {', '.join(other)} than declared"
    created = short_name(service.latest_created_revision)
    if service.latest_ready_revision != service.latest_created_revision and not service.reconciling:
        yield f"has a newest revision {created} that did not become ready"
    elif not traffic.follows_latest:
        yield f"has its traffic pinned to {traffic}"


def _variables(revision: run_v2.Revision | None) -> dict[str, str]:
    """The environment of a revision's containers: values as they are, of a secret which one it is."""
    containers: list[Any] = list(revision.containers) if revision is not None else []
    return {
        variable.name: f"secret {variable.value_source.secret_key_ref.secret}"
        if variable.value_source.secret_key_ref.secret
        else variable.value
        for container in containers
        for variable in container.env
        if variable.value or variable.value_source.secret_key_ref.secret
    }


def _changed_variables(now: Mapping[str, str], before: Mapping[str, str]) -> tuple[str, ...]:
    """What the last deploy did to the environment, each as a word before the name."""
    gone = [f"gone {name}" for name in sorted(before.keys() - now.keys())]
    changed = [f"changed {name}" for name in sorted(before.keys() & now.keys()) if now[name] != before[name]]
    return (*gone, *changed, *(f"new {name}" for name in sorted(now.keys() - before.keys())))


def _find_commit(revision: run_v2.Revision | None, image: str) -> str:
    if revision is None:
        return ""
    variables = _variables(revision)
    tag = "" if "@" in image else image.rpartition("/")[2].partition(":")[2]
    candidates = (
        *(revision.labels.get(name, "") for name in COMMIT_LABELS),
        *(variables.get(name, "") for name in COMMIT_VARIABLES),
        *re.split(r"[-_.]", tag),
    )
    return next((text for text in candidates if _COMMIT.fullmatch(text)), "")
