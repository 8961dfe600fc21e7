"""What happened, in one line of time: alerts, actions, batches and new revisions, newest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from services.actions.log_reader import Log
from services.alerts.alert_log import Alerts
from services.batches.reader import Batches
from services.scaling.service_widths import Widths


@dataclass(frozen=True)
class Moment:
    """One thing that happened."""

    when: datetime
    kind: str  # alert, message, action, scale change, batch, deploy
    what: str
    who: str


def timeline(
    alerts: Alerts | None,
    log: Log | None,
    batches: Batches | None,
    widths: Widths | None,
    start: datetime,
    end: datetime,
) -> tuple[Moment, ...]:
    """Everything between two instants, from what could be read."""
    found = [*_alerts(alerts), *_actions(log), *_batches(batches), *_deploys(widths)]
    return tuple(sorted((m for m in found if start <= m.when < end), key=lambda m: m.when, reverse=True))


def kinds(moments: Iterable[Moment]) -> dict[str, int]:
    """How many of each kind there are."""
    return dict(sorted(Counter(moment.kind for moment in moments).items()))


def _alerts(alerts: Alerts | None) -> Iterator[Moment]:
    for alert in alerts.alerts if alerts else ():
        for event in alert.events:
            if event.event in ("telling", "updated"):
                continue
            message = event.event in ("told", "not told")
            said = str(event.facts.get("delivery", "")) if message else event.sentence
            why = f" — {event.reason}" if event.reason else ""
            yield Moment(
                event.recorded_at,
                "message" if message else "alert",
                f"{alert.alert_id} {event.event}: {said}{why}",
                event.actor,
            )


def _actions(log: Log | None) -> Iterator[Moment]:
    for action in log.actions if log else ():
        if action.verb.startswith("alerts."):
            continue  # told by the alert itself
        kind = "scale change" if action.verb.startswith("scaling.") else "action"
        ended = action.sentence if action.ended else "no outcome is recorded"
        yield Moment(action.begun, kind, f"{action.title}: {action.state}. {ended}", action.actor)


def _batches(batches: Batches | None) -> Iterator[Moment]:
    for batch in batches.batches if batches else ():
        if batch.started:
            asked = f"{batch.requested if batch.requested is not None else 'an unknown number of'} players requested"
            yield Moment(batch.started, "batch", f"{batch.batch_id} began, {asked}", batch.started_by)
        if batch.ended:
            yield Moment(
                batch.ended, "batch", f"{batch.batch_id} ended: {batch.state}, {batch.status_text}", "coordinator"
            )


def _deploys(widths: Widths | None) -> Iterator[Moment]:
    for service in widths.services if widths else ():
        if service.revision_since:
            width = f"{service.max_instances or 'any'} × {service.request_concurrency}"
            yield Moment(
                service.revision_since, "deploy", f"{service.revision} began to serve, {width}", service.changed_by
            )
