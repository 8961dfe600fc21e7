"""The rules that are a part of one of the judgement's statements: rows short, a system absent, writes lost. Pure."""

from __future__ import annotations

from services.alerts.findings import FIRING, NO_DATA, OK, NightContext, Outcome, first_rejection
from services.core.result import Health
from services.judgement.flow import find_lost_writes
from services.judgement.statement import Subject
from services.nights.row_counts import count_rows


def write_success(context: NightContext) -> Outcome:
    """Fires when too many generated players are not written; the other rejections are another rule's."""
    night = context.snapshot.night.value
    if night is None or night.generated_rows is None:
        return NO_DATA
    lost = find_lost_writes(night, context.settings)
    if lost is None:
        return OK
    health = context.judgement.get(Subject.WRITES).health
    return Outcome(health, str(lost), since=first_rejection(lost.players))


def input_step(context: NightContext) -> Outcome:
    """Fires when a step before the predictions is missing, short or failed; the message has its owner and its fix."""
    phases = context.snapshot.phases
    if phases is None or all(reading is not None and reading.value is None for reading in phases.counts.values()):
        return NO_DATA
    report = context.facts.failed_step(context.settings)
    if report is None:
        return OK
    fix = report.step.fix_command(context.settings, context.snapshot.game_date)
    parts = (report.problem, report.text, report.error, f"owner: {report.step.owner}", f"fix: {fix}" if fix else "")
    return Outcome(report.health, "; ".join(filter(None, parts)), since=report.since)


def rows_short(context: NightContext) -> Outcome:
    """Fires when active players have fewer rows than expected; doubled rows are another rule's."""
    night = context.snapshot.night.value
    if night is None:
        return NO_DATA
    is_short = count_rows(night, context.snapshot.usual.value, context.settings).missing > 0
    outcome = context.judged(Subject.ROWS)
    return OK if outcome.health in FIRING and not is_short else outcome


def system_absent(context: NightContext) -> Outcome:
    """Fires when a system of the recent nights has no active row and no running batch may bring it in time."""
    night, facts = context.snapshot.night.value, context.facts
    if night is None or facts.usual.value is None:
        return NO_DATA
    if night.was_run is False or facts.may_complete(context.settings):
        return OK
    absent = [system for system in count_rows(night, facts.usual.value, context.settings).systems if system.is_absent]
    if not absent:
        return OK
    return Outcome(
        Health.CRITICAL, "; ".join(f"{system.system_id}: 0 of {system.players_expected} players" for system in absent)
    )
