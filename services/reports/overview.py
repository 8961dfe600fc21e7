"""The overview: the night's verdict in one line, and one signal per capability, worst first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.clock import format_eastern
from services.core.result import SEVERITY_ORDER, Health, Problem, Result, sum_or_unknown
from services.core.settings import Settings
from services.nights.coverage import classify_night
from services.nights.missing_players import Balance, LossReason, MissingPlayer, balance, list_missing_players
from services.nights.player_stages import NightStatus
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import ServiceCapacities
from services.staging.inventory import StagingInventory, StagingTableState
from services.telemetry.dml_jobs import DmlReport

T = TypeVar("T")


@dataclass(frozen=True)
class Signal:
    """One row of the overview: its state in words and the page with its evidence."""

    name: str
    health: Health
    text: str
    page: str  # file name in pages/ without .py


@dataclass(frozen=True)
class Overview:
    game_date: date
    health: Health
    message: str  # e.g. "90 of 158 players are missing: generated but rejected on write, since 14:47 ET (19:47 UTC)"
    details: tuple[str, ...]
    signals: tuple[Signal, ...]


LOSS_PHRASES = {
    LossReason.WRITE_REJECTED: "generated, but BigQuery rejected the write",
    LossReason.NOT_CONSOLIDATED: "staged, but not consolidated",
    LossReason.INACTIVE: "written, but not active",
    LossReason.SHARES_LOOKUP: "not requested, sharing another player's lookup key",
    LossReason.NEVER_REQUESTED: "never requested",
    LossReason.NOT_GENERATED: "not generated",
    LossReason.UNEXPLAINED: "unexplained",
    LossReason.NOT_RUN_YET: "not run yet",
}


def build_overview(
    game_date: date,
    night: Result[NightStatus],
    dml: Result[DmlReport],
    staging: Result[StagingInventory],
    capacities: Result[ServiceCapacities],
    batches: Result[Batches],
    settings: Settings,
) -> Overview:
    """The verdict and its signals from what could be read; what could not is unknown, never OK."""
    health, message, details = _coverage_verdict(night, settings)
    signals = (
        Signal("Coverage", health, _coverage_text(night), "coverage"),
        _build_signal("DML errors", "dml_errors", dml, _summarize_dml),
        _build_signal("Staging tables", "staging_tables", staging, _summarize_staging),
        _build_signal("Concurrency", "concurrency", capacities, _summarize_capacity),
        _build_signal("Last batch", "runs", batches, lambda b: _summarize_last_batch(b, night.value)),
    )
    health, message = _downgrade_if_unread(health, message, (night, dml, staging, capacities, batches))
    ordered = tuple(sorted(signals, key=lambda s: SEVERITY_ORDER.index(s.health)))
    return Overview(game_date, health, message, details, ordered)


def _downgrade_if_unread(health: Health, message: str, results: tuple[Result[Any], ...]) -> tuple[Health, str]:
    """A night is not OK while a source that could contradict it is unread."""
    unread_count = sum(result.value is None for result in results)
    if health is not Health.OK or not unread_count:
        return health, message
    return Health.UNKNOWN, f"{message}, but {unread_count} of {len(results)} signals could not be read"


def _coverage_verdict(night: Result[NightStatus], settings: Settings) -> tuple[Health, str, tuple[str, ...]]:
    if night.value is None:
        return (
            Health.UNKNOWN,
            "Whether players are missing is unknown: the predictions cannot be read",
            (_problem_text(night.problem),),
        )
    status = night.value
    health = classify_night(status, settings)
    if health is Health.NONE_EXPECTED:
        return health, "No games on this date, so no predictions are expected", ()
    totals = balance(status)
    if status.was_run is False:
        return health, f"Not run yet: {totals.expected} players are eligible, none has been requested", ()
    if totals.unexplained and health is Health.OK:
        health = Health.UNKNOWN
    if totals.active == totals.expected:
        return health, f"All {totals.expected} eligible players have active predictions", _not_in_context_note(status)
    return health, _missing_summary(status, totals), _details(status, totals)


def _missing_summary(night: NightStatus, totals: Balance) -> str:
    """e.g. "90 of 158 players are missing: generated, but BigQuery rejected the write, since 14:47 ET"."""
    eligible = [m for m in list_missing_players(night) if m.player.eligible]
    reason, count = Counter(m.reason for m in eligible).most_common(1)[0]
    missing_count = totals.expected - totals.active
    most_text = "" if count == missing_count else f"{count} of them "
    count_text = f"{missing_count} of {totals.expected} {_players_are(missing_count)} missing"
    return f"{count_text}: {most_text}{LOSS_PHRASES[reason]}{_since_text(eligible)}"


def _players_are(count: int) -> str:
    return "player is" if count == 1 else "players are"


def _since_text(missing_players: list[MissingPlayer]) -> str:
    times = [m.player.write_error.at for m in missing_players if m.player.write_error is not None]
    return f", since {format_eastern(min(times))} ({min(times):%H:%M} UTC)" if times else ""


def _details(night: NightStatus, totals: Balance) -> tuple[str, ...]:
    parts = " + ".join(
        [
            f"{totals.active} active",
            *(f"{count} {LOSS_PHRASES[reason]}" for reason, count in totals.classified),
            f"{totals.unexplained} unexplained",
        ]
    )
    return (f"{totals.expected} eligible = {parts}", *_not_in_context_note(night))


def _not_in_context_note(night: NightStatus) -> tuple[str, ...]:
    """What the eligible count leaves out: names with odds that never reached the context."""
    reasons = (LossReason.NOT_IN_CONTEXT, LossReason.NOT_IN_CONTEXT_ALIAS)
    not_in_context = [missing for missing in list_missing_players(night) if missing.reason in reasons]
    if not not_in_context:
        return ()
    by_alias = sum(m.reason is LossReason.NOT_IN_CONTEXT_ALIAS for m in not_in_context)
    return (f"{len(not_in_context)} more have odds but are not in context; an alias would resolve {by_alias} of them",)


def _coverage_text(night: Result[NightStatus]) -> str:
    if night.value is None:
        return _problem_text(night.problem)
    totals = balance(night.value)
    if not totals.expected:
        return "no eligible players"
    if night.value.was_run is False:
        return f"not run yet, {totals.expected} eligible"
    in_context = sum(bool(p.in_context) for p in night.value.players)
    return (
        f"{totals.active} of {totals.expected} eligible ({100 * totals.active / totals.expected:.1f} %),"
        f" {totals.active} of {in_context} in context ({100 * totals.active / in_context:.1f} %)"
    )


def _build_signal(name: str, page: str, result: Result[T], summarize: Callable[[T], tuple[Health, str]]) -> Signal:
    if result.value is None:
        return Signal(name, Health.UNKNOWN, _problem_text(result.problem), page)
    return Signal(name, *summarize(result.value), page)


def _problem_text(problem: Problem | None) -> str:
    if problem is None:
        return "unknown"
    since = f"{format_eastern(problem.since)} ({problem.since:%H:%M} UTC)"
    return f"unknown since {since}: {problem.message}"


def _summarize_dml(report: DmlReport) -> tuple[Health, str]:
    if report.attempted is None or report.rejected is None:
        if report.rejected_at_least:
            return (
                report.health,
                f"at least {report.rejected_at_least} writes rejected; how many of how many is unknown",
            )
        return report.health, "unknown: the job history could not be read" + (" in full" if report.problems else "")
    if report.attempted == 0:
        return report.health, "no DML against the predictions table this night"
    share_text = f" ({report.rejected_pct:.1f} %)" if report.rejected else ""
    peak_text = (
        f", at most {report.peak_outstanding} of {MAX_OUTSTANDING_DML} at once"
        if report.peak_outstanding is not None
        else ""
    )
    return report.health, f"{report.rejected} of {report.attempted} writes rejected{share_text}{peak_text}"


def _summarize_staging(inventory: StagingInventory) -> tuple[Health, str]:
    if not inventory.tables:
        return inventory.health, "no staging table left behind"
    risky_states = (StagingTableState.ORPHAN, StagingTableState.WAITING, StagingTableState.UNKNOWN)
    risky = [table for table in inventory.tables if table.state in risky_states and not table.is_copy]
    unmerged_rows = sum_or_unknown(table.unmerged_rows for table in risky)
    unmerged_text = "an unknown number of" if unmerged_rows is None else str(unmerged_rows)
    if not risky:
        return inventory.health, f"{len(inventory.tables)} tables, every row of them merged or running"
    return (
        inventory.health,
        f"{len(risky)} of {len(inventory.tables)} tables hold {unmerged_text} rows that are nowhere else",
    )


def _summarize_capacity(capacities: ServiceCapacities) -> tuple[Health, str]:
    worker = next(s for s in capacities.services if s.writes_predictions)
    worst_service = min(capacities.services, key=lambda s: SEVERITY_ORDER.index(s.health))
    text = f"{worker.service} {worker.state}: {worker.max_instances or 'no maximum'} × {worker.concurrency}"
    capacity_text = (
        "" if worker.capacity is None else f" = {worker.capacity} at once, the table admits {MAX_OUTSTANDING_DML}"
    )
    return worst_service.health, text + capacity_text


def _summarize_last_batch(batches: Batches, night: NightStatus | None) -> tuple[Health, str]:
    batch = batches.newest
    if batch is None:
        if night is not None and night.games == 0:
            return Health.NONE_EXPECTED, "no games, no batch"
        return Health.UNKNOWN, "no batch of this date is recorded"
    text = f"{batch.batch_id}: {batch.state}"
    silent = batch.record_source == "logs" and batch.state is BatchState.STALLED  # no line says how it ended
    if batch.state is not BatchState.UNVERIFIED_SUCCESS and not silent:
        return batch.health, text
    if night is None:
        return batch.health, f"{text}, unproven"
    totals = balance(night)
    requested = totals.expected if batch.requested is None else batch.requested
    if totals.active and totals.active >= requested:
        return Health.OK, f"{text}, and {totals.active} players are active"
    if silent:
        return batch.health, text
    generated = "an unknown number" if batch.generated is None else batch.generated
    return Health.CRITICAL, f"{text} for {generated} of {requested}, but {totals.active} are active"
