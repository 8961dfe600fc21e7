"""Reports that concern no single night: staging tables, capacity, revisions, scheduled jobs, connections, settings."""

from __future__ import annotations

from services.cli.report import Report, Table
from services.core.env_settings import list_settings
from services.core.errors import InvalidInput
from services.core.result import SEVERITY_ORDER, Health, worst
from services.core.text import pluralize
from services.doctor.examination import run_checks
from services.doctor.first_step import find_first_step
from services.gcp.clients import Clients
from services.plumbing.refused_calls import MAX_HOURS, read_refusals
from services.plumbing.scheduled_jobs import JobStatus, read_job_report
from services.plumbing.service_state import read_service_report
from services.plumbing.subscriptions import read_subscription_report
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.policy.settings_table import GROUPS
from services.scaling.capacity import ServiceCapacity, read_service_capacities
from services.scaling.deploys import read_deploy_history
from services.staging.inventory import BatchTotal, StagingInventory, StagingTable, read_inventory
from services.telemetry.scheduler import ScheduledJob


def staging_report(clients: Clients, with_tables: bool) -> Report:
    """What runs left in staging, by batch, and on request table by table; the rows that exist nowhere else first."""
    inventory = read_inventory(clients)
    tables = [Table("batches", tuple(map(_batch_row, inventory.batches)), "No batch has left a staging table.")]
    if with_tables:
        tables.append(Table("tables", tuple(map(_table_row, inventory.tables)), "There is no staging table."))
    headline = _staging_headline(inventory)
    return Report(
        "Staging tables", inventory.health, headline, (), tuple(tables), inventory.problems, inventory.sources
    )


def _staging_headline(inventory: StagingInventory) -> str:
    tables = [table for table in inventory.tables if not table.is_copy]
    if not tables:
        return "No staging table is left"
    unmerged = [table.unmerged_rows for table in tables]
    if unverified := sum(count is None for count in unmerged):
        return f"Unmerged rows of {unverified:,} of {pluralize(len(tables), 'staging table')} are unknown"
    rows, holding = sum(count or 0 for count in unmerged), sum(bool(count) for count in unmerged)
    return f"{pluralize(rows, 'unmerged row')} in {holding:,} of {pluralize(len(tables), 'staging table')}"


def _batch_row(batch: BatchTotal) -> dict[str, object]:
    return {
        "batch": batch.batch_id,
        "game date": batch.game_date,
        "state": str(batch.state),
        "tables": batch.tables,
        "players": batch.players,
        "rows": batch.rows,
        "unmerged": batch.unmerged_rows,
        "bytes": batch.size_bytes,
        "oldest": batch.oldest,
    }


def _table_row(table: StagingTable) -> dict[str, object]:
    return {
        "table": table.table.rpartition(".")[2],
        "state": str(table.state),
        "game date": table.game_date,
        "rows": table.rows,
        "unmerged": table.unmerged_rows,
        "created": table.created,
        "expires": table.expires or "",
        "batch": table.batch_id,
    }


def capacity_report(clients: Clients) -> Report:
    """Each service's instances × concurrency, its serving revision, and who changed it; the worker's against the DML limit."""
    capacities = read_service_capacities(clients)
    workers = [service for service in capacities.services if service.writes_predictions]
    headline = "; ".join(map(_describe_worker, workers)) or "No service that writes predictions was found"
    health = worst(service.health for service in capacities.services)
    table = Table("services", tuple(map(_service_row, capacities.services)), "No service was found.")
    return Report("Capacity", health, headline, (), (table,), (), capacities.sources)


def _describe_worker(worker: ServiceCapacity) -> str:
    size = f"{worker.max_instances or 'no maximum'} × {worker.concurrency}"
    total = "no limit" if worker.capacity is None else f"{worker.capacity} concurrent"
    return f"{worker.service}: {worker.state}, {total} ({size}), DML limit {MAX_OUTSTANDING_DML}"


def _service_row(service: ServiceCapacity) -> dict[str, object]:
    return {
        "service": service.service,
        "health": service.health,
        "state": str(service.state),
        "max instances": service.max_instances if service.max_instances is not None else "no maximum",
        "of service": service.actual.max_service if service.actual.max_service is not None else "not set",
        "of revision": service.actual.max_revision if service.actual.max_revision is not None else "not set",
        "concurrency": service.concurrency,
        "capacity": service.capacity if service.capacity is not None else "no limit",
        "revision": service.revision,
        "traffic": "latest revision" if service.follows_latest else "pinned",
        "since": service.revision_since,
        "changed by": service.changed_by or None,
    }


def services_report(clients: Clients) -> Report:
    """Each declared service: serving revision, image, commit, traffic, account, last deploy, and its environment against the manifest."""
    report = read_service_report(clients)
    rows = tuple(
        {
            "service": service.name,
            "health": service.health,
            "revision": service.revision,
            "commit": service.commit or "unknown",
            "traffic": "latest revision" if service.traffic.follows_latest else f"pinned: {service.traffic}",
            "variables": f"{service.variables_present} of {service.variables_declared} declared",
            "last deploy changed": ", ".join(service.changed),
            "deployed": service.deployed_at,
            "by": service.deployed_by or None,
            "problem": "; ".join(service.problems),
            "owner": service.owner,
            "service account": service.service_account or "not set",
            "image": service.image or "unknown",
        }
        for service in report.services
    )
    table = Table("services", rows, "No service could be read.")
    return Report("Services", report.health, report.headline, (), (table,), report.problems, (report.source,))


