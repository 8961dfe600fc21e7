"""Players: how many of the eligible ones have active predictions, and why the others have none. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from services.core.result import Health
from services.core.settings import Settings
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.judgement.statement import Repair, Statement, Subject, format_time, unknown
from services.nights.balance import Balance, balance
from services.nights.missing_players import LossReason, list_missing_players
from services.nights.player_stages import NightStatus
from services.phases.report import StepReport
from services.policy.coverage_thresholds import classify_coverage

_PAGE = "missing_players"
LOSS_PHRASES = {  # of the reasons for which a run loses an eligible player
    LossReason.WRITE_REJECTED: "BigQuery rejected the write",
    LossReason.NOT_CONSOLIDATED: "staged but not consolidated",
    LossReason.INACTIVE: "written but not active",
    LossReason.SHARES_LOOKUP: "not requested, sharing another player's lookup key",
    LossReason.NEVER_REQUESTED: "not requested",
    LossReason.NOT_GENERATED: "not generated",
    LossReason.UNEXPLAINED: "unexplained",
}
_REPAIR_BY_REASON = {
    LossReason.NOT_CONSOLIDATED: Repair.CONSOLIDATE,
    LossReason.NOT_RUN_YET: Repair.START_RUN,
    LossReason.SHARES_LOOKUP: None,
}


def judge_players(facts: NightFacts, settings: Settings) -> Statement:
    """Active players of the eligible ones, by the coverage thresholds; until the deadline, what is missing may still come."""
    night = facts.night.value
    if night is None:
        return unknown(Subject.PLAYERS, _PAGE, facts.night)
    totals = balance(night)
    health = classify_coverage(totals.active, totals.expected, night.games, settings)
    is_overdue, is_complete = facts.is_overdue(settings), totals.active == totals.expected
    may_run = facts.is_running or facts.newest_batch is None or not night.was_run
    may_come = may_run and not is_complete and not is_overdue
    contradicts = night.was_run is False and totals.active > 0
    is_open = health is not Health.NONE_EXPECTED and (may_come or contradicts)
    if is_open or (totals.unexplained and health is Health.OK):
        health = Health.UNKNOWN
    explains = night.was_run is not False and not facts.is_running
    statement = Statement(
        Subject.PLAYERS,
        health,
        _text(night, totals, facts, is_overdue),
        _PAGE,
        totals.active,
        totals.expected,
        repair=None if facts.is_running else _repair(night),
        cause=_cause(night, totals, facts.failed_step(settings)) if explains else "",
        since=_missing_since(night) if explains else None,
    )
    return statement.based_on(facts.night)


def _text(night: NightStatus, totals: Balance, facts: NightFacts, is_overdue: bool) -> str:
    if not totals.expected:
        return "No games on this date, so no predictions are expected" if not night.games else "No player is eligible"
    if night.was_run is False and totals.active:
        return f"{totals.active} of {totals.expected} eligible players are active, though none was requested"
    if night.was_run is False:
        tip_off = facts.first_tip_off if is_overdue else None
        late_text = f", first tip-off {format_time(tip_off)}" if tip_off is not None else ""
        return f"Not run yet: {pluralize(totals.expected, 'eligible player')}{late_text}"
    if totals.active == totals.expected:
        return f"All {totals.expected} eligible players have active predictions"
    missing_count = totals.expected - totals.active
    if facts.is_running:
        late_text = " past its deadline" if is_overdue else ""
        return f"Running{late_text}: {totals.active} of {totals.expected} eligible players are active so far"
    verb = "is" if missing_count == 1 else "are"
    return f"{missing_count} of {pluralize(totals.expected, 'player')} {verb} missing"


def _cause(night: NightStatus, totals: Balance, failed_step: StepReport | None) -> str:
    """What most of the missing players have in common, and the step that it comes from; "" when nobody is missing."""
    missing = [m for m in list_missing_players(night) if m.player.eligible]
    if not missing:
        return ""
    reason, count = Counter(m.reason for m in missing).most_common(1)[0]
    most_text = "" if count == totals.expected - totals.active else f"{count} of them "
    step = failed_step if reason is LossReason.NOT_GENERATED else None  # what a step before the predictions may cause
    because = f" because {step.problem}" if step is not None else ""
    return f"{most_text}{LOSS_PHRASES[reason]}{because}"


def _missing_since(night: NightStatus) -> datetime | None:
    """When the first write of an eligible missing player was rejected; None without such a record."""
    missing = (m.player for m in list_missing_players(night) if m.player.eligible)
    return min((player.write_error.at for player in missing if player.write_error is not None), default=None)


def _repair(night: NightStatus) -> Repair | None:
    """What repairs most of the missing players."""
    reasons = Counter(m.reason for m in list_missing_players(night) if m.player.eligible)
    return _REPAIR_BY_REASON.get(reasons.most_common(1)[0][0], Repair.RERUN_PLAYERS) if reasons else None


def list_details(night: NightStatus) -> tuple[str, ...]:
    """The sum behind the players' statement, and what the eligible count leaves out."""
    totals = balance(night)
    if night.was_run is False or totals.active == totals.expected:
        return _not_in_context_note(night)
    parts = " + ".join(
        [
            f"{totals.active} active",
            *(f"{count} {reason.outcome}" for reason, count in totals.classified),
            f"{totals.unexplained} unexplained",
        ]
    )
    return (f"{totals.expected} eligible = {parts}", *_not_in_context_note(night))


def _not_in_context_note(night: NightStatus) -> tuple[str, ...]:
    """Names with odds that never reached the context."""
    reasons = (LossReason.NOT_IN_CONTEXT, LossReason.NOT_IN_CONTEXT_ALIAS)
    not_in_context = [missing for missing in list_missing_players(night) if missing.reason in reasons]
    if not not_in_context:
        return ()
    by_alias = sum(m.reason is LossReason.NOT_IN_CONTEXT_ALIAS for m in not_in_context)
    names, verb = pluralize(len(not_in_context), "name"), "has" if len(not_in_context) == 1 else "have"
    return (f"{names} with odds {verb} no context row; {by_alias} would match through an existing alias",)
