"""Connection checks: every API, permission, table and service that the dashboard needs, with the command that repairs it.

`python -m services.doctor` (make doctor) prints it and ends with 1 when something critical is wrong. It never writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from math import ceil

from google.cloud import run_v2

from services.core.commands import gcloud_command
from services.core.errors import AccessDenied, OnCallError, TableNotFound
from services.core.result import SEVERITY_ORDER, DataSource, Health, worst
from services.core.tables import PREDICTIONS_DATASET
from services.core.text import pluralize
from services.doctor.check_result import TIMEOUT_S, CheckResult, deploy_command, from_error, grant_command
from services.doctor.permissions import acting_identity, reading_identity
from services.doctor.plumbing_checks import scheduler, service_manifest, subscriptions
from services.doctor.required_tables import read_tables
from services.doctor.second_channel import check_second_channel
from services.gcp import query_catalog
from services.gcp.clients import Clients, read_dataset_location
from services.gcp.error_messages import translate_errors
from services.runs import coordinator_client
from services.scaling.traffic import read_traffic, short_name
from services.telemetry.log_reader import LoggingEntry, parse_entry

KNOWN_LOG_PHRASES = re.compile(  # what the dashboard's own log searches match, in any case
    r"staging write|writing to bigquery|(permanent|transient) failure|dml|consolidation|merge|batch|predictions? for",
    re.I,
)


@dataclass(frozen=True)
class ConnectionReport:
    """Every result, worst first, and where they come from."""

    results: tuple[CheckResult, ...]
    sources: tuple[DataSource, ...]

    @property
    def health(self) -> Health:
        return worst(result.health for result in self.results)


def run_checks(clients: Clients) -> ConnectionReport:
    """Run every check once; one that fails is a result of its own. Raises nothing."""
    checks = (
        _sign_in,
        _location,
        _warehouse,
        read_tables,
        _job_history,
        reading_identity,
        acting_identity,
        _logs,
        _services,
        scheduler,
        service_manifest,
        subscriptions,
        _coordinator,
        check_second_channel,
    )
    results = [result for check in checks for result in _run_check(check, clients)]
    results.sort(key=lambda result: SEVERITY_ORDER.index(result.health))
    return ConnectionReport(
        tuple(results), (DataSource("BigQuery, Cloud Run, Logging, the coordinator", clients.now()),)
    )


def _run_check(check: Callable[[Clients], Iterator[CheckResult]], clients: Clients) -> Iterator[CheckResult]:
    try:
        yield from check(clients)
    except OnCallError as error:
        yield from_error(clients, check.__name__.strip("_").replace("_", " "), error)


def _sign_in(clients: Clients) -> Iterator[CheckResult]:
    settings = clients.settings
    if settings.in_sandbox and not settings.iap_audience:
        yield CheckResult("sign-in", Health.OK, "Sandbox: sign-in disabled.")
        return
    sign_in_text = "IAP enabled" if settings.iap_audience else "IAP_AUDIENCE is not set"
    if settings.operators or settings.operator_groups:
        count = len(settings.operators) + len(settings.operator_groups)
        operators_text = pluralize(count, "operator or group", "operators and groups")
        yield CheckResult(
            "sign-in",
            Health.OK,
            f"{sign_in_text}; {operators_text}.",
        )
    else:
        yield CheckResult(
            "sign-in",
            Health.WARNING,
            f"{sign_in_text}. OPERATORS is empty: all users are view-only.",
            _set_variable_command(clients, "--update-env-vars=OPERATORS=you@example.com"),
        )


def _location(clients: Clients) -> Iterator[CheckResult]:
    """Whether BIGQUERY_LOCATION is where the predictions are: BigQuery finds a dataset in its own location alone."""
    actual = read_dataset_location(clients.bigquery)
    configured = clients.settings.location or actual or ""
    if actual is None:
        yield CheckResult("location", Health.UNKNOWN, f"{PREDICTIONS_DATASET} cannot be read: location unknown.")
    elif actual.upper() == configured.upper():
        yield CheckResult("location", Health.OK, f"{PREDICTIONS_DATASET} is in {actual}, where the queries run.")
    else:
        yield CheckResult(
            "location",
            Health.CRITICAL,
            f"BIGQUERY_LOCATION is {configured}, and {PREDICTIONS_DATASET} is in {actual}: no query finds it.",
            _set_variable_command(clients, "--remove-env-vars=BIGQUERY_LOCATION"),
        )


def _warehouse(clients: Clients) -> Iterator[CheckResult]:
    """A dry run of a query: checks connection, permissions and bytes limit at no cost."""
    project, limit_mib = clients.settings.project, clients.settings.max_bytes_billed_mib
    billed_mib = max(
        query_catalog.dry_run_bytes(clients, "nights.first_night") / query_catalog.MIB, query_catalog.MIN_BILLED_MIB
    )
    size_text = f"{billed_mib:,.0f} MiB; per-query limit {limit_mib:,} MiB"
    summary = f"Dry run OK in project {project} ({size_text})."
    if billed_mib <= limit_mib:
        yield CheckResult("warehouse", Health.OK, summary)
    else:
        sufficient_mib = max(1024, ceil(billed_mib))
        raise_limit_command = _set_variable_command(clients, f"--update-env-vars=QUERY_LIMIT_MIB={sufficient_mib}")
        yield CheckResult(
            "warehouse",
            Health.WARNING,
            f"Dry run in project {project} exceeds the limit ({size_text}).",
            raise_limit_command,
        )


def _job_history(clients: Clients) -> Iterator[CheckResult]:
    try:
        with translate_errors("BigQuery job history"):
            list(islice(clients.bigquery.list_jobs(all_users=True, max_results=1, timeout=TIMEOUT_S), 1))
    except AccessDenied as error:
        yield CheckResult(
            "job history",
            Health.WARNING,
            f"{error.message} DML errors are counted from the logs alone.",
            grant_command(clients, "roles/bigquery.resourceViewer"),
        )
        return
    yield CheckResult("job history", Health.OK, "Can list all users' jobs.")


def _logs(clients: Clients) -> Iterator[CheckResult]:
    """The newest lines of the worker and the coordinator: are there any, and can their shapes be read?"""
    settings, since = clients.settings, clients.now() - timedelta(hours=36)
    for service in (settings.worker_service, settings.coordinator_service):
        log_filter = (
            f'resource.type="cloud_run_revision" AND resource.labels.service_name="{service}"'
            f' AND timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"'
        )
        with translate_errors("Cloud Logging"):
            iterator = clients.logging.list_entries(filter_=log_filter, order_by="timestamp desc", page_size=200)
            # Cloud Run's request log has no message.
            entries = [entry for entry in islice(iterator, 200) if entry.http_request is None]
        yield _check_log_format(clients, service, entries)


def _check_log_format(clients: Clients, service: str, entries: Sequence[LoggingEntry]) -> CheckResult:
    """Whether the newest lines have a message, and any a phrase that the dashboard's searches look for."""
    subject = f"log of {service}"
    if not entries:
        return CheckResult(
            subject,
            Health.WARNING,
            f"{service}: no logs in 36 h; idle or wrong service name.",
            gcloud_command(clients.settings, "run services list --format='value(metadata.name)'"),
        )
    lines = [parse_entry(entry) for entry in entries]
    json_count = sum(isinstance(entry.payload, dict) for entry in entries)
    without_message = sum(not line.message.strip() for line in lines)
    recognized = sum(KNOWN_LOG_PHRASES.search(line.message) is not None for line in lines)
    summary = (
        f"{len(lines)} recent lines parsed ({recognized} recognized; {len(lines) - json_count} text, {json_count} JSON)"
    )
    if not recognized:
        consequence = "the reason for a missing player comes from the tables alone"
        return CheckResult(
            subject,
            Health.WARNING,
            f"{summary}: {consequence}.",
            gcloud_command(clients.settings, f"run services logs read {service} --limit=20"),
        )
    if without_message:
        return CheckResult(subject, Health.WARNING, f"{summary}; {without_message} without a message.")
    return CheckResult(subject, Health.OK, f"{summary}.")


