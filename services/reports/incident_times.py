"""When a night's loss began, was detected, acknowledged and repaired, and how long players were missing before tip-off. Pure.

Each figure has its source; one that cannot be known has the reason in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.actions.log_reader import ActionState
from services.alerts.alert_log import RETENTION, WATCHDOG, Alert, EventType
from services.core.clock import night_window
from services.core.text import pluralize
from services.judgement.facts import NightFacts
from services.nights.balance import balance
from services.nights.rows import TIME_OF_ROW
from services.reports.handoff_note import HandoffInputs

_ANSWERS = (EventType.ACKNOWLEDGED, EventType.SILENCED, EventType.RESOLVED)


@dataclass(frozen=True)
class Moment:
    """An instant with its source; `at` None: it did not happen or is unknown, and `source` says which and why."""

    at: datetime | None
    source: str


@dataclass(frozen=True)
class MissingTime:
    """Minutes without active rows before the first tip-off, summed over `players`; `minutes` None: unknown, as `source` says."""

    minutes: int | None
    players: int
    source: str


@dataclass(frozen=True)
class IncidentTimes:
    """The course of an incident. All of it is made from the readings of the handoff note."""

    began: Moment
    detected: Moment
    acknowledged: Moment
    repaired: Moment
    missing: MissingTime

    def after_beginning(self, moment: Moment) -> timedelta | None:
        """How long after the beginning something was; None where either is unknown."""
        return moment.at - self.began.at if moment.at is not None and self.began.at is not None else None


def find_times(inputs: HandoffInputs) -> IncidentTimes:
    """The course of the night's incident, from its alerts, writes, actions and rows."""
    alerts = _alerts_of_night(inputs)
    began = _began(inputs, alerts)
    return IncidentTimes(
        began,
        _detected(inputs, alerts),
        _acknowledged(inputs, alerts),
        _repaired(inputs),
        _missing(inputs.facts, began),
    )


def _alerts_of_night(inputs: HandoffInputs) -> tuple[Alert, ...]:
    alerts = inputs.alerts.value.alerts if inputs.alerts.value else ()
    return tuple(alert for alert in alerts if alert.game_date == inputs.facts.game_date and not alert.is_test)


def _no_alert(inputs: HandoffInputs) -> str:
    """Why there is no alert of the night to take a time from."""
    if inputs.alerts.value is None:
        problem = inputs.alerts.problem
        return f"unknown: the alert log could not be read: {problem.message if problem else 'not asked'}"
    if night_window(inputs.facts.game_date)[1] < inputs.facts.now - RETENTION:
        return f"unknown: alerts that ended more than {RETENTION.days} days ago are not read"
    return "no alert of the night is recorded"


def _began(inputs: HandoffInputs, alerts: tuple[Alert, ...]) -> Moment:
    """The first rejected write, else the earliest beginning that an alert of the night records."""
    report = inputs.facts.writes.value
    if first := min((a.at for a in report.attempts if a.ok is False), default=None) if report else None:
        return Moment(first, "first rejected write in the job history")
    if alerts:
        alert = min(alerts, key=lambda alert: alert.since)
        return Moment(alert.since, f"alert {alert.alert_id}")
    return Moment(None, f"no write is known to be rejected, and {_no_alert(inputs)}")


def _detected(inputs: HandoffInputs, alerts: tuple[Alert, ...]) -> Moment:
    openings = [(alert.openings[0].recorded_at, alert.alert_id) for alert in alerts]
    if not openings:
        return Moment(None, _no_alert(inputs))
    at, alert_id = min(openings)
    return Moment(at, f"alert {alert_id} opened")


def _acknowledged(inputs: HandoffInputs, alerts: tuple[Alert, ...]) -> Moment:
    """When a person first took one of the night's alerts."""
    if not alerts:
        return Moment(None, _no_alert(inputs))
    answers = [
        (event.recorded_at, f"alert {alert.alert_id}, {EventType.label(event.event)} by {event.actor}")
        for alert in alerts
        for event in alert.events
        if event.event in _ANSWERS and event.actor != WATCHDOG
    ]
    return Moment(*min(answers)) if answers else Moment(None, "no alert of the night was acknowledged")


def _repaired(inputs: HandoffInputs) -> Moment:
    """The end of the first action after which every eligible player was active; unknown where they are and no action says so."""
    night = inputs.facts.night.value
    if night is None:
        return Moment(None, "unknown: the night could not be read")
    totals = balance(night)
    if missing := totals.expected - totals.active:
        return Moment(None, f"not repaired: {missing:,} of {pluralize(totals.expected, 'player')} missing")
    if inputs.notes.value is None:
        return Moment(None, "unknown: the action log could not be read")
    day = inputs.facts.game_date.isoformat()
    ends = [
        (action.ended_at, f"action “{action.title}”, verified {action.coverage_after.active} active players")
        for action in inputs.notes.value.actions
        if action.ended_at is not None
        and action.state is ActionState.DONE
        and (action.target == day or day in action.title)
        and action.coverage_after is not None
        and action.coverage_after.active >= action.coverage_after.eligible
    ]
    if not ends:
        return Moment(None, "unknown: every player is active, and no action of the log made it so")
    return Moment(*min(ends))


def _missing(facts: NightFacts, began: Moment) -> MissingTime:
    """From the beginning to the first tip-off, for each eligible player until the first of his rows was made."""
    night, tip_off = facts.night.value, facts.first_tip_off
    reason = (
        "the night could not be read"
        if night is None
        else "no tip-off is known"
        if tip_off is None
        else "when it began is unknown"
        if began.at is None
        else "the rows have no time"
        if TIME_OF_ROW in night.absent_columns
        else ""
    )
    if reason or night is None or tip_off is None or began.at is None:
        return MissingTime(None, 0, f"unknown: {reason}")
    undated = sum(bool(player.active_rows) and player.first_made_at is None for player in night.eligible_players)
    if undated:
        return MissingTime(None, 0, f"unknown: the rows of {pluralize(undated, 'player')} have no time")
    until = min(tip_off, facts.now)
    gaps = [gap for gap in _gaps(facts, began.at, until) if gap > timedelta(0)]
    total = sum(gaps, timedelta(0))
    return MissingTime(
        round(total / timedelta(minutes=1)), len(gaps), "time of each player's first row, odds for tip-off"
    )


def _gaps(facts: NightFacts, began: datetime, until: datetime) -> Iterator[timedelta]:
    for player in facts.night.value.eligible_players if facts.night.value else ():
        yield min(player.first_made_at or until, until) - began
