"""The alert policies on what the watchdog really logs."""

from __future__ import annotations

from datetime import timedelta

from services.alerts.alert_log import Alerts
from services.alerts.evaluation import evaluate_rules
from services.alerts.event_plan import plan_alert_events
from services.alerts.facts import ChannelStatus, read_snapshot
from services.alerts.incidents import group_by_cause
from services.alerts.watchdog import CycleResult, log_result
from tests.support.factories import NIGHT
from tests.support.monitoring_policies import AT, find_policy, first_firing, make_json_entry


def test_the_watchdogs_log_of_29_december_fires_the_missing_players_policy(clients, caplog):
    caplog.set_level("INFO", logger="watchdog")
    facts = read_snapshot(clients, (NIGHT,), ChannelStatus(True))
    incidents = group_by_cause(evaluate_rules(facts, clients.settings, clients.now()))
    assert facts.nights[0].night.value is not None
    unknown = Alerts((), facts.nights[0].night.value.sources[0])
    alert_events = plan_alert_events(
        unknown, incidents, frozenset(), frozenset({NIGHT}), clients.settings, clients.now()
    )
    log_result(CycleResult(clients.now(), clients.settings.fingerprint, (), incidents, alert_events, None))
    written = [make_json_entry("prediction-on-call-watchdog", record.getMessage()) for record in caplog.records]
    assert first_firing(find_policy("players are missing"), written, AT - timedelta(minutes=1), AT + timedelta(hours=1))