def refusals_report(clients: Clients, hours: int) -> Report:
    """Calls between services that were refused with 401, 403 or 429, by service and caller."""
    if not 1 <= hours <= MAX_HOURS:
        raise InvalidInput(f"{hours} hours are out of range.", f"Choose 1 to {MAX_HOURS}.")
    report = read_refusals(clients, hours)
    rows = tuple(
        {
            "service": calls.service,
            "status": calls.status,
            "caller": calls.caller,
            "calls": calls.count,
            "first": calls.first_at,
            "last": calls.last_at,
        }
        for calls in report.calls
    )
    details = ("Only the newest were read.",) if report.truncated else ()
    table = Table("calls", rows, "No call was refused.")
    return Report("Refused calls", report.health, report.headline, details, (table,), (), (report.source,))


def subscriptions_report(clients: Clients) -> Report:
    """Pub/Sub subscriptions against the manifest: push address, dead letters, backlog; and topics without a subscription."""
    report = read_subscription_report(clients)
    rows = tuple(
        {
            "subscription": state.name,
            "health": state.health,
            "topic": state.declared.topic,
            "oldest unacked (s)": state.oldest_unacked_s,
            "undelivered": state.undelivered,
            "problem": "; ".join(state.problems),
            "dead letters": state.dead_letter_topic,
            "owner": state.declared.owner,
            "pushes to": state.endpoint,
        }
        for state in report.subscriptions
    )
    silent = f"Topics without a subscription: {', '.join(report.silent_topics)}." if report.silent_topics else ""
    table = Table("subscriptions", rows, "No subscription is declared.")
    details = (silent,) if silent else ()
    return Report("Subscriptions", report.health, report.headline, details, (table,), report.problems, (report.source,))


def deploys_report(clients: Clients) -> Report:
    """The revisions of worker and coordinator, the newest first: when, by whom, with what capacity."""
    history = read_deploy_history(clients)
    rows = tuple(
        {
            "at": deploy.at,
            "service": deploy.service,
            "revision": deploy.revision,
            "capacity": deploy.capacity_text,
            "by": deploy.by or None,
            "problem": deploy.problem,
        }
        for deploy in history.deploys
    )
    failed = [deploy for deploy in history.deploys if deploy.problem]
    headline = f"{pluralize(len(rows), 'revision')}, {len(failed)} never became ready"
    details = () if history.complete_since is None else (f"Complete since {history.complete_since:%-d %b %Y}.",)
    newest = {deploy.service: deploy for deploy in reversed(history.deploys)}.values()
    health = Health.CRITICAL if any(deploy.problem for deploy in newest) else Health.OK
    table = Table("revisions", rows, "No revision is listed.")
    return Report("Deployed revisions", health, headline, details, (table,), (), (history.source,))


def schedule_report(clients: Clients) -> Report:
    """Cloud Scheduler's jobs against the manifest: when each ran and runs next, and what is wrong with it."""
    report = read_job_report(clients)
    rows = [_job_row(status.job, status) for status in report.jobs] + [_job_row(job, None) for job in report.undeclared]
    details = (f"{pluralize(len(report.undeclared), 'job')} not in the manifest.",) if report.undeclared else ()
    table = Table("jobs", tuple(rows), "Cloud Scheduler has no job.")
    return Report("Scheduled jobs", report.health, report.headline, details, (table,), (), (report.source,))


def _job_row(job: ScheduledJob | None, status: JobStatus | None) -> dict[str, object]:
    """One job; without a status it is not declared."""
    return {
        "job": status.name if status else job.name if job else "",
        "health": status.health if status else Health.NONE_EXPECTED,
        "state": job.state.lower() if job else "missing",
        "cron": job.cron if job else status.declared.schedule if status else "",
        "zone": job.time_zone if job else status.declared.time_zone if status else "",
        "last attempt": job.last_at if job else None,
        "next": job.next_at if job else None,
        "owner": status.declared.owner if status else "not declared",
        "problem": "; ".join(status.problems) if status else "",
        "target": job.target if job else status.declared.target if status else "",
    }


def doctor_report(clients: Clients) -> Report:
    """Which connections work, and the command that fixes each that does not."""
    report = run_checks(clients)
    ordered = sorted(report.results, key=lambda result: SEVERITY_ORDER.index(result.health))
    rows = tuple(
        {"check": r.subject, "health": r.health, "result": r.message, "fix": r.repair_command} for r in ordered
    )
    first_step = find_first_step(clients.settings, report.results)
    passed = sum(result.health is Health.OK for result in report.results)
    headline = f"{passed} of {pluralize(len(rows), 'connection check')} passed"
    details = (f"First: {first_step}",) if first_step else ()
    return Report("Connections", report.health, headline, details, (Table("checks", rows, ""),), (), report.sources)


def settings_report() -> Report:
    """Every setting with its value now, its default and its meaning; secrets are masked."""
    rows: dict[str, dict[str, object]] = {}
    for group in GROUPS:
        for variable, value, default, meaning in list_settings(group.from_env(), group):
            rows.setdefault(variable, {"variable": variable, "value": value, "default": default, "meaning": meaning})
    changed = sum(row["value"] != row["default"] for row in rows.values())
    table = Table("settings", tuple(rows.values()), "")
    return Report(
        "Settings",
        Health.OK,
        f"{changed} of {pluralize(len(rows), 'setting')} differ from the default",
        tables=(table,),
    )
