"""The overview: the judgement of the night, and apart from it the signals of the platform, which do not colour the night. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from services.core.clock import format_eastern
from services.core.result import SEVERITY_ORDER, Health, Problem, Result, sum_or_unknown
from services.core.text import pluralize
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.reports.figures import list_unsafe_tables
from services.scaling.capacity import CapacityState, ServiceCapacities
from services.staging.inventory import StagingInventory
from services.telemetry.scheduler import Schedule

T = TypeVar("T")


@dataclass(frozen=True)
class Signal:
    """One row about the platform: its state in words and the page with its evidence."""

    name: str
    health: Health
    text: str
    page: str  # file name in pages/ without .py


def platform_signals(
    staging: Result[StagingInventory], capacities: Result[ServiceCapacities], schedule: Result[Schedule]
) -> tuple[Signal, ...]:
    """What concerns no single night, worst first; what could not be read is unknown, never OK."""
    signals = (
        _build_signal("Worker capacity", "worker_capacity", capacities, _summarize_capacity),
        _build_signal("Staging, all dates", "staging_tables", staging, _summarize_staging),
        _build_signal("Scheduler", "alerts", schedule, _summarize_schedule),
    )
    return tuple(sorted(signals, key=lambda s: SEVERITY_ORDER.index(s.health)))


def _build_signal(name: str, page: str, result: Result[T], summarize: Callable[[T], tuple[Health, str]]) -> Signal:
    if result.value is None:
        return Signal(name, Health.UNKNOWN, _problem_text(result.problem), page)
    health, text = summarize(result.value)
    if result.outdated is not None and health is not Health.CRITICAL:
        return Signal(name, Health.UNKNOWN, f"{text}, but {result.outdated.message}", page)
    return Signal(name, health, text, page)


def _problem_text(problem: Problem | None) -> str:
    if problem is None:
        return "unknown"
    since = f"{format_eastern(problem.since)} ({problem.since:%H:%M} UTC)"
    return f"unknown since {since}: {problem.message}"


def _summarize_staging(inventory: StagingInventory) -> tuple[Health, str]:
    if not inventory.tables:
        return inventory.health, "no leftover staging tables"
    unsafe = list_unsafe_tables(inventory)
    if not unsafe:
        return (
            inventory.health,
            f"{pluralize(len(inventory.tables), 'table')}, all rows merged or in a running batch",
        )
    unmerged_rows = sum_or_unknown(table.unmerged_rows for table in unsafe)
    rows_text = "unknown number of unmerged rows" if unmerged_rows is None else pluralize(unmerged_rows, "unmerged row")
    return (
        inventory.health,
        f"{rows_text} in {len(unsafe)} of {pluralize(len(inventory.tables), 'staging table')}",
    )


def _summarize_capacity(capacities: ServiceCapacities) -> tuple[Health, str]:
    worker = next(s for s in capacities.services if s.writes_predictions)
    worst_service = min(capacities.services, key=lambda s: SEVERITY_ORDER.index(s.health))
    state = "emergency limit" if worker.state is CapacityState.EMERGENCY else str(worker.state)
    size = f"{worker.max_instances or 'no maximum'} × {worker.concurrency}"
    if worker.capacity is None:
        return worst_service.health, f"{worker.service}: {state}, {size}"
    capacity_text = f"{worker.capacity} concurrent ({size}), DML limit {MAX_OUTSTANDING_DML}"
    return worst_service.health, f"{worker.service}: {state}, {capacity_text}"


def _summarize_schedule(schedule: Schedule) -> tuple[Health, str]:
    if schedule.job_problems:
        return Health.CRITICAL, "; ".join(schedule.job_problems)
    if not schedule.expected:
        return Health.NONE_EXPECTED, "no scheduled runs expected"
    next_runs = [job.next_at for job in schedule.jobs if job.name in schedule.expected and job.next_at is not None]
    if not next_runs:
        return Health.UNKNOWN, "next run unknown: Cloud Scheduler has no time for it"
    return (
        Health.OK,
        f"{pluralize(len(schedule.expected), 'job')}, next run {format_eastern(min(next_runs))}",
    )
