"""The events of 29 December as the sandbox holds it: on the timeline and in the list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.actions.log_reader import read_action_log
from services.alerts.alert_log import read_alerts
from services.batches.reader import read_batches
from services.core.clock import night_window
from services.core.result import Health, Result
from services.reports.event import BATCHES, REJECTED, SCALED
from services.reports.events import count_by_kind, recent_events
from services.scaling.deploys import read_deploy_history
from services.telemetry.dml_jobs import read_writes
from tests.support.factories import NIGHT
from tests.unit.reports.test_events import build_events


def test_29_december_has_its_batch_its_90_rejections_and_its_revisions(clients):
    events = build_events(
        batches=Result(read_batches(clients, NIGHT)),
        writes=Result(read_writes(clients, *night_window(NIGHT))),
        deploys=Result(read_deploy_history(clients)),
    )
    assert events.unknown_lanes == {}
    assert sum(mark.count for mark in events.in_lane(REJECTED)) == 90
    (batch,) = events.in_lane(BATCHES)
    assert (batch.label, batch.health) == ("158 requested · reported success", Health.UNKNOWN)
    assert [mark.label for mark in events.in_lane(SCALED)] == ["coordinator 1 × 8", "worker 4 × 3"]


def test_the_list_contains_alerts_messages_batches_and_deploys(checked_sandbox):
    clients, _ = checked_sandbox
    start, end = datetime(2025, 12, 29, tzinfo=UTC), clients.now() + timedelta(hours=1)
    events = recent_events(
        read_alerts(clients),
        read_action_log(clients, start, end),
        read_batches(clients, NIGHT),
        read_deploy_history(clients),
        start,
        end,
    )
    assert {"alert", "notification", "batch", "deploy"} <= set(count_by_kind(events))
    assert [e.at for e in events] == sorted((e.at for e in events), reverse=True)
