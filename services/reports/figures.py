"""The five figures of the overview, each with its limit or denominator, and the nights or minutes before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.core.clock import format_eastern, format_short_day, night_window, to_game_date
from services.core.result import Health, Result, sum_or_unknown, worst
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Statement, Subject
from services.nights.coverage import NightCoverage
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import CapacityState, ServiceCapacities, ServiceCapacity
from services.scaling.deploys import DeployHistory
from services.staging.inventory import StagingInventory, StagingTable, StagingTableState
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.job_history import WriteAttempt

BARS = 14  # of a figure: game dates, or parts of the time in which the night wrote
_UNSAFE_STATES = (StagingTableState.ORPHAN, StagingTableState.WAITING, StagingTableState.UNKNOWN)
_CAPACITY_WORDS = {
    CapacityState.EMERGENCY: "Emergency limit",
    CapacityState.NORMAL: "Normal",
    CapacityState.DRIFTED: "Drifted,",
}


@dataclass(frozen=True)
class Bar:
    """One bar: `value` None has none, as on a day without games. `health` of what is judged now; None: the past."""

    title: str
    value: float | None
    health: Health | None = None


@dataclass(frozen=True)
class Figure:
    """A number with its denominator or limit in `unit`, what is behind it, and the page of its evidence.

    `bars` are of what `bars_text` says; the highest of them and `scale` is the full height.
    """

    label: str
    value: str
    unit: str
    detail: str
    health: Health
    page: str
    bars: tuple[Bar, ...] = ()
    bars_text: str = ""
    scale: float = 0.0


def build_figures(
    facts: NightFacts,
    judgement: NightJudgement,
    staging: Result[StagingInventory],
    capacities: Result[ServiceCapacities],
    deploys: Result[DeployHistory],
) -> tuple[Figure, ...]:
    """Coverage, rejected writes, peak concurrent DML, unmerged staged rows, worker capacity; what is unread is unknown."""
    writes = judgement.get(Subject.WRITES)
    return (
        _coverage(facts, judgement.get(Subject.PLAYERS)),
        _rejected_writes(facts.writes.value, writes),
        _peak(facts.writes.value, writes),
        _unmerged(staging, facts.now),
        _capacity(capacities, deploys, facts.now),
    )


def _unknown(label: str, page: str, detail: str = "") -> Figure:
    return Figure(label, "unknown", "", detail, Health.UNKNOWN, page)


# --- coverage -----------------------------------------------------------------------------------------------------------


def _coverage(facts: NightFacts, players: Statement) -> Figure:
    label, page, active, eligible = "Coverage", "coverage", players.part, players.whole
    if active is None or eligible is None:
        return _unknown(label, page, "predictions can't be read")
    earlier = [day for day in facts.usual.value.days if day.game_date < facts.game_date] if facts.usual.value else []
    bars = [Bar(_describe_day(day), _coverage_pct(day)) for day in earlier[1 - BARS :]]
    text = "Coverage by game date"
    if not eligible:
        return Figure(label, "–", "", players.text, players.health, page, tuple(bars), text, 100.0)
    if facts.night.value is not None and facts.night.value.was_run is False:
        unit = f"of {eligible:,}"
        return Figure(label, f"{active:,}", unit, "not run yet", Health.NONE_EXPECTED, page, tuple(bars), text, 100.0)
    pct = 100 * active / eligible
    bars.append(Bar(f"{format_short_day(facts.game_date)}: {pct:.1f}%", pct, players.health))
    compared = next((day for day in reversed(earlier) if _coverage_pct(day) is not None), None)
    delta = f" · {_format_delta(pct, compared)}" if compared is not None else ""
    detail = f"{active:,} of {eligible:,}{delta}"
    return Figure(label, f"{pct:.1f}%", "", detail, players.health, page, tuple(bars), text, 100.0)


def _coverage_pct(day: NightCoverage) -> float | None:
    return None if day.health is Health.UNKNOWN else day.active_pct(day.eligible)


def _describe_day(day: NightCoverage) -> str:
    pct = _coverage_pct(day)
    return f"{format_short_day(day.game_date)}: " + (
        f"{pct:.1f}%" if pct is not None else day.state if day.games else "no games"
    )


def _format_delta(pct: float, compared: NightCoverage) -> str:
    difference = round(pct - (_coverage_pct(compared) or 0.0), 1)
    sign = "+" if difference > 0 else "−" if difference < 0 else "±"
    return f"{sign}{abs(difference):.1f} pt vs {format_short_day(compared.game_date)}"


# --- writes -------------------------------------------------------------------------------------------------------------


def _rejected_writes(report: DmlReport | None, writes: Statement) -> Figure:
    label, page = "Rejected writes", "dml_errors"
    if report is None:
        return _unknown(label, page, "job history can't be read")
    if report.rejected is None or report.attempted is None:
        return _unknown(
            label, page, f"at least {report.rejected_at_least:,} rejected" if report.rejected_at_least else ""
        )
    if not report.attempted:
        return Figure(label, "0", "", "no writes", writes.health, page)
    repaired = " · repaired" if report.rejected and writes.is_proven else ""
    bars = tuple(
        Bar(
            f"{format_eastern(minute)}: {rejected:,} of {attempted:,} rejected",
            rejected,
            writes.health if rejected else None,
        )
        for minute, attempted, rejected in report.by_minute[-BARS:]
    )
    detail = f"{report.rejected:,} of {report.attempted:,} writes{repaired}"
    return Figure(
        label, f"{report.rejected_pct:.1f}%", "", detail, writes.health, page, bars, "Rejected writes by minute", 1.0
    )


def _peak(report: DmlReport | None, writes: Statement) -> Figure:
    label, page, limit = "Peak concurrent DML", "dml_errors", MAX_OUTSTANDING_DML
    if report is None or report.peak_outstanding is None:
        return _unknown(label, page, "job history can't be read in full")
    peak = report.peak_outstanding
    at_limit = peak >= limit
    health = writes.health if at_limit or writes.health is Health.UNKNOWN else Health.OK
    detail = "At limit (2 running + 20 queued)" if at_limit else f"{limit - peak} below the limit"
    bars = tuple(_peak_bars(report.attempts, writes.health))
    return Figure(
        label, f"{peak:,}", f"of {limit}", detail, health, page, bars, "Most concurrent statements", float(limit)
    )


def _peak_bars(attempts: Sequence[WriteAttempt], health: Health) -> Iterable[Bar]:
    """The most concurrent statements in each part of the time in which the night wrote."""
    accepted = [a for a in attempts if a.ok is not False and a.ended is not None]
    if not accepted:
        return
    start = min(a.at for a in accepted)
    step = max((max(a.ended for a in accepted if a.ended) - start) / BARS, timedelta(seconds=1))
    for index in range(BARS):
        begin, end = start + index * step, start + (index + 1) * step
        instants = [begin, *(a.at for a in accepted if begin <= a.at < end)]
        most = max(sum(a.at <= at < (a.ended or a.at) for a in accepted) for at in instants)
        reached = health if most >= MAX_OUTSTANDING_DML else None
        yield Bar(f"{format_eastern(begin, '%H:%M:%S')}: {most}", most, reached)


# --- the platform, whatever the date ------------------------------------------------------------------------------------


def list_unsafe_tables(inventory: StagingInventory) -> list[StagingTable]:
    """The tables with rows that may be nowhere else, without the copies of other tables."""
    return [table for table in inventory.tables if table.state in _UNSAFE_STATES and not table.is_copy]


def _unmerged(staging: Result[StagingInventory], now: datetime) -> Figure:
    label, page = "Unmerged staged rows", "staging_tables"
    if staging.value is None:
        return _unknown(label, page, "staging tables can't be listed")
    inventory, unsafe = staging.value, list_unsafe_tables(staging.value)
    health = worst((inventory.health, Health.UNKNOWN)) if staging.outdated else inventory.health
    if not unsafe:
        count = pluralize(len(inventory.tables), "staging table")
        return Figure(
            label, "0", "", f"{count}, none unmerged" if inventory.tables else "no staging tables", health, page
        )
    rows, dates = sum_or_unknown(t.unmerged_rows for t in unsafe), sorted({t.game_date for t in unsafe if t.game_date})
    of = format_short_day(dates[0]) if len(dates) == 1 else pluralize(len(dates), "game date")
    detail = f"{of} · {len(unsafe)} of {pluralize(len(inventory.tables), 'table')}"
    bars = tuple(_unmerged_bars(unsafe, now, health))
    return Figure(
        label, "unknown" if rows is None else f"{rows:,}", "", detail, health, page, bars, "Unmerged rows by game date"
    )


def _unmerged_bars(unsafe: Sequence[StagingTable], now: datetime, health: Health) -> Iterable[Bar]:
    for day in _last_dates(now):
        tables = [table for table in unsafe if table.game_date == day]
        rows = sum_or_unknown(table.unmerged_rows for table in tables)
        text = "unknown" if rows is None else f"{rows:,} rows"
        yield Bar(f"{format_short_day(day)}: {text}", rows, health if tables else None)


def _last_dates(now: datetime) -> list[date]:
    last = to_game_date(now)
    return [last - timedelta(days=back) for back in reversed(range(BARS))]


def _capacity(capacities: Result[ServiceCapacities], deploys: Result[DeployHistory], now: datetime) -> Figure:
    label, page, limit = "Worker capacity", "worker_capacity", MAX_OUTSTANDING_DML
    if capacities.value is None:
        return _unknown(label, page, "Cloud Run can't be read")
    worker = next(service for service in capacities.value.services if service.writes_predictions)
    health = worst((worker.health, Health.UNKNOWN)) if capacities.outdated else worker.health
    value = "no maximum" if worker.capacity is None else f"{worker.capacity:,}"
    unit = "" if worker.capacity is None else f"of {limit}" if worker.capacity <= limit else "concurrent"
    instances = "no maximum" if worker.max_instances is None else worker.max_instances
    detail = f"{_CAPACITY_WORDS[worker.state]} {instances} × {worker.concurrency}"
    bars = tuple(_capacity_bars(worker, deploys.value, now))
    return Figure(
        label, value, unit, detail, health, page, bars, "Capacity of the revision that served last, by game date"
    )


def _capacity_bars(worker: ServiceCapacity, history: DeployHistory | None, now: datetime) -> Iterable[Bar]:
    deploys = [d for d in history.deploys if d.service == worker.service and not d.problem] if history else []
    for day in _last_dates(now):
        end = min(night_window(day)[1], now)
        latest = max((d for d in deploys if d.at <= end), key=lambda d: d.at, default=None)
        if latest is None or (history and history.complete_since and end < history.complete_since):
            yield Bar(f"{format_short_day(day)}: unknown", None)
        else:
            yield Bar(f"{format_short_day(day)}: {latest.capacity_text}", latest.max_instances * latest.concurrency)
