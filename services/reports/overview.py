"""The overview: tonight's verdict in one line, worst first, and one signal per thing that can be wrong. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.clock import ET
from services.core.result import SEVERITY, Health, Problem, Reading
from services.core.settings import Settings
from services.nights.missing_players import Account, Missing, Why, account, missing
from services.nights.player_stages import Night
from services.policy.coverage_thresholds import judge as judge_coverage
from services.policy.dml_limits import ADMITTED
from services.scaling.service_widths import Widths
from services.staging.inventory import Inventory, TableClass
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
class Verdict:
    game_date: date
    health: Health
    sentence: str  # e.g. "90 of 158 players are missing: generated but rejected on write, since 14:47 ET (19:47 UTC)"
    details: tuple[str, ...]
    signals: tuple[Signal, ...]


LOST_IN_WORDS = {
    Why.WRITE_REJECTED: "generated, but BigQuery rejected the write",
    Why.NOT_CONSOLIDATED: "staged, but not consolidated",
    Why.INACTIVE: "written, but not active",
    Why.NEVER_REQUESTED: "never requested",
    Why.NOT_GENERATED: "not generated",
    Why.UNEXPLAINED: "unexplained",
    Why.NOT_RUN_YET: "not run yet",
}


def judge(
    game_date: date,
    night: Reading[Night],
    dml: Reading[DmlReport],
    staging: Reading[Inventory],
    widths: Reading[Widths],
    batches: Reading[Batches],
    settings: Settings,
) -> Verdict:
    """Put the verdict into words from what could be read; what could not is unknown, never green."""
    health, sentence, details = _coverage(night, settings)
    signals = (
        Signal("Coverage", health, _coverage_text(night), "coverage"),
        _signal("DML errors", "dml_errors", dml, _dml),
        _signal("Staging tables", "staging_tables", staging, _staging),
        _signal("Concurrency", "concurrency", widths, _width),
        _signal("Last batch", "runs", batches, lambda b: _last_batch(b, night.value)),
    )
    health, sentence = _hedged(health, sentence, (night, dml, staging, widths, batches))
    ordered = tuple(sorted(signals, key=lambda s: SEVERITY.index(s.health)))
    return Verdict(game_date, health, sentence, details, ordered)


def _hedged(health: Health, sentence: str, readings: tuple[Reading[Any], ...]) -> tuple[Health, str]:
    """A night is not called all right while a source that could contradict it is unread."""
    unread = sum(reading.value is None for reading in readings)
    if health is not Health.OK or not unread:
        return health, sentence
    return Health.UNKNOWN, f"{sentence}, but {unread} of {len(readings)} signals could not be read"


def _coverage(night: Reading[Night], settings: Settings) -> tuple[Health, str, tuple[str, ...]]:
    if night.value is None:
        return (
            Health.UNKNOWN,
            "Whether players are missing is unknown: the predictions cannot be read",
            (_why(night.problem),),
        )
    facts = night.value
    if facts.games == 0:
        return Health.NONE_EXPECTED, "No games on this date, so no predictions are expected", ()
    sums = account(facts)
    if facts.ran is False:
        return Health.UNKNOWN, f"Not run yet: {sums.expected} players are eligible, none has been requested", ()
    health = judge_coverage(sums.active, sums.expected, facts.games, settings)
    if sums.unexplained and health is Health.OK:
        health = Health.UNKNOWN
    if sums.active == sums.expected:
        return health, f"All {sums.expected} eligible players have active predictions", _apart(facts)
    return health, _lost(facts, sums), _details(facts, sums)


def _lost(night: Night, sums: Account) -> str:
    """e.g. "90 of 158 players are missing: generated, but BigQuery rejected the write, since 14:47 ET"."""
    eligible = [m for m in missing(night) if m.player.eligible]
    why, count = Counter(m.why for m in eligible).most_common(1)[0]
    gone = sums.expected - sums.active
    most = "" if count == gone else f"{count} of them "
    return f"{gone} of {sums.expected} {_players(gone)} missing: {most}{LOST_IN_WORDS[why]}{_since(eligible)}"


def _players(count: int) -> str:
    return "player is" if count == 1 else "players are"


def _since(lost: list[Missing]) -> str:
    times = [m.player.write_error.at for m in lost if m.player.write_error is not None]
    return f", since {min(times).astimezone(ET):%H:%M} ET ({min(times):%H:%M} UTC)" if times else ""


def _details(night: Night, sums: Account) -> tuple[str, ...]:
    parts = " + ".join(
        [
            f"{sums.active} active",
            *(f"{n} {LOST_IN_WORDS[w]}" for w, n in sums.classified),
            f"{sums.unexplained} unexplained",
        ]
    )
    return (f"{sums.expected} eligible = {parts}", *_apart(night))


def _apart(night: Night) -> tuple[str, ...]:
    """What the eligible count leaves out: names with odds that never reached the context."""
    lost = [m for m in missing(night) if m.why in (Why.NOT_IN_CONTEXT, Why.NOT_IN_CONTEXT_ALIAS)]
    if not lost:
        return ()
    by_alias = sum(m.why is Why.NOT_IN_CONTEXT_ALIAS for m in lost)
    return (f"{len(lost)} more have odds but are not in context; an alias would resolve {by_alias} of them",)


def _coverage_text(night: Reading[Night]) -> str:
    if night.value is None:
        return _why(night.problem)
    sums = account(night.value)
    if not sums.expected:
        return "no eligible players"
    if night.value.ran is False:
        return f"not run yet, {sums.expected} eligible"
    context = sum(bool(p.in_context) for p in night.value.players)
    return (
        f"{sums.active} of {sums.expected} eligible ({100 * sums.active / sums.expected:.1f} %),"
        f" {sums.active} of {context} in context ({100 * sums.active / context:.1f} %)"
    )


def _signal(name: str, page: str, reading: Reading[T], tell: Callable[[T], tuple[Health, str]]) -> Signal:
    if reading.value is None:
        return Signal(name, Health.UNKNOWN, _why(reading.problem), page)
    return Signal(name, *tell(reading.value), page)


def _why(problem: Problem | None) -> str:
    if problem is None:
        return "unknown"
    since = f"{problem.since.astimezone(ET):%H:%M} ET ({problem.since:%H:%M} UTC)"
    return f"unknown since {since}: {problem.sentence}"


def _dml(report: DmlReport) -> tuple[Health, str]:
    if report.attempted is None or report.rejected is None:
        seen = report.rejected_in_logs
        return (
            report.health,
            "unknown: no source could be read" if seen is None else f"{seen} rejections in the log; attempts unknown",
        )
    if report.attempted == 0:
        return report.health, "no DML against the predictions table this night"
    share = f" ({report.rejected_pct:.1f} %)" if report.rejected else ""
    peak = f", at most {report.peak_outstanding} of {ADMITTED} at once" if report.peak_outstanding is not None else ""
    return report.health, f"{report.rejected} of {report.attempted} writes rejected{share}{peak}"


def _staging(inventory: Inventory) -> tuple[Health, str]:
    if not inventory.tables:
        return inventory.health, "no staging table left behind"
    risky = [
        t for t in inventory.tables if t.table_class in (TableClass.ORPHAN, TableClass.WAITING, TableClass.UNKNOWN)
    ]
    rows = [t.unmerged_rows for t in risky]
    held = "an unknown number of" if None in rows else str(sum(r or 0 for r in rows))
    if not risky:
        return inventory.health, f"{len(inventory.tables)} tables, every row of them merged or running"
    return inventory.health, f"{len(risky)} of {len(inventory.tables)} tables hold {held} rows that are nowhere else"


def _width(widths: Widths) -> tuple[Health, str]:
    worker = next(s for s in widths.services if s.writes_predictions)
    worst = min(widths.services, key=lambda s: SEVERITY.index(s.health))
    text = f"{worker.service} {worker.width}: {worker.max_instances or 'no maximum'} × {worker.request_concurrency}"
    product = "" if worker.product is None else f" = {worker.product} at once, the table admits {ADMITTED}"
    return worst.health, text + product


def _last_batch(batches: Batches, night: Night | None) -> tuple[Health, str]:
    if not batches.batches:
        return (
            (Health.NONE_EXPECTED, "no games, no batch")
            if night is not None and night.games == 0
            else (Health.UNKNOWN, "no batch of this date is recorded")
        )
    batch = batches.batches[0]
    text = f"{batch.batch_id}: {batch.state}"
    if batch.state is not BatchState.REPORTED_SUCCESS:
        return batch.health, text
    if night is None:
        return Health.UNKNOWN, f"{text}, unproven"
    active = account(night).active
    told = f"{text} for {batch.generated} of {batch.requested}, but {active} are active"
    return (
        (Health.OK, f"{text}, and {active} players are active")
        if active >= (batch.requested or 0)
        else (Health.CRITICAL, told)
    )
