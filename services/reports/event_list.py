"""What happened, in one line of time: alerts, actions, batches and new revisions, newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from services.actions.log_reader import ActionLog
from services.alerts.alert_log import Alerts
from services.batches.reader import Batches
from services.scaling.capacity import ServiceCapacities


@dataclass(frozen=True)
class RecentEvent:
    """One thing that happened."""

    when: datetime
    kind: str  # alert, message, action, scale change, batch, deploy
    what: str
    who: str


def recent_events(
    alerts: Alerts | None,
    action_log: ActionLog | None,
    batches: Batches | None,
    capacities: ServiceCapacities | None,
    start: datetime,
    end: datetime,
) -> tuple[RecentEvent, ...]:
    """Everything between two instants, from what could be read."""
    events = [*_alert_events(alerts), *_action_events(action_log), *_batch_events(batches), *_deploy_events(capacities)]
    return tuple(
        sorted((event for event in events if start <= event.when < end), key=lambda event: event.when, reverse=True)
    )


def count_by_kind(events: Iterable[RecentEvent]) -> dict[str, int]:
    """How many of each kind there are."""
    return dict(sorted(Counter(event.kind for event in events).items()))


def _alert_events(alerts: Alerts | None) -> Iterator[RecentEvent]:
    for alert in alerts.alerts if alerts else ():
        for event in alert.events:
            if event.event in ("telling", "updated"):
                continue
            is_notification = event.event in ("told", "not told")
            text = str(event.facts.get("delivery", "")) if is_notification else event.sentence
            reason_text = f" — {event.reason}" if event.reason else ""
            yield RecentEvent(
                event.recorded_at,
                "message" if is_notification else "alert",
                f"{alert.alert_id} {event.event}: {text}{reason_text}",
                event.actor,
            )


def _action_events(action_log: ActionLog | None) -> Iterator[RecentEvent]:
    for action in action_log.actions if action_log else ():
        if action.verb.startswith("alerts."):
            continue  # told by the alert itself
        kind = "scale change" if action.verb.startswith("scaling.") else "action"
        outcome_text = action.message if action.ended_at else "no outcome is recorded"
        yield RecentEvent(action.started_at, kind, f"{action.title}: {action.state}. {outcome_text}", action.actor)


def _batch_events(batches: Batches | None) -> Iterator[RecentEvent]:
    for batch in batches.batches if batches else ():
        if batch.started:
            requested_text = (
                f"{batch.requested if batch.requested is not None else 'an unknown number of'} players requested"
            )
            yield RecentEvent(batch.started, "batch", f"{batch.batch_id} began, {requested_text}", batch.started_by)
        if batch.ended:
            yield RecentEvent(
                batch.ended, "batch", f"{batch.batch_id} ended: {batch.state}, {batch.status_text}", "coordinator"
            )


def _deploy_events(capacities: ServiceCapacities | None) -> Iterator[RecentEvent]:
    for service in capacities.services if capacities else ():
        if service.revision_since:
            capacity_text = f"{service.max_instances or 'any'} × {service.concurrency}"
            yield RecentEvent(
                service.revision_since,
                "deploy",
                f"{service.revision} began to serve, {capacity_text}",
                service.changed_by,
            )
