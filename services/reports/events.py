"""What happened and when: batches, rejected writes, config changes, alerts and actions, for the timeline of a date and for the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeVar

from services.actions.log_reader import ActionLog
from services.alerts.alert_log import RETENTION, Alerts, EventType
from services.alerts.rules import get_rule
from services.batches.reader import Batches, run_window
from services.batches.state import IN_PROGRESS_STATES
from services.core.result import Health, Result
from services.reports.action_events import action_events
from services.reports.event import ACTIONS, ALERTS, BATCHES, REJECTED, SCALED, Event
from services.scaling.deploys import DeployHistory
from services.telemetry.dml_jobs import DmlReport

T = TypeVar("T")

MINUTE = timedelta(minutes=1)
_CLAIM_EVENTS = (EventType.NOTIFYING, EventType.ESCALATING)
_DELIVERY_EVENTS = (
    EventType.NOTIFIED,
    EventType.NOTIFY_FAILED,
    EventType.ESCALATED,
    EventType.ESCALATION_FAILED,
)
_RAISING_EVENTS = (EventType.OPENED, EventType.REOPENED, EventType.WORSENED)


@dataclass(frozen=True)
class NightEvents:
    """Every mark of a night, oldest first, and the lanes that are not known, each with the reason."""

    game_date: date
    events: tuple[Event, ...]
    unknown_lanes: Mapping[str, str] = field(default_factory=dict)

    def in_lane(self, lane: str) -> tuple[Event, ...]:
        """The events of one lane, oldest first."""
        return tuple(event for event in self.events if event.lane == lane)


def night_events(
    game_date: date,
    now: datetime,
    batches: Result[Batches],
    writes: Result[DmlReport],
    deploys: Result[DeployHistory],
    alerts: Result[Alerts],
    action_log: Result[ActionLog],
) -> NightEvents:
    """The timeline of a night; a source that could not be read leaves its lane unknown, never empty."""
    start, end = run_window(game_date, batches.value)
    events = (
        *_batch_events(batches.value, now),
        *_rejection_events(writes.value),
        *_deploy_events(deploys.value),
        *_alert_events(alerts.value),
        *action_events(action_log.value, now, game_date),
    )
    in_window = [event for event in events if event.lane and event.at < end and (event.ended or event.at) >= start]
    problems = {
        BATCHES: problem_message(batches),
        REJECTED: problem_message(writes),
        SCALED: problem_message(deploys),
        ALERTS: problem_message(alerts),
        ACTIONS: problem_message(action_log),
    }
    unknown_lanes = {lane: problem for lane, problem in problems.items() if problem is not None}
    if writes.value and writes.value.rejected is None:
        unknown_lanes[REJECTED] = "neither the job history nor the log could be read"
    if deploys.value and deploys.value.complete_since and start < deploys.value.complete_since:
        unknown_lanes[SCALED] = f"deploys before {deploys.value.complete_since:%d %b %H:%M} UTC are not read"
    if start < now - RETENTION:
        unknown_lanes.setdefault(ALERTS, f"alerts that ended more than {RETENTION.days} days ago are not read")
    if action_log.value is None:
        unknown_lanes.setdefault(SCALED, "the action log could not be read")
    return NightEvents(game_date, tuple(sorted(in_window, key=lambda event: event.at)), unknown_lanes)


def problem_message(result: Result[T]) -> str | None:
    """Why a source is unknown; None where it was read."""
    if result.value is not None:
        return None
    return result.problem.message if result.problem else "not read"


def recent_events(
    alerts: Alerts | None,
    action_log: ActionLog | None,
    batches: Batches | None,
    deploys: DeployHistory | None,
    start: datetime,
    end: datetime,
) -> tuple[Event, ...]:
    """The list of everything from `start` until before `end`, newest first, from what could be read."""
    events = (
        *_alert_events(alerts),
        *action_events(action_log, end),
        *_batch_events(batches, end),
        *_deploy_events(deploys),
    )
    in_window = (event for event in events if event.kind and start <= event.at < end)
    return tuple(sorted(in_window, key=lambda event: event.at, reverse=True))


def count_by_kind(events: Iterable[Event]) -> dict[str, int]:
    """How many of each kind there are, by name of the kind."""
    return dict(sorted(Counter(event.kind for event in events).items()))


def _batch_events(batches: Batches | None, now: datetime) -> Iterator[Event]:
    for batch in batches.batches if batches else ():
        if batch.started:
            requested_text = "unknown number" if batch.requested is None else f"{batch.requested:,}"
            started_text = f"{requested_text} requested, started by: {batch.started_by or 'unknown'}"
            # By the minute: a picture that changed at each refresh would take the focus from the mark that is being read.
            running_until = (
                max(batch.started, now.replace(second=0, microsecond=0)) if batch.state in IN_PROGRESS_STATES else None
            )
            yield Event(
                at=batch.started,
                ended=batch.ended or running_until,
                actor=batch.started_by,
                lane=BATCHES,
                label=f"{requested_text} requested · {batch.state}",
                message=f"{batch.batch_id}: {batch.state}, {started_text}",
                health=batch.health,
                kind="batch",
                page="runs",
                params={"batch": batch.batch_id},
                summary=f"{batch.batch_id} started, {requested_text} requested",
            )
        if batch.ended:
            yield Event(
                at=batch.ended,
                actor="coordinator",
                health=batch.health,
                kind="batch",
                page="runs",
                params={"batch": batch.batch_id},
                summary=f"{batch.batch_id} ended: {batch.state}, {batch.status_text}",
            )


def _rejection_events(report: DmlReport | None) -> Iterator[Event]:
    for minute, attempted, rejected in report.by_minute if report else ():
        if rejected:
            yield Event(
                at=minute,
                ended=minute + MINUTE,
                lane=REJECTED,
                label=f"{rejected:,}",
                message=f"{rejected:,} of {attempted:,} writes rejected in this minute",
                health=Health.CRITICAL,
                count=rejected,
            )


def _deploy_events(history: DeployHistory | None) -> Iterator[Event]:
    for deploy in history.deploys if history else ():
        problem_text = f", did not become ready: {deploy.problem}" if deploy.problem else ""
        summary = f"Revision {deploy.revision} deployed ({deploy.capacity_text}){problem_text}"
        yield Event(
            at=deploy.at,
            actor=deploy.by,
            lane=SCALED,
            label=f"{deploy.service.removeprefix('prediction-')} {deploy.capacity_text}",
            message=f"{summary}, by {deploy.by or 'unknown'}",
            health=deploy.health,
            kind="deploy",
            summary=summary,
            page="worker_capacity",
        )


def _alert_events(alerts: Alerts | None) -> Iterator[Event]:
    """Changes of an alert are on the timeline and in the list; its notifications are in the list alone."""
    for alert in alerts.alerts if alerts else ():
        for event in alert.events:
            reason_text = f" — {event.reason}" if event.reason else ""
            if event.event in _CLAIM_EVENTS:
                continue
            if event.event in _DELIVERY_EVENTS:
                delivery_text = event.facts.get("delivery", "")
                yield Event(
                    at=event.recorded_at,
                    actor=event.actor,
                    kind="notification",
                    page="alerts",
                    params={"alert": alert.alert_id},
                    summary=f"{alert.alert_id} {EventType.label(event.event)}: {delivery_text}{reason_text}",
                )
                continue
            word = EventType.label(event.event)
            is_resolved = event.event == EventType.RESOLVED
            calm_health = Health.OK if is_resolved else Health.NONE_EXPECTED
            yield Event(
                at=event.recorded_at,
                actor=event.actor,
                lane=ALERTS,
                label=f"{get_rule(event.rule).title.partition(' (')[0]} · {word}",
                message=f"{get_rule(event.rule).title}, {word}: {event.message} ({event.actor})",
                health=event.severity if event.event in _RAISING_EVENTS else calm_health,
                kind="" if event.event == EventType.UPDATED else "alert",
                page="alerts",
                params={"alert": alert.alert_id},
                summary=f"{alert.alert_id} {word}: {event.message}{reason_text}",
            )
