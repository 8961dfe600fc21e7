"""The night on one line of time: what ran, what was rejected, what was changed, told and done; what could not be read is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.log_reader import Log, State
from services.alerts.alert_log import KEEP_FOR, Alerts
from services.batches.reader import Batches
from services.batches.state import LIVE
from services.core.clock import night_window
from services.core.result import Health, Reading
from services.scaling.service_widths import Widths
from services.telemetry.dml_jobs import DmlReport

BATCHES, REJECTED, SCALED, ALERTS, ACTIONS = LANES = (
    "batches",
    "rejected writes",
    "scale changes",
    "alerts",
    "actions",
)
MINUTE = timedelta(minutes=1)
OF_STATE = {
    State.UNDER_WAY: Health.NONE_EXPECTED,
    State.DONE: Health.OK,
    State.FAILED: Health.CRITICAL,
    State.REFUSED: Health.WARNING,
    State.DENIED: Health.WARNING,
    State.UNVERIFIED: Health.UNKNOWN,
}


@dataclass(frozen=True)
class Mark:
    """One thing that happened: at an instant, or for a while."""

    lane: str
    at: datetime
    label: str  # two or three words beside it
    sentence: str
    health: Health
    ended: datetime | None = None
    count: int = 1  # rejected writes of that minute


@dataclass(frozen=True)
class NightLine:
    """Every mark of a night, oldest first, and the lanes that are not known, each with the reason."""

    game_date: date
    marks: tuple[Mark, ...]
    unknown: Mapping[str, str] = field(default_factory=dict)

    def of(self, lane: str) -> tuple[Mark, ...]:
        return tuple(mark for mark in self.marks if mark.lane == lane)


def night_line(
    game_date: date,
    now: datetime,
    batches: Reading[Batches],
    writes: Reading[DmlReport],
    widths: Reading[Widths],
    alerts: Reading[Alerts],
    log: Reading[Log],
) -> NightLine:
    """What each source tells of a night; one that could not be read leaves its lane unknown, never empty."""
    start, end = night_window(game_date)
    found: list[Mark] = []
    if batches.value:
        found += _batches(batches.value, now)
    if writes.value:
        found += _rejected(writes.value)
    if widths.value:
        found += _deploys(widths.value)
    if alerts.value:
        found += _alerts(alerts.value)
    if log.value:
        found += _actions(log.value, now)
    inside = [mark for mark in found if mark.at < end and (mark.ended or mark.at) >= start]
    read: dict[str, Reading[Any]] = {BATCHES: batches, REJECTED: writes, SCALED: widths, ALERTS: alerts, ACTIONS: log}
    unknown = {lane: _why(reading) for lane, reading in read.items() if reading.value is None}
    if writes.value and writes.value.rejected is None:
        unknown[REJECTED] = "neither the job history nor the log could be read"
    if start < now - KEEP_FOR:
        unknown.setdefault(ALERTS, f"alerts that ended more than {KEEP_FOR.days} days ago are not read")
    if log.value is None:
        unknown.setdefault(SCALED, "the action log could not be read")
    return NightLine(game_date, tuple(sorted(inside, key=lambda mark: mark.at)), unknown)


def _why(reading: Reading[Any]) -> str:
    return reading.problem.sentence if reading.problem else "not read"


def _batches(batches: Batches, now: datetime) -> Iterator[Mark]:
    for batch in batches.batches:
        if batch.started is None:
            continue
        asked = "an unknown number of" if batch.requested is None else f"{batch.requested:,}"
        told = f"{batch.batch_id}: {batch.state}, {asked} players asked, by {batch.started_by or 'nobody known'}"
        # By the minute: a picture that changed at each look would take the focus from the mark that is being read.
        until = max(batch.started, now.replace(second=0, microsecond=0)) if batch.state in LIVE else None
        ended = batch.ended or until
        yield Mark(BATCHES, batch.started, f"{asked} asked, {batch.state}", told, batch.health, ended)


def _rejected(report: DmlReport) -> Iterator[Mark]:
    for minute, attempted, rejected in report.by_minute:
        if rejected:
            told = f"{rejected:,} of {attempted:,} writes rejected in this minute"
            yield Mark(REJECTED, minute, f"{rejected:,}", told, Health.CRITICAL, minute + MINUTE, rejected)


def _deploys(widths: Widths) -> Iterator[Mark]:
    for service in widths.services:
        if service.revision_since:
            width = f"{service.max_instances or 'no maximum'} × {service.request_concurrency}"
            told = f"{service.revision} began to serve, {width}, by {service.changed_by}"
            short = service.service.removeprefix("prediction-")
            yield Mark(SCALED, service.revision_since, f"{short} {width}", told, service.health)


def _alerts(alerts: Alerts) -> Iterator[Mark]:
    for alert in alerts.alerts:
        for event in alert.events:
            if event.event in ("telling", "told", "not told"):
                continue
            loud = event.event in ("opened", "reopened", "worsened")
            health = event.severity if loud else Health.OK if event.event == "resolved" else Health.NONE_EXPECTED
            told = f"{event.event}: {event.sentence} ({event.actor})"
            yield Mark(ALERTS, event.recorded_at, f"{alert.cause} {event.event}", told, health)


def _actions(log: Log, now: datetime) -> Iterator[Mark]:
    for action in log.actions:
        if action.verb.startswith("alerts."):
            continue  # told by the alert itself
        lane = SCALED if action.verb.startswith("scaling.") else ACTIONS
        health = Health.UNKNOWN if action.quiet(now) else OF_STATE[action.state]
        came = action.sentence if action.ended else "no outcome is recorded yet"
        told = f"{action.title}, by {action.actor}: {action.state}. {came}"
        yield Mark(lane, action.begun, f"{action.title}: {action.state}", told, health)
