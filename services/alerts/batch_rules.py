"""The rules about a night's batch: stalled, at 0 %, empty, not consolidated, not run, losing rows, or without log. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alerts.findings import (
    NO_DATA,
    OK,
    NightContext,
    Outcome,
    all_active,
    format_clock_time,
    format_count,
)
from services.batches.reader import Batch
from services.batches.state import IN_PROGRESS_STATES, STALL_TIMEOUT, BatchState
from services.core.result import Health
from services.core.text import pluralize
from services.nights.missing_players import LossReason, MissingPlayer, list_missing_players


def stalled(context: NightContext) -> Outcome:
    """Fires when the newest batch has made no progress for STALL_TIMEOUT."""
    batch = context.snapshot.newest_batch
    if batch is None:
        return NO_DATA if context.snapshot.batches.value is None else OK
    if batch.state is not BatchState.STALLED or all_active(context.played_night):
        return OK
    progress = f"{format_count(batch.generated)} of {format_count(batch.requested)} generated"
    message = f"{batch.batch_id} stalled: {progress}; {batch.status_text}"
    return Outcome(Health.CRITICAL, message, since=batch.ended or batch.started)


def stuck_at_zero(context: NightContext) -> Outcome:
    """Fires when the newest batch has run for a while and no player is done."""
    batch = context.snapshot.newest_batch
    if batch is None:
        return NO_DATA if context.snapshot.batches.value is None else OK
    overdue = batch.started is not None and context.now - batch.started > context.zero_progress_timeout
    unfinished = batch.state in IN_PROGRESS_STATES or batch.state is BatchState.STALLED
    nobody_done = batch.generated == 0 and not all_active(context.played_night)
    if unfinished and overdue and nobody_done and batch.requested != 0:
        return Outcome(
            Health.CRITICAL,
            f"{batch.batch_id}: 0 of {format_count(batch.requested)} since {format_clock_time(batch.started)}",
            since=batch.started,
        )
    return OK


def produced_nothing(context: NightContext) -> Outcome:
    """Fires when the newest batch ended without a row."""
    night, batch = context.played_night, context.snapshot.newest_batch
    if night is None or batch is None:
        return NO_DATA if context.snapshot.night.value is None or context.snapshot.batches.value is None else OK
    ended = batch.state in (BatchState.CONSOLIDATED, BatchState.UNVERIFIED_SUCCESS)
    if not ended or night.written_rows or not night.eligible_players:
        return OK
    return Outcome(Health.CRITICAL, f"{batch.batch_id}: {batch.state}, but the date has no rows", since=batch.ended)


def consolidation(context: NightContext) -> Outcome:
    """Fires when the consolidation of the newest batch failed."""
    night, batch = context.snapshot.night.value, context.snapshot.newest_batch
    if night is None or context.snapshot.batches.value is None:
        return NO_DATA
    missing = list_missing_players(night)
    waiting = [m for m in missing if m.reason is LossReason.NOT_CONSOLIDATED]
    if batch is not None and batch.state is BatchState.CONSOLIDATION_FAILED:
        return _failed_consolidation(batch, context, bool(waiting), missing)
    if not waiting or batch is None or batch.state in IN_PROGRESS_STATES or _merge_may_follow(batch, context.now):
        return OK
    return Outcome(
        Health.CRITICAL,
        f"{pluralize(len(waiting), 'player')} staged but not consolidated; {batch.batch_id} is {batch.state}",
        since=batch.ended or batch.started,
    )


def _failed_consolidation(
    batch: Batch, context: NightContext, waiting: bool, missing: Sequence[MissingPlayer]
) -> Outcome:
    """Critical while rows or players are missing. Where none is, the ledger's record of the batch is wrong: a warning."""
    since, night = batch.ended or batch.started, context.played_night
    failure = Outcome(Health.CRITICAL, f"{batch.batch_id}: {batch.status_text}", since=since)
    if waiting or any(m.reason is LossReason.UNEXPLAINED for m in missing):
        return failure
    if batch.record_source != "ledger":
        return OK  # the log of another coordinator never shows that its tables were consolidated since
    tables_are_gone = context.staged_batch_ids is not None and batch.batch_id not in context.staged_batch_ids
    if not (tables_are_gone and all_active(night)) or night is None:
        return failure
    message = (
        f"{batch.batch_id} is recorded as {batch.state}, but all {len(night.eligible_players)} eligible players are active"
        " and no staging table of it is left"
    )
    return Outcome(Health.WARNING, message, since=since)


def _merge_may_follow(batch: Batch, now: datetime) -> bool:
    """The customer's coordinator merges after its last worker has ended, and its log may be late or silent about it."""
    ended_recently = batch.ended is not None and now - batch.ended <= STALL_TIMEOUT
    return batch.record_source == "logs" and batch.state is BatchState.UNVERIFIED_SUCCESS and ended_recently


def not_run(context: NightContext) -> Outcome:
    """Fires when no batch has run though tip-off is near."""
    night = context.played_night
    if night is None:
        return NO_DATA if context.snapshot.night.value is None else OK
    if night.was_run is None or (night.was_run is False and night.active_rows):
        return NO_DATA
    eligible = len(night.eligible_players)
    if night.was_run or context.snapshot.newest_batch is not None or not context.coverage_due or not eligible:
        return OK
    tip_off_text = format_clock_time(context.facts.first_tip_off)
    return Outcome(
        Health.CRITICAL,
        f"{eligible} eligible players, none requested; first tip-off {tip_off_text}",
    )


def no_log_lines(context: NightContext) -> Outcome:
    """Fires when no service has logged while a batch runs."""
    batch = context.snapshot.newest_batch
    if not context.snapshot.lines.ok or batch is None or context.snapshot.lines.value:
        return OK if context.snapshot.lines.ok else NO_DATA
    timed_out = batch.started is not None and context.now - batch.started > context.zero_progress_timeout
    message = f"{batch.batch_id} started {format_clock_time(batch.started)}; no service has logged a line since"
    return Outcome(Health.UNKNOWN, message) if timed_out else OK
