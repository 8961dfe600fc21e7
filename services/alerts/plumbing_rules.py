"""Evaluates the rules about what the predictions run on: scheduled jobs and services against the manifest. Pure."""

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
    if report is None or (report.problems and not report.failing):
        return NO_DATA
    if not report.failing:
        return OK
    sentences = [f"{s.name} {'; '.join(s.problems)} (owner {s.owner})" for s in report.failing]
    health = Health.CRITICAL if any(s.health is Health.CRITICAL for s in report.failing) else Health.WARNING
    return Outcome(health, "; ".join(sentences))