def _services(clients: Clients) -> Iterator[CheckResult]:
    for name in (clients.settings.worker_service, clients.settings.coordinator_service):
        try:
            with translate_errors("Cloud Run"):
                service = clients.run.get_service(name=clients.service_name(name), timeout=TIMEOUT_S)
        except TableNotFound:
            yield CheckResult(
                name,
                Health.CRITICAL,
                f"Cloud Run has no service {name} in {clients.settings.region}.",
                f"gcloud run services list --project={clients.settings.project}"
                "   # then set WORKER_SERVICE, COORDINATOR_SERVICE or CLOUD_RUN_REGION",
            )
            continue
        except OnCallError as error:
            yield from_error(clients, name, error)
            continue
        yield _serving_revision(clients, name, service)


def _serving_revision(clients: Clients, name: str, service: run_v2.Service) -> CheckResult:
    traffic, created = read_traffic(service), short_name(service.latest_created_revision)
    if service.latest_ready_revision != service.latest_created_revision:
        return CheckResult(
            name,
            Health.WARNING,
            f"{name} serves {str(traffic) or 'nothing'}, not its newest revision {created}, which did not become ready.",
            gcloud_command(clients.settings, f"run revisions describe {created}"),
        )
    if traffic.revisions != (created,):
        return CheckResult(
            name,
            Health.WARNING,
            f"{name} serves {traffic}, not its newest revision {created}: its traffic is pinned.",
            gcloud_command(clients.settings, f"run services update-traffic {name} --to-latest"),
        )
    return CheckResult(name, Health.OK, f"{name} serves its newest revision {created} at {service.uri}.")


def _coordinator(clients: Clients) -> Iterator[CheckResult]:
    try:
        info = coordinator_client.read_coordinator(clients)
    except OnCallError as error:
        yield CheckResult(
            "coordinator",
            Health.CRITICAL,
            f"{error.message} {error.hint} Runs can be followed in the tables, but not started from here.".strip(),
            gcloud_command(
                clients.settings,
                f"run services describe {clients.settings.coordinator_service} --format='value(status.url)'",
            )
            + "   # then set COORDINATOR_URL",
        )
        return
    is_own = {"players", "resume"} <= info.supports
    kind = "supports player re-runs and resume" if is_own else "legacy: whole-date re-runs only, no resume"
    yield CheckResult("coordinator", Health.OK, f"{info.service} answers at {info.url} ({kind}).")
    if info.thresholds and info.thresholds != clients.settings.fingerprint:
        text = f"It uses other thresholds ({info.thresholds}) than this dashboard ({clients.settings.fingerprint})."
        repair_command = f"{deploy_command(clients)}   # gives deploy/thresholds.env to each part"
        yield CheckResult("coordinator's thresholds", Health.WARNING, text, repair_command)


def _set_variable_command(clients: Clients, flag: str) -> str:
    return gcloud_command(clients.settings, f"run services update prediction-on-call {flag}")
