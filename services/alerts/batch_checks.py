"""The rules about a night's batch: stalled, at 0 %, empty, not consolidated, not run, losing rows, or silent. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.alerts.findings import BLIND, QUIET, Look, Told, all_active, clock_time, count_told, share
from services.batches.reader import Batch
from services.batches.state import LIVE, STALLED_AFTER, BatchState
from services.core.result import Health
from services.core.text import many
from services.nights.missing_players import Why, missing
from services.runs.verification import sums

COLLAPSED_PCT = 10.0
AT_ZERO_AFTER = timedelta(minutes=5)


def stalled(look: Look) -> Told:
    newest = look.night.newest
    if newest is None:
        return BLIND if look.night.batches.value is None else QUIET
    if newest.state is not BatchState.STALLED or all_active(look.played):
        return QUIET
    far = f"{count_told(newest.generated)} of {count_told(newest.requested)} generated"
    return Told(Health.CRITICAL, f"{newest.batch_id} stands still: {far}; {newest.status_text}")


def at_zero(look: Look) -> Told:
    newest = look.night.newest
    if newest is None:
        return BLIND if look.night.batches.value is None else QUIET
    old = newest.started is not None and look.now - newest.started > AT_ZERO_AFTER
    stands = newest.state in LIVE or newest.state is BatchState.STALLED
    if stands and old and not newest.generated and newest.requested != 0:
        return Told(
            Health.CRITICAL,
            f"{newest.batch_id}: 0 of {count_told(newest.requested)} since {clock_time(newest.started)}",
        )
    return QUIET


def nothing(look: Look) -> Told:
    night, newest = look.played, look.night.newest
    if night is None or newest is None:
        return BLIND if look.night.night.value is None or look.night.batches.value is None else QUIET
    ended = newest.state in (BatchState.CONSOLIDATED, BatchState.REPORTED_SUCCESS)
    if not ended or night.written_rows or not any(p.eligible for p in night.players):
        return QUIET
    return Told(Health.CRITICAL, f"{newest.batch_id} says {newest.state}, and the date has no row")


def consolidation(look: Look) -> Told:
    night, newest = look.night.night.value, look.night.newest
    if night is None or look.night.batches.value is None:
        return BLIND
    if newest is not None and newest.state is BatchState.CONSOLIDATION_FAILED:
        return Told(Health.CRITICAL, f"{newest.batch_id}: {newest.status_text}")
    waiting = [m for m in missing(night) if m.why is Why.NOT_CONSOLIDATED]
    if not waiting or newest is None or newest.state in LIVE or _may_still_merge(newest, look.now):
        return QUIET
    return Told(
        Health.CRITICAL,
        f"{many(len(waiting), 'player')} {'waits' if len(waiting) == 1 else 'wait'} in staging, and {newest.batch_id} is {newest.state}",
    )


def _may_still_merge(newest: Batch, now: datetime) -> bool:
    """The customer's coordinator merges after its last worker has ended, and its log may be late or silent about it."""
    lately = newest.ended is not None and now - newest.ended <= STALLED_AFTER
    return newest.recorded_in == "logs" and newest.state is BatchState.REPORTED_SUCCESS and lately


def not_run(look: Look) -> Told:
    night = look.played
    if night is None:
        return BLIND if look.night.night.value is None else QUIET
    if night.ran is None or look.night.slate.value is None:
        return BLIND
    eligible = sum(bool(p.eligible) for p in night.players)
    if night.ran or look.night.newest is not None or not look.due or not eligible:
        return QUIET
    tip_off = look.night.slate.value.tip_off
    return Told(
        Health.CRITICAL, f"{eligible} players are eligible, none was requested; first tip-off {clock_time(tip_off)}"
    )


def conservation(look: Look) -> Told:
    night, ledger = look.night.night.value, look.night.ledger
    if night is None or not ledger.known:
        return BLIND
    entry = ledger.value
    if entry is not None and entry.state is BatchState.CONSOLIDATED:
        broken = [check.sentence for check in sums(entry) if check.ok is False]
        if broken:
            return Told(Health.CRITICAL, f"{entry.batch_id}: {broken[0]}")
        if share(entry.collapsed_rows, entry.staged_rows) > COLLAPSED_PCT:
            return Told(
                Health.CRITICAL,
                f"{entry.batch_id}: {entry.collapsed_rows} of {entry.staged_rows} staged rows share a key",
            )
    active = [p for p in night.players if p.active_rows and p.generated_rows]
    made, kept = sum(p.generated_rows or 0 for p in active), sum(p.written_rows or 0 for p in active)
    if share(made - kept, made) > COLLAPSED_PCT:
        return Told(Health.CRITICAL, f"{made} rows generated for the {len(active)} active players, {kept} written")
    return QUIET


def silence(look: Look) -> Told:
    newest = look.night.newest
    if not look.night.lines.known or newest is None or look.night.lines.value:
        return QUIET if look.night.lines.known else BLIND
    settled = newest.started is not None and look.now - newest.started > AT_ZERO_AFTER
    told = f"{newest.batch_id} began {clock_time(newest.started)}, and no service has logged a line since"
    return Told(Health.UNKNOWN, told) if settled else QUIET
