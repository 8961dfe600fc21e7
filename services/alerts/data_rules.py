"""The rules about a night's data: duplicates, players without an answer, stale sources, a run outside its time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from services.alerts.facts import Snapshot
from services.alerts.findings import (
    NO_DATA,
    OK,
    NightContext,
    Outcome,
    RuleResult,
    all_active,
    format_clock_time,
    format_count,
)
from services.alerts.rules import RULES_BY_NAME
from services.alerts.source_times import StaleSource, find_stale_sources
from services.batches.ledger import UNANSWERED_OUTCOMES
from services.batches.state import IN_PROGRESS_STATES
from services.core.clock import night_window, to_game_date
from services.core.result import Health
from services.core.settings import Settings
from services.core.text import pluralize


def evaluate_duplicates(snapshot: Snapshot) -> Iterator[RuleResult]:
    """One result per checked night, and one per recent date that has duplicates."""
    rule, counts = RULES_BY_NAME["duplicates"], snapshot.duplicates.value
    nights = {night.game_date: night for night in snapshot.nights}
    for day in sorted({*nights, *(counts or {})}, reverse=True):
        batch = nights[day].newest_batch if day in nights else None
        outcome = NO_DATA if counts is None else _duplicates(counts.get(day, 0))
        batch_id = batch.batch_id if batch else ""
        yield RuleResult(rule, outcome.health, outcome.message, rule.cause, day, batch_id)


def _duplicates(count: int) -> Outcome:
    verb = "has" if count == 1 else "have"
    return Outcome(Health.CRITICAL, f"{pluralize(count, 'key')} {verb} more than one active row") if count else OK


def evaluate_source_times(snapshot: Snapshot, settings: Settings, now: datetime) -> RuleResult:
    """Whether odds or context of tonight were refreshed too long before the run deadline, once that has come."""
    rule, tonight = RULES_BY_NAME["source_stale"], to_game_date(now)
    outcome = NO_DATA
    if snapshot.source_times.value is not None:
        limit = timedelta(hours=settings.source_stale_h)
        stale = find_stale_sources(snapshot.source_times.value, tonight)
        late = [_describe_stale(source) for source in stale if source.behind > limit and now >= source.deadline]
        outcome = Outcome(Health.WARNING, "; ".join(late)) if late else OK
    return RuleResult(rule, outcome.health, outcome.message, rule.cause, tonight)


def _describe_stale(stale: StaleSource) -> str:
    if stale.newest is None:
        return f"{stale.source} has no row of this date at the run deadline, {format_clock_time(stale.deadline)}"
    hours = stale.behind / timedelta(hours=1)
    return f"{stale.source} was last refreshed {format_clock_time(stale.newest)}, {hours:.1f} h earlier than usual"


def unanswered_players(context: NightContext) -> Outcome:
    """Fires when the newest batch ended and players are without an answer."""
    record, batch = context.snapshot.ledger.value, context.snapshot.newest_batch
    if not context.snapshot.ledger.ok or context.snapshot.batches.value is None:
        return NO_DATA
    if record is None or batch is None or record.state in IN_PROGRESS_STATES or record.outcome_counts is None:
        return OK
    counts = {outcome: record.outcome_counts.get(outcome, 0) for outcome in sorted(UNANSWERED_OUTCOMES)}
    unanswered = sum(counts.values())
    if unanswered < context.settings.unanswered_players or all_active(context.played_night):
        return OK
    parts = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    requested = format_count(record.requested)
    return Outcome(
        Health.CRITICAL, f"{record.batch_id}: {unanswered} of {requested} players without an answer ({parts})"
    )


def run_outside_its_time(context: NightContext) -> Outcome:
    """Fires on the night itself when its first run began after the first tip-off, or long before it.

    Later runs repair: they may well begin after the first tip-off.
    """
    batches, tip_off = context.snapshot.batches.value, context.facts.first_tip_off
    if batches is None or context.snapshot.night.value is None:
        return NO_DATA
    first = min((batch.started for batch in batches.batches if batch.started is not None), default=None)
    if first is None or tip_off is None or context.now >= night_window(context.snapshot.game_date)[1]:
        return OK
    lead = tip_off - first
    if timedelta() < lead <= timedelta(hours=context.settings.run_earliest_before_tipoff_h):
        return OK
    hours = abs(lead) / timedelta(hours=1)
    when = f"{hours:.1f} h {'before' if lead > timedelta() else 'after'} the first tip-off"
    return Outcome(Health.WARNING, f"the first run began {format_clock_time(first)}, {when}")
