"""The night on one line of time: what ran, what was rejected, what was changed, told and done; what could not be read is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.log_reader import ActionLog, ActionState
from services.alerts.alert_log import RETENTION, Alerts
from services.batches.reader import Batches
from services.batches.state import IN_PROGRESS_STATES
from services.core.clock import night_window
from services.core.result import Health, Result
from services.scaling.capacity import ServiceCapacities
from services.telemetry.dml_jobs import DmlReport

BATCHES, REJECTED, SCALED, ALERTS, ACTIONS = LANES = (
    "batches",
    "rejected writes",
    "scale changes",
    "alerts",
    "actions",
)
MINUTE = timedelta(minutes=1)
HEALTH_BY_ACTION_STATE = {
    ActionState.IN_PROGRESS: Health.NONE_EXPECTED,
    ActionState.DONE: Health.OK,
    ActionState.FAILED: Health.CRITICAL,
    ActionState.REFUSED: Health.WARNING,
    ActionState.DENIED: Health.WARNING,
    ActionState.UNVERIFIED: Health.UNKNOWN,
}


@dataclass(frozen=True)
class NightEvent:
    """One thing that happened: at an instant, or for a while."""

    lane: str
    at: datetime
    label: str  # two or three words beside it
    message: str
    health: Health
    ended: datetime | None = None
    count: int = 1  # rejected writes of that minute


@dataclass(frozen=True)
class NightEvents:
    """Every mark of a night, oldest first, and the lanes that are not known, each with the reason."""

    game_date: date
    events: tuple[NightEvent, ...]
    unknown_lanes: Mapping[str, str] = field(default_factory=dict)

    def in_lane(self, lane: str) -> tuple[NightEvent, ...]:
        return tuple(event for event in self.events if event.lane == lane)


def night_events(
    game_date: date,
    now: datetime,
    batches: Result[Batches],
    writes: Result[DmlReport],
    capacities: Result[ServiceCapacities],
    alerts: Result[Alerts],
    action_log: Result[ActionLog],
) -> NightEvents:
    """What each source tells of a night; one that could not be read leaves its lane unknown, never empty."""
    start, end = night_window(game_date)
    events: list[NightEvent] = []
    if batches.value:
        events += _batch_events(batches.value, now)
    if writes.value:
        events += _rejection_events(writes.value)
    if capacities.value:
        events += _deploy_events(capacities.value)
    if alerts.value:
        events += _alert_events(alerts.value)
    if action_log.value:
        events += _action_events(action_log.value, now)
    in_window = [event for event in events if event.at < end and (event.ended or event.at) >= start]
    result_by_lane: dict[str, Result[Any]] = {
        BATCHES: batches,
        REJECTED: writes,
        SCALED: capacities,
        ALERTS: alerts,
        ACTIONS: action_log,
    }
    unknown_lanes = {lane: _problem_message(result) for lane, result in result_by_lane.items() if result.value is None}
    if writes.value and writes.value.rejected is None:
        unknown_lanes[REJECTED] = "neither the job history nor the log could be read"
    if start < now - RETENTION:
        unknown_lanes.setdefault(ALERTS, f"alerts that ended more than {RETENTION.days} days ago are not read")
    if action_log.value is None:
        unknown_lanes.setdefault(SCALED, "the action log could not be read")
    return NightEvents(game_date, tuple(sorted(in_window, key=lambda event: event.at)), unknown_lanes)


def _problem_message(result: Result[Any]) -> str:
    return result.problem.message if result.problem else "not read"


def _batch_events(batches: Batches, now: datetime) -> Iterator[NightEvent]:
    for batch in batches.batches:
        if batch.started is None:
            continue
        requested_text = "an unknown number of" if batch.requested is None else f"{batch.requested:,}"
        message = (
            f"{batch.batch_id}: {batch.state}, {requested_text} players asked, by {batch.started_by or 'nobody known'}"
        )
        # By the minute: a picture that changed at each look would take the focus from the mark that is being read.
        running_until = (
            max(batch.started, now.replace(second=0, microsecond=0)) if batch.state in IN_PROGRESS_STATES else None
        )
        ended = batch.ended or running_until
        yield NightEvent(BATCHES, batch.started, f"{requested_text} asked, {batch.state}", message, batch.health, ended)


def _rejection_events(report: DmlReport) -> Iterator[NightEvent]:
    for minute, attempted, rejected in report.by_minute:
        if rejected:
            message = f"{rejected:,} of {attempted:,} writes rejected in this minute"
            yield NightEvent(REJECTED, minute, f"{rejected:,}", message, Health.CRITICAL, minute + MINUTE, rejected)


def _deploy_events(capacities: ServiceCapacities) -> Iterator[NightEvent]:
    for service in capacities.services:
        if service.revision_since:
            capacity_text = f"{service.max_instances or 'no maximum'} × {service.concurrency}"
            message = f"{service.revision} began to serve, {capacity_text}, by {service.changed_by}"
            short_name = service.service.removeprefix("prediction-")
            yield NightEvent(SCALED, service.revision_since, f"{short_name} {capacity_text}", message, service.health)


def _alert_events(alerts: Alerts) -> Iterator[NightEvent]:
    for alert in alerts.alerts:
        for event in alert.events:
            if event.event in ("telling", "told", "not told"):
                continue
            is_raised = event.event in ("opened", "reopened", "worsened")
            health = event.severity if is_raised else Health.OK if event.event == "resolved" else Health.NONE_EXPECTED
            message = f"{event.event}: {event.sentence} ({event.actor})"
            yield NightEvent(ALERTS, event.recorded_at, f"{alert.cause} {event.event}", message, health)


def _action_events(action_log: ActionLog, now: datetime) -> Iterator[NightEvent]:
    for action in action_log.actions:
        if action.verb.startswith("alerts."):
            continue  # told by the alert itself
        lane = SCALED if action.verb.startswith("scaling.") else ACTIONS
        health = Health.UNKNOWN if action.is_abandoned(now) else HEALTH_BY_ACTION_STATE[action.state]
        outcome_text = action.message if action.ended_at else "no outcome is recorded yet"
        message = f"{action.title}, by {action.actor}: {action.state}. {outcome_text}"
        yield NightEvent(lane, action.started_at, f"{action.title}: {action.state}", message, health)
