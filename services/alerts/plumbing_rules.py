"""Evaluates the rules about what the predictions run on: scheduled jobs, services and subscriptions against the manifest. Pure."""

from __future__ import annotations

from services.alerts.facts import Snapshot
from services.alerts.findings import NO_DATA, OK, Outcome
from services.core.result import Health


def schedule(snapshot: Snapshot) -> Outcome:
    """Critical for the jobs that start the runs, a warning for the other jobs of the manifest, each with its owner."""
    schedule, report = snapshot.schedule.value, snapshot.jobs.value
    if schedule is None:
        return NO_DATA
    others = [
        f"{status.name} {'; '.join(status.problems)} (owner {status.declared.owner})"
        for status in (report.failing if report is not None else ())
        if not any(problem.startswith(f"{status.name} ") for problem in schedule.job_problems)
    ]
    if schedule.job_problems:
        return Outcome(Health.CRITICAL, "; ".join((*schedule.job_problems, *others)))
    return Outcome(Health.WARNING, "; ".join(others)) if others else OK


def service_drift(snapshot: Snapshot) -> Outcome:
    """Every service that is not as declared, with its owner."""
    report = snapshot.services.value
    if report is None:
        return NO_DATA
    return _drift([(s.name, s.problems, s.owner, s.health) for s in report.failing], unknown=bool(report.problems))


def subscription_drift(snapshot: Snapshot) -> Outcome:
    """Every subscription that is missing, pushes to a wrong or dead address, or has a backlog, with its owner."""
    report = snapshot.subscriptions.value
    if report is None:
        return NO_DATA
    failing = [(s.name, s.problems, s.declared.owner, s.health) for s in report.failing]
    return _drift(failing, unknown=bool(report.problems))


def _drift(failing: list[tuple[str, tuple[str, ...], str, Health]], unknown: bool) -> Outcome:
    """Critical where one of the failing parts is; without any, no data where not everything could be read."""
    if not failing:
        return NO_DATA if unknown else OK
    sentences = [f"{name} {'; '.join(problems)} (owner {owner})" for name, problems, owner, _ in failing]
    critical = any(health is Health.CRITICAL for *_, health in failing)
    return Outcome(Health.CRITICAL if critical else Health.WARNING, "; ".join(sentences))
