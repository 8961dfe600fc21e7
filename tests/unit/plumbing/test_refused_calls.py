"""Refused calls are counted by service, status and caller; who called is said as well as the log has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.cloud.logging_v2.resource import Resource

from services.core.result import DataSource, Health
from services.plumbing.refused_calls import RefusalReport, group_calls
from services.telemetry.log_pages import ListedEntry

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
PUSH = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"


def entry(status: int = 403, agent: str = PUSH, minutes: int = 0, text: str = "", ip: str = "") -> ListedEntry:
    resource = Resource(type="cloud_run_revision", labels={"service_name": "prediction-worker"})
    request = {"status": status, "userAgent": agent, "remoteIp": ip}
    return ListedEntry(text, "WARNING", NOW + timedelta(minutes=minutes), "i", resource, "l", request)


def report(*entries: ListedEntry, truncated: bool = False) -> RefusalReport:
    return RefusalReport(group_calls(entries), 24, truncated, DataSource("log", NOW))


def test_calls_are_counted_by_status_and_caller_the_most_frequent_first():
    found = report(entry(401), entry(429, minutes=1), entry(429, minutes=9))
    assert [(c.status, c.count, c.caller) for c in found.calls] == [(429, 2, "Pub/Sub push"), (401, 1, "Pub/Sub push")]
    assert (found.calls[0].first_at, found.calls[0].last_at) == (NOW + timedelta(minutes=1), NOW + timedelta(minutes=9))
    assert (found.health, found.headline) == (Health.WARNING, "1 × 401, 2 × 429 in 24 h")
    assert report(entry(), truncated=True).headline == "at least 1 × 403 in 24 h"
    assert (report().health, report().headline) == (Health.OK, "No call was refused in 24 h")


@pytest.mark.parametrize(
    ("fields", "caller"),
    [
        ({"text": "caller sa@p.iam.gserviceaccount.com may not invoke"}, "sa@p.iam.gserviceaccount.com"),
        ({"agent": "Google-Cloud-Scheduler"}, "Cloud Scheduler"),
        ({"agent": "GoogleStackdriverMonitoring-UptimeChecks(https://x)"}, "uptime check"),
        ({"agent": "python-requests/2.32 x"}, "python-requests/2.32"),
        ({"agent": "", "ip": "10.0.0.7"}, "10.0.0.7"),
        ({"agent": ""}, "unknown"),
    ],
)
def test_the_caller_is_the_account_where_the_log_has_it_else_its_kind_else_its_address(fields, caller):
    assert group_calls([entry(**fields)])[0].caller == caller
