"""Checks of what the predictions run on: the jobs that start the runs, and the subscriptions that carry them."""

from __future__ import annotations

from collections.abc import Iterator

from services.core.commands import gcloud_command
from services.core.result import Health
from services.doctor.check_result import CheckResult, deploy_command
from services.gcp.clients import Clients
from services.plumbing.manifest import read_declared_jobs
from services.plumbing.scheduled_jobs import compare_jobs
from services.plumbing.service_state import read_service_report
from services.plumbing.subscriptions import read_subscription_report
from services.telemetry.scheduler import read_schedule


def scheduler(clients: Clients) -> Iterator[CheckResult]:
    """The jobs that start the runs: present, enabled, and successful at their last attempt."""
    schedule = read_schedule(clients)
    jobs = {job.name: job for job in schedule.jobs}
    list_command = gcloud_command(clients.settings, "scheduler jobs list", "location")
    for name in schedule.expected:
        if name not in jobs:
            repair_command = f"{list_command}   # then set EXPECTED_JOBS to those that start the runs"
            yield CheckResult(
                name, Health.WARNING, "Missing from Cloud Scheduler: nothing starts this run.", repair_command
            )
        elif problem := jobs[name].problem:
            subcommand = "resume" if "paused" in problem or "disabled" in problem else "describe"
            repair_command = gcloud_command(clients.settings, f"scheduler jobs {subcommand} {name}", "location")
            yield CheckResult(name, Health.WARNING, f"The scheduled run {problem}.", repair_command)
        else:
            yield CheckResult(name, Health.OK, f"Scheduled ({jobs[name].cron}, {jobs[name].time_zone}).")
    report = compare_jobs(read_declared_jobs(clients.settings), schedule)
    health = Health.WARNING if report.failing else report.health  # no connection is lost
    yield CheckResult("job manifest", health, f"{report.headline}.", list_command if report.failing else "")


def service_manifest(clients: Clients) -> Iterator[CheckResult]:
    """Whether each declared service has its variables and serves its newest revision."""
    report = read_service_report(clients)
    details = " ".join(problem.message for problem in report.problems)
    command = ""
    if report.failing:
        command = gcloud_command(clients.settings, f"run services describe {report.failing[0].name}")
    yield CheckResult("service manifest", report.health, f"{report.headline}. {details}".strip(), command)


def subscriptions(clients: Clients) -> Iterator[CheckResult]:
    """Whether Pub/Sub and Cloud Monitoring can be read, and whether the declared subscriptions reach their services."""
    report = read_subscription_report(clients)
    details = " ".join(f"{problem.message} {problem.hint}" for problem in report.problems)
    list_command = f"gcloud pubsub subscriptions list --project={clients.settings.project}" if report.failing else ""
    health = Health.WARNING if report.failing else report.health
    repair_command = deploy_command(clients) if report.problems else list_command
    yield CheckResult("subscriptions", health, f"{report.headline}. {details}".strip(), repair_command)
