"""Is the desk connected? Every door, permission, table and service it stands on, a sentence each, with the command that repairs it.

`python -m services.doctor` (make doctor) prints it and ends with 1 when something critical is wrong. It never writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from math import ceil

from services.core.errors import AccessDenied, MissingInWarehouse, OnCallError
from services.core.result import SEVERITY, Health, Source, worst
from services.doctor.finding import LIMIT_S, Finding, trouble
from services.doctor.permissions import acting_identity, reading_identity
from services.doctor.required_tables import read_tables
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.runs import coordinator_client as coordinator
from services.telemetry.log_reader import parse
from services.telemetry.scheduler import read_schedule

SEARCHED = re.compile(  # the words that the desk's own searches look for, in any case
    r"staging write|writing to bigquery|(permanent|transient) failure|dml|consolidation|merge|batch|predictions? for",
    re.I,
)


@dataclass(frozen=True)
class Examination:
    """Every finding, worst first, and where they come from."""

    findings: tuple[Finding, ...]
    sources: tuple[Source, ...]

    @property
    def health(self) -> Health:
        return worst(finding.health for finding in self.findings)


def read_examination(cloud: Cloud) -> Examination:
    """Look at everything once; what cannot be looked at is a finding of its own. Raises nothing."""
    checks = (
        _sign_in,
        _warehouse,
        read_tables,
        _job_history,
        reading_identity,
        acting_identity,
        _logs,
        _services,
        _scheduler,
        _coordinator,
    )
    found = [finding for check in checks for finding in _safely(check, cloud)]
    found.sort(key=lambda finding: SEVERITY.index(finding.health))
    return Examination(tuple(found), (Source("BigQuery, Cloud Run, Logging, the coordinator", cloud.now()),))


def _safely(check: Callable[[Cloud], Iterator[Finding]], cloud: Cloud) -> Iterator[Finding]:
    try:
        yield from check(cloud)
    except OnCallError as error:
        yield trouble(cloud, check.__name__.strip("_").replace("_", " "), error)


def _sign_in(cloud: Cloud) -> Iterator[Finding]:
    settings = cloud.settings
    if settings.in_sandbox and not settings.iap_audience:
        yield Finding("sign-in", Health.OK, "This is the sandbox: nobody signs in, and the role is chosen on the page.")
        return
    by = "Identity-Aware Proxy signs who is looking." if settings.iap_audience else "IAP_AUDIENCE is not set."
    if settings.operators or settings.operator_groups:
        many = len(settings.operators) + len(settings.operator_groups)
        yield Finding("sign-in", Health.OK, f"{by} {many} people or groups may act.")
    else:
        yield Finding(
            "sign-in",
            Health.WARNING,
            f"{by} OPERATORS is empty: everybody is a viewer, nobody may act.",
            "gcloud run services update prediction-on-call --update-env-vars=OPERATORS=you@example.com",
        )


def _warehouse(cloud: Cloud) -> Iterator[Finding]:
    """A question about the players that is planned with our rights and not run: connection, rights and bytes limit for nothing."""
    project, limit = cloud.settings.project, cloud.settings.query_limit_mib
    would = max(catalog.would_read(cloud, "calendar.first_night") / catalog.MIB, catalog.LEAST_BILLED_MIB)
    told = f"BigQuery plans our questions in {project}; the calendar would bill {would:,.0f} of {limit:,} MiB allowed a query."
    if would <= limit:
        yield Finding("warehouse", Health.OK, told)
    else:
        allow = (
            f"gcloud run services update prediction-on-call --update-env-vars=QUERY_LIMIT_MIB={max(1024, ceil(would))}"
        )
        yield Finding("warehouse", Health.WARNING, f"{told} BigQuery refuses it.", allow)


def _job_history(cloud: Cloud) -> Iterator[Finding]:
    try:
        with reading_from("BigQuery job history"):
            list(islice(cloud.bigquery.list_jobs(all_users=True, max_results=1, timeout=LIMIT_S), 1))
    except AccessDenied as error:
        project = cloud.settings.project
        yield Finding(
            "job history",
            Health.WARNING,
            f"{error.sentence} DML errors are then counted from the logs alone.",
            f"gcloud projects add-iam-policy-binding {project} --role=roles/bigquery.resourceViewer"
            f" --member=serviceAccount:prediction-on-call-read@{project}.iam.gserviceaccount.com",
        )
        return
    yield Finding("job history", Health.OK, "The jobs of all users can be listed: DML errors are counted from them.")


def _logs(cloud: Cloud) -> Iterator[Finding]:
    """The newest lines of the worker and the coordinator: are there any, and can their shapes be read?"""
    settings, since = cloud.settings, cloud.now() - timedelta(hours=36)
    for service in (settings.worker_service, settings.coordinator_service):
        told = (
            f'resource.type="cloud_run_revision" AND resource.labels.service_name="{service}"'
            f' AND timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"'
        )
        with reading_from("Cloud Logging"):
            listed = cloud.logging.list_entries(filter_=told, order_by="timestamp desc", page_size=200)
            entries = list(islice(listed, 200))
        yield _shapes(service, entries)


def _shapes(service: str, entries: list[object]) -> Finding:
    about = f"log of {service}"
    if not entries:
        return Finding(
            about,
            Health.WARNING,
            f"{service} wrote no line in 36 h: either it is idle, or its name is not {service}.",
            "gcloud run services list --format='value(metadata.name)'",
        )
    lines = [parse(entry) for entry in entries]
    as_json = sum(isinstance(getattr(entry, "payload", None), dict) for entry in entries)
    unread = sum(not line.message.strip() for line in lines)
    known = sum(SEARCHED.search(line.message) is not None for line in lines)
    told = f"{len(lines)} newest lines read: {len(lines) - as_json} text, {as_json} JSON, {known} of a shape the desk knows"
    if not known:
        lost = "why a player is missing is then known from the tables alone"
        return Finding(about, Health.WARNING, f"{told}: {lost}.", f"gcloud run services logs read {service} --limit=20")
    if unread:
        return Finding(about, Health.WARNING, f"{told}; {unread} of them have no message that the desk understands.")
    return Finding(about, Health.OK, f"{told}.")


def _services(cloud: Cloud) -> Iterator[Finding]:
    for name in (cloud.settings.worker_service, cloud.settings.coordinator_service):
        try:
            with reading_from("Cloud Run"):
                service = cloud.run.get_service(name=cloud.service_name(name), timeout=LIMIT_S)
        except MissingInWarehouse:
            yield Finding(
                name,
                Health.CRITICAL,
                f"Cloud Run has no service {name} in {cloud.settings.region}.",
                f"gcloud run services list --project={cloud.settings.project}; then set WORKER_SERVICE,"
                " COORDINATOR_SERVICE or CLOUD_RUN_REGION",
            )
            continue
        except OnCallError as error:
            yield trouble(cloud, name, error)
            continue
        ready, created = (
            r.rsplit("/", 1)[-1] for r in (service.latest_ready_revision, service.latest_created_revision)
        )
        if ready != created:
            yield Finding(
                name,
                Health.WARNING,
                f"{name} serves {ready or 'nothing'}, not its newest revision {created}, which did not become ready.",
                f"gcloud run revisions describe {created} --region={cloud.settings.region}",
            )
        else:
            yield Finding(name, Health.OK, f"{name} serves its newest revision {ready} at {service.uri}.")


def _scheduler(cloud: Cloud) -> Iterator[Finding]:
    """The entries that start the runs: there, enabled, and well at their last attempt."""
    plan, here = read_schedule(cloud), f"--location={cloud.settings.region} --project={cloud.settings.project}"
    jobs = {job.name: job for job in plan.jobs}
    for name in plan.expected:
        if name not in jobs:
            known = f"gcloud scheduler jobs list {here}; then set EXPECTED_JOBS to those that start the runs"
            yield Finding(name, Health.WARNING, "It is not in Cloud Scheduler: nothing starts that run.", known)
        elif why := jobs[name].trouble:
            verb = "resume" if "paused" in why or "disabled" in why else "describe"
            repair = f"gcloud scheduler jobs {verb} {name} {here}"
            yield Finding(name, Health.WARNING, f"The scheduled run {why}.", repair)
        else:
            yield Finding(name, Health.OK, f"It is scheduled ({jobs[name].cron}, {jobs[name].time_zone}).")


def _coordinator(cloud: Cloud) -> Iterator[Finding]:
    try:
        found = coordinator.read_coordinator(cloud)
    except OnCallError as error:
        yield Finding(
            "coordinator",
            Health.CRITICAL,
            f"{error.sentence} {error.remedy} Runs can be watched in the tables, but not started from here.".strip(),
            f"gcloud run services describe {cloud.settings.coordinator_service} --region={cloud.settings.region}"
            " --format='value(status.url)'; then set COORDINATOR_URL",
        )
        return
    ours = {"players", "resume"} <= found.supports
    kind = (
        "ours: it re-runs chosen players and resumes batches"
        if ours
        else "of the customer's kind: a re-run is always the whole date, and a stopped batch cannot be resumed"
    )
    yield Finding("coordinator", Health.OK, f"{found.service} answers at {found.url}; it is {kind}.")
