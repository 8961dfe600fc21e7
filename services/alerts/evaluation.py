"""Evaluates the rules: each fires, is OK, or has no data. Pure; the clock is an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from services.alerts import batch_rules, data_rules, judgement_rules, plumbing_rules
from services.alerts.alert_log import SECOND_CHANNEL
from services.alerts.facts import Snapshot
from services.alerts.findings import (
    FIRING,
    NO_DATA,
    OK,
    NightContext,
    Outcome,
    RuleResult,
    first_rejection,
    format_clock_time,
    format_total,
)
from services.alerts.remedies import with_possible_remedy
from services.alerts.rules import RULES_BY_NAME
from services.batches.ids import parse_staging_table_name
from services.batches.state import BatchState
from services.core.result import Health
from services.core.settings import Settings
from services.core.text import pluralize
from services.judgement.statement import Subject
from services.nights.balance import balance
from services.nights.missing_players import LossReason, list_missing_players

CAUSE_BY_LOSS_REASON = {  # coverage is a symptom: it belongs to what lost most of the players
    LossReason.WRITE_REJECTED: "writes",
    LossReason.NOT_CONSOLIDATED: "run",
    LossReason.NEVER_REQUESTED: "run",
    LossReason.NOT_RUN_YET: "run",
    LossReason.INACTIVE: "rows",
}


def evaluate_rules(snapshot: Snapshot, settings: Settings, now: datetime) -> tuple[RuleResult, ...]:
    """One result per rule and night, and one per rule of the platform."""
    tables = snapshot.staging.value
    staged = None if tables is None else frozenset(parse_staging_table_name(table.name)[0] for table in tables)
    contexts = [NightContext(night, settings, now, staged) for night in snapshot.nights]
    results = (
        *(result for context in contexts for result in _evaluate_night(context)),
        *data_rules.evaluate_duplicates(snapshot),
        data_rules.evaluate_source_times(snapshot, settings, now),
        *_evaluate_platform(snapshot, settings, now),
    )
    return tuple(with_possible_remedy(result, snapshot) for result in results)


def _evaluate_night(context: NightContext) -> Iterator[RuleResult]:
    batch = context.snapshot.newest_batch
    for name, evaluate in _NIGHT_RULES.items():
        rule, outcome = RULES_BY_NAME[name], evaluate(context)
        yield RuleResult(
            rule,
            outcome.health,
            outcome.message,
            outcome.cause or rule.cause,
            context.snapshot.game_date,
            batch.batch_id if batch else "",
            outcome.since,
        )


def _dml_rejections(context: NightContext) -> Outcome:
    writes = context.snapshot.writes.value
    if writes is None:
        return NO_DATA
    if writes.alert_at is None:
        return NO_DATA if writes.rejected is None else OK
    count_text = f"at least {writes.rejected_at_least}" if writes.rejected is None else f"{writes.rejected}"
    return Outcome(
        Health.CRITICAL,
        f"{count_text}{format_total(writes.attempted)} writes rejected ({context.settings.dml_alert_errors} in"
        f" {context.settings.dml_alert_window_s} s by {format_clock_time(writes.alert_at)})",
        since=min((a.at for a in writes.attempts if a.ok is False), default=writes.alert_at),
    )


def _coverage(context: NightContext) -> Outcome:
    night, batch = context.played_night, context.snapshot.newest_batch
    if night is None:
        return NO_DATA if context.snapshot.night.value is None else OK
    may_come = (context.facts.is_running or night.was_run is False) and not context.coverage_due
    if may_come or (night.was_run is False and batch is None):  # a night without a batch is another rule's
        return OK
    health = context.judgement.get(Subject.PLAYERS).health
    if health not in FIRING:
        return NO_DATA if health is Health.UNKNOWN else OK
    totals = balance(night)
    missing_count = totals.expected - totals.active
    missing = [m for m in list_missing_players(night) if m.player.eligible]
    top_reason = Counter(m.reason for m in missing).most_common(1)[0][0]
    share_text = f"{totals.active} of {totals.expected} eligible players are active ({100 * totals.active / totals.expected:.1f}%)"
    return Outcome(
        health,
        f"{share_text}: {missing_count} missing, most {top_reason}",
        CAUSE_BY_LOSS_REASON.get(top_reason, "run" if _batch_stopped_early(context) else ""),
        first_rejection(missing) or (batch.ended if batch is not None else None),
    )


def _batch_stopped_early(context: NightContext) -> bool:
    """Whether the newest batch stopped before its end, and so caused the players that were not generated."""
    batch = context.snapshot.newest_batch
    return batch is not None and (batch.state is BatchState.STALLED or not batch.generated)


_NIGHT_RULES: dict[str, Callable[[NightContext], Outcome]] = {
    "dml_rejections": _dml_rejections,
    "write_success": judgement_rules.write_success,
    "stalled": batch_rules.stalled,
    "at_zero": batch_rules.stuck_at_zero,
    "unanswered": data_rules.unanswered_players,
    "produced_nothing": batch_rules.produced_nothing,
    "consolidation": batch_rules.consolidation,
    "not_run": batch_rules.not_run,
    "run_time": data_rules.run_outside_its_time,
    "conservation": lambda context: context.judged(Subject.CONSERVATION),
    "system_absent": judgement_rules.system_absent,
    "rows_short": judgement_rules.rows_short,
    "coverage": _coverage,
    "input_step": judgement_rules.input_step,
    "inputs_shrunk": lambda context: context.judged(Subject.INPUTS),
    "lines": lambda context: context.judged(Subject.LINES),
    "names": lambda context: context.judged(Subject.NAMES),
    "silence": batch_rules.no_log_lines,
}


def _evaluate_platform(snapshot: Snapshot, settings: Settings, now: datetime) -> Iterator[RuleResult]:
    """The rules of the platform, which concern no single night."""
    for name, outcome in (
        ("staging_orphans", _staging_orphans(snapshot, settings, now)),
        ("width", _capacity_drift(snapshot)),
        ("schedule", plumbing_rules.schedule(snapshot)),
        ("service_drift", plumbing_rules.service_drift(snapshot)),
        ("subscription_drift", plumbing_rules.subscription_drift(snapshot)),
        ("channel", _channel(snapshot)),
        *_second_channel(snapshot),
        ("unreadable", _sources_down(snapshot)),
    ):
        rule = RULES_BY_NAME[name]
        yield RuleResult(rule, outcome.health, outcome.message, outcome.cause or rule.cause)


def _staging_orphans(snapshot: Snapshot, settings: Settings, now: datetime) -> Outcome:
    if snapshot.staging.value is None:
        return NO_DATA
    tables = snapshot.idle_staging_tables
    expiry_warning = timedelta(hours=settings.expiry_warning_h)
    expiring = [t for t in tables if t.expires is not None and t.expires - now < expiry_warning]
    old = [t for t in tables if t.created and now - t.created > timedelta(hours=settings.orphan_after_h)]
    if expiring:
        first_expiry = min(t.expires for t in expiring if t.expires)
        return Outcome(
            Health.CRITICAL, f"{len(expiring)} staging tables expire, the first at {format_clock_time(first_expiry)}"
        )
    if not old:
        return OK
    batch_count = len({parse_staging_table_name(t.name)[0] for t in old})
    return Outcome(
        Health.WARNING,
        f"older than {settings.orphan_after_h:g} h: {pluralize(len(old), 'staging table')}"
        f" of {pluralize(batch_count, 'batch', 'batches')}",
    )


def _capacity_drift(snapshot: Snapshot) -> Outcome:
    worker = snapshot.worker.value
    if worker is None:
        return NO_DATA
    if not worker.actual.has_own_maximum:
        return Outcome(Health.CRITICAL, f"{worker.service} has no maximum of instances")
    return Outcome(Health.WARNING, worker.drift) if worker.drift and not worker.rolling_out else OK


def _channel(snapshot: Snapshot) -> Outcome:
    if not snapshot.channel.is_set:
        return Outcome(Health.WARNING, "No notification channel configured")
    return Outcome(Health.CRITICAL, snapshot.channel.problem) if snapshot.channel.problem else OK


def _second_channel(snapshot: Snapshot) -> Iterator[tuple[str, Outcome]]:
    """An incident of its own, of the same rule: the first channel may still reach somebody."""
    if problem := snapshot.channel.second_problem:
        yield "channel", Outcome(Health.CRITICAL, problem, SECOND_CHANNEL)


def _sources_down(snapshot: Snapshot) -> Outcome:
    problems = snapshot.problems
    if not problems:
        return OK
    return Outcome(Health.UNKNOWN, "; ".join(f"{p.source}: {p.message}" for p in problems)[:600])
