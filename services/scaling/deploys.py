"""When which revision of the services was deployed, with what capacity and by whom: the history that Cloud Run keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from google.cloud import run_v2

from services.core.result import DataSource, Health
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.retry import read_options
from services.policy.dml_limits import is_emergency_capacity
from services.scaling.annotations import DEFAULT_MAX_INSTANCES, format_capacity
from services.scaling.traffic import short_name

MAX_REVISIONS = 100  # of each service, the newest: one call. https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services.revisions/list
MAX_CONCURRENCY = 80  # what Cloud Run fills in


@dataclass(frozen=True)
class Deploy:
    """One revision of a service. `problem` is why it never became ready, in Cloud Run's words."""

    service: str
    revision: str
    at: datetime
    by: str  # "" where Cloud Run does not say
    max_instances: int  # of the revision; a maximum of the whole service may be lower
    concurrency: int
    problem: str = ""

    @property
    def capacity_text(self) -> str:
        """Its instances × concurrency."""
        return format_capacity(self.max_instances, self.concurrency)

    @property
    def health(self) -> Health:
        """Critical where it never became ready, a warning at the emergency limit; otherwise a deploy is neither good nor bad."""
        if self.problem:
            return Health.CRITICAL
        return Health.WARNING if is_emergency_capacity(self.max_instances, self.concurrency) else Health.NONE_EXPECTED


@dataclass(frozen=True)
class DeployHistory:
    """The deploys of worker and coordinator, newest first; those before `complete_since` were not all read."""

    deploys: tuple[Deploy, ...]
    source: DataSource
    complete_since: datetime | None = None


def read_deploy_history(clients: Clients) -> DeployHistory:
    """The newest MAX_REVISIONS revisions of each service; raises OnCallError when Cloud Run does not answer."""
    deploys: list[Deploy] = []
    starts = []
    for service in (clients.settings.worker_service, clients.settings.coordinator_service):
        request = run_v2.ListRevisionsRequest(parent=clients.service_name(service), page_size=MAX_REVISIONS)
        with translate_errors("Cloud Run"):
            pager = clients.revisions.list_revisions(request, **read_options(clients.settings.query_timeout_s))
            page = next(iter(pager.pages))
        revisions = [_to_deploy(service, revision) for revision in page.revisions if revision.create_time]
        deploys += revisions
        if page.next_page_token:
            starts.append(min((deploy.at for deploy in revisions), default=clients.now()))
    newest_first = tuple(sorted(deploys, key=lambda deploy: deploy.at, reverse=True))
    source = DataSource("Cloud Run revisions.list", clients.now())
    return DeployHistory(newest_first, source, max(starts, default=None))


def _to_deploy(service: str, revision: run_v2.Revision) -> Deploy:
    failed = run_v2.Condition.State.CONDITION_FAILED
    problems = [c.message or "it failed" for c in revision.conditions if c.type_ == "Ready" and c.state == failed]
    return Deploy(
        service=service,
        revision=short_name(revision.name),
        at=datetime.fromtimestamp(revision.create_time.timestamp(), UTC),
        by=revision.creator,
        max_instances=revision.scaling.max_instance_count or DEFAULT_MAX_INSTANCES,
        concurrency=revision.max_instance_request_concurrency or MAX_CONCURRENCY,
        problem=next(iter(problems), ""),
    )
