"""Refused calls are counted by service, status and caller; who called is said as well as the log has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.logging_v2.resource import Resource

from services.core.result import DataSource, Health
from services.gcp.read_cache import ReadCache
from services.plumbing import refused_calls
from services.plumbing.refused_calls import REFUSED_FILTER, RefusalReport, group_calls, read_refusals
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
        ({"agent": "x" * 200}, "x" * 60),
        ({"agent": "", "ip": "10.0.0.7"}, "10.0.0.7"),
        ({"agent": ""}, "unknown"),
    ],
)
def test_the_caller_is_the_account_where_the_log_has_it_else_its_kind_else_its_address(fields, caller):
    assert group_calls([entry(**fields)])[0].caller == caller


def test_an_entry_without_labels_or_status_is_counted_as_such():
    bare = ListedEntry("", None, NOW, None, Resource(type="cloud_run_revision", labels=None), None)
    assert [(calls.service, calls.status) for calls in group_calls([bare])] == [("", 0)]


@pytest.fixture
def searches(monkeypatch):
    """The searches of the log, each with its limit and order; every one finds one call."""
    found: list[tuple[str, int, str]] = []

    def read_entries(_clients: object, search: str, limit: int, order_by: str) -> Any:
        found.append((search, limit, order_by))
        return [entry()], False

    monkeypatch.setattr(refused_calls, "read_entries", read_entries)
    return found


def clients_at(minute: int, cache: ReadCache) -> Any:
    return SimpleNamespace(cache=cache, now=lambda: NOW.replace(minute=minute))


def test_the_newest_refusals_of_the_hours_are_read_and_kept_for_all_who_ask_within_the_hour(searches):
    cache = ReadCache()
    for minute in (1, 59):
        assert read_refusals(clients_at(minute, cache), hours=48).calls[0].count == 1
    assert searches == [
        (f'{REFUSED_FILTER} AND timestamp>="2025-12-28T06:00:00.000000Z"', refused_calls.MAX_ENTRIES, "timestamp desc")
    ]
    assert "429" in REFUSED_FILTER


def test_a_reader_that_reuses_no_answer_reads_again(searches):
    cache = ReadCache(reuse_answers=False)
    for _ in range(2):
        read_refusals(clients_at(1, cache))
    assert len(searches) == 2
