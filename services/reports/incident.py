"""The head of the overview: the state of a night in one line, its cause, since when, who has it, and whether a re-run is in time. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from services.alerts.alert_log import Alert, Alerts, AlertState
from services.batches.reader import Batch
from services.core.clock import format_eastern
from services.core.result import Health, Result, worst
from services.core.text import format_duration, pluralize
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.players import LOSS_PHRASES
from services.judgement.statement import Statement, Subject
from services.nights.balance import balance
from services.nights.missing_players import LossReason
from services.policy.dml_limits import MAX_OUTSTANDING_DML, MAX_QUEUED_DML, MAX_RUNNING_DML
from services.telemetry.scheduler import Schedule


class IncidentState(StrEnum):
    """The state of a night as its head shows it: the word of its badge."""

    CRITICAL = "Critical"
    WARNING = "Warning"
    UNKNOWN = "Unknown"
    NOT_RUN_YET = "Not run yet"
    RUNNING = "Running"
    VERIFIED = "Verified"
    NONE_EXPECTED = "Nothing expected"


_STATE_BY_HEALTH = {
    Health.CRITICAL: IncidentState.CRITICAL,
    Health.WARNING: IncidentState.WARNING,
    Health.UNKNOWN: IncidentState.UNKNOWN,
    Health.OK: IncidentState.VERIFIED,
    Health.NONE_EXPECTED: IncidentState.NONE_EXPECTED,
}


@dataclass(frozen=True)
class Fact:
    """One fact below the headline. `health` colours it; `alert_id` makes it a link to that alert."""

    label: str
    value: str
    detail: str = ""
    health: Health | None = None
    alert_id: str = ""


@dataclass(frozen=True)
class Incident:
    """`alert` is the worst open alert of the game date; None without one, or where the alerts cannot be read."""

    state: IncidentState
    title: str
    cause: str
    facts: tuple[Fact, ...]
    alert: Alert | None


def build_incident(
    facts: NightFacts, judgement: NightJudgement, alerts: Result[Alerts], schedule: Result[Schedule]
) -> Incident:
    """The head of a night from its judgement, the alerts and the schedule; what could not be read is "unknown" there."""
    alert = next((a for a in alerts.value.open if a.game_date == facts.game_date), None) if alerts.value else None
    return Incident(
        state=_state(facts, judgement),
        title=_title(judgement),
        cause=_cause(facts, judgement),
        facts=tuple(_list_facts(facts, judgement, alert, alerts.value is not None, schedule)),
        alert=alert,
    )


def _state(facts: NightFacts, judgement: NightJudgement) -> IncidentState:
    health = worst((judgement.health, Health.UNKNOWN)) if facts.outdated else judgement.health
    night = facts.night.value
    if health is Health.UNKNOWN and night is not None and not facts.outdated:
        if facts.is_running:
            return IncidentState.RUNNING
        if night.was_run is False and not balance(night).active:
            return IncidentState.NOT_RUN_YET
    return _STATE_BY_HEALTH[health]


def _title(judgement: NightJudgement) -> str:
    """The players, unless something else is worse and known: then that, without its details."""
    lead, players = judgement.lead, judgement.get(Subject.PLAYERS)
    if lead is not players and lead.health is not Health.UNKNOWN:
        clause = _first_clause(lead.text)
        return clause if "_" in clause.partition(" ")[0] else f"{clause[0].upper()}{clause[1:]}"
    return "Coverage unknown: can't read the predictions table" if players.part is None else players.text


def _first_clause(text: str) -> str:
    return text.partition("; ")[0].partition(" (")[0]


def _cause(facts: NightFacts, judgement: NightJudgement) -> str:
    """Why its values may not be so now; else the cause of the headline, or what is behind a green one."""
    if facts.outdated:
        return " ".join(f"{problem.source}: {problem.message}" for problem in facts.outdated)
    lead = judgement.lead
    if lead.problems and lead.health is Health.UNKNOWN:
        unknown = "" if lead.part is None and lead.subject is Subject.PLAYERS else f"{lead.subject} unknown: "
        return f"{unknown}{lead.problems[0].message} {lead.problems[0].hint}".rstrip()
    if lead.subject is not Subject.PLAYERS:
        details = lead.sentence.removeprefix(_first_clause(lead.text)).strip("; ")
        return f"{judgement.get(Subject.PLAYERS).sentence} · {lead.subject}{': ' if details else ''}{details}"
    if judgement.health is Health.OK:
        count = len(judgement.statements)
        rows = facts.night.value.active_rows if facts.night.value else 0
        return f"{pluralize(rows, 'active row')} · {count} of {count} checks passed"
    return _write_cause(facts, lead) or f"{lead.cause[:1].upper()}{lead.cause[1:]}" or " · ".join(judgement.details)


def _write_cause(facts: NightFacts, lead: Statement) -> str:
    """Rejected writes with their number and the limit they met; "" where they are not the cause, or are not counted."""
    writes = facts.writes.value
    is_cause = lead.cause.endswith(LOSS_PHRASES[LossReason.WRITE_REJECTED])
    if not is_cause or writes is None or not writes.rejected or writes.attempted is None:
        return ""
    peak = writes.peak_outstanding
    limit = f"limit {MAX_OUTSTANDING_DML} ({MAX_RUNNING_DML} running + {MAX_QUEUED_DML} queued)"
    at_limit = f": {peak} DML statements outstanding, {limit}" if peak and peak >= MAX_OUTSTANDING_DML else ""
    return f"BigQuery rejected {writes.rejected:,} of {writes.attempted:,} writes{at_limit}"


def _list_facts(
    facts: NightFacts, judgement: NightJudgement, alert: Alert | None, alerts_read: bool, schedule: Result[Schedule]
) -> Iterator[Fact]:
    missing = _count_missing(facts)
    if missing or not judgement.lead.is_proven:
        yield _since(judgement, alert, facts.now)
    else:
        yield _batch_fact(facts.newest_batch)
    yield _owner(alert, alerts_read, judgement.health, facts.now)
    yield _alert_fact(alert, alerts_read, facts.now)
    deadline = _deadline(facts, schedule)
    yield _deadline_fact(facts, deadline)
    if missing:
        yield _estimate(facts, missing, deadline[1])


def _count_missing(facts: NightFacts) -> int:
    """Eligible players without active rows, of a night that was run."""
    night = facts.night.value
    if night is None or night.was_run is False:
        return 0
    totals = balance(night)
    return totals.expected - totals.active


def _since(judgement: NightJudgement, alert: Alert | None, now: datetime) -> Fact:
    lead = judgement.lead
    problem_since = lead.problems[0].since if lead.problems else None
    since = lead.since or problem_since or (alert.since if alert else None)
    if since is None:
        return Fact("Since", "unknown")
    return Fact("Since", format_eastern(since), format_duration(now - since))


def _batch_fact(batch: Batch | None) -> Fact:
    if batch is None or batch.started is None:
        return Fact("Batch", "none recorded" if batch is None else "unknown")
    took = format_duration(batch.ended - batch.started) if batch.ended is not None else "running"
    return Fact("Batch", format_eastern(batch.started), took)


def _owner(alert: Alert | None, alerts_read: bool, health: Health, now: datetime) -> Fact:
    """Who has acknowledged the alert; a night in trouble has no owner without one, too."""
    if alert is None and not alerts_read:
        return Fact("Owner", "unknown", health=Health.UNKNOWN)
    if alert is None and health not in (Health.CRITICAL, Health.WARNING):
        return Fact("Owner", "none needed")
    if alert is None or alert.state(now) is AlertState.OPEN:
        return Fact("Owner", "No one", health=Health.WARNING)
    return Fact("Owner", alert.last_state_change.actor)


def _alert_fact(alert: Alert | None, alerts_read: bool, now: datetime) -> Fact:
    if alert is None:
        return Fact("Alert", "none open" if alerts_read else "unknown", health=None if alerts_read else Health.UNKNOWN)
    state = alert.state(now)
    return Fact(
        "Alert", alert.alert_id, "not acknowledged" if state is AlertState.OPEN else str(state), alert_id=alert.alert_id
    )


def _deadline(facts: NightFacts, schedule: Result[Schedule]) -> tuple[str, datetime | None]:
    """What a re-run has to be done before, and when that is: the first tip-off to come, else the next scheduled run."""
    if facts.first_tip_off is not None and facts.first_tip_off > facts.now:
        return "First tip-off", facts.first_tip_off
    jobs = schedule.value.jobs if schedule.value else ()
    expected = schedule.value.expected if schedule.value else ()
    times = [
        job.next_at for job in jobs if job.name in expected and job.next_at is not None and job.next_at > facts.now
    ]
    return "Next scheduled run", min(times, default=None)


def _deadline_fact(facts: NightFacts, deadline: tuple[str, datetime | None]) -> Fact:
    label, at = deadline
    if at is None:
        return Fact(label, "unknown", health=Health.UNKNOWN)
    return Fact(label, format_eastern(at), f"in {format_duration(at - facts.now)}")


def _estimate(facts: NightFacts, missing: int, deadline: datetime | None) -> Fact:
    """How long a re-run of the missing players takes at the pace of the date's last batch, and whether that is in time."""
    took = _estimate_duration(facts, missing)
    if took is None:
        return Fact("Re-run", "unknown", "no finished batch to estimate from", Health.UNKNOWN)
    label = f"Re-run takes about {ceil(took / timedelta(minutes=1))} min"
    if deadline is None:
        return Fact(label, "unknown", "no deadline known", Health.UNKNOWN)
    if facts.now + took > deadline:
        return Fact(label, "Will not make it", health=Health.CRITICAL)
    return Fact(label, "Will make it", health=Health.OK)


def _estimate_duration(facts: NightFacts, players: int) -> timedelta | None:
    for batch in facts.batches.value.batches if facts.batches.value else ():
        if batch.started is not None and batch.ended is not None and batch.requested and batch.ended > batch.started:
            return (batch.ended - batch.started) / batch.requested * players
    return None
