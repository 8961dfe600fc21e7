"""Searches that Cloud Logging answers in pages, some of them empty, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.core.clock import to_rfc3339
from services.core.errors import SourceUnavailable
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import MAX_LOG_READS_PER_MIN, ReadCache
from services.sandbox.server import Sandbox, start_sandbox
from services.telemetry.log_reader import read_filter, read_lines

START = datetime(2025, 12, 30, 1, tzinfo=UTC)
END = START + timedelta(hours=2)
NEEDLE = 'textPayload:"needle"'


@pytest.fixture(scope="module")
def log_sandbox() -> Iterator[Sandbox]:
    """A log of 1,000 lines of the worker, the last of which has the needle; a page searches 100."""
    sandbox = start_sandbox()
    sandbox.state.logs.scan_limit = 100
    resource = {"type": "cloud_run_revision", "labels": {"service_name": "prediction-worker"}}
    sandbox.state.logs.add(
        [
            {
                "timestamp": to_rfc3339(START + timedelta(seconds=n)),
                "insertId": f"{n:04d}",
                "resource": resource,
                "textPayload": "needle" if n == 999 else f"line {n}",
            }
            for n in range(1_000)
        ]
    )
    yield sandbox
    sandbox.stop()


@pytest.fixture
def log_clients(log_sandbox: Sandbox) -> Clients:
    log_sandbox.state.reset_limits()
    return replace(connect(Settings.from_env({"SANDBOX_URL": log_sandbox.url})), cache=ReadCache())


def test_an_empty_page_is_not_the_end_of_a_search(log_clients):
    found = read_lines(log_clients, NEEDLE, START, END)
    assert [line.message for line in found.lines] == ["needle"]
    assert not found.truncated


def test_every_page_counts_in_the_budget_of_log_reads(log_clients, log_sandbox):
    before = log_sandbox.state.meter.calls["logging.entries.list"]
    for second in range(3):
        read_lines(log_clients, NEEDLE, START, END + timedelta(seconds=second))
    assert log_sandbox.state.meter.calls["logging.entries.list"] - before == MAX_LOG_READS_PER_MIN
    assert log_clients.cache.log_reads_last_minute() == MAX_LOG_READS_PER_MIN
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(30/min\)"):
        read_lines(log_clients, NEEDLE, START, END + timedelta(seconds=9))


def test_a_search_of_too_many_pages_says_that_it_was_cut(log_clients):
    window = f'timestamp>="{to_rfc3339(START)}" AND timestamp<"{to_rfc3339(END)}"'
    cached = replace(log_clients, cache=ReadCache())
    cut = read_filter(cached, f"{NEEDLE} AND {window}", END, 1_000, newest_first=False, max_pages=9)
    assert (cut.lines, cut.truncated) == ((), True)
    whole = read_filter(cached, f"{NEEDLE} AND {window}", END, 1_000, newest_first=False)
    assert len(whole.lines) == 1, "a search that may read further is another one"


def test_more_lines_than_the_limit_are_cut_and_exactly_as_many_are_not(log_clients):
    assert read_lines(log_clients, 'textPayload:"line"', START, END, limit=998).truncated
    assert not read_lines(log_clients, 'textPayload:"line"', START, END, limit=999).truncated


def test_an_entry_that_comes_on_two_pages_is_one_line(log_clients, monkeypatch):
    request = log_clients.logging._connection.api_request

    calls = []

    def answer(method, path, data, **options):
        calls.append(data)
        page = request(method, path, data={k: v for k, v in data.items() if k != "pageToken"}, **options)
        return {"entries": page["entries"]} if len(calls) == 2 else {**page, "nextPageToken": "again"}

    monkeypatch.setattr(log_clients.logging._connection, "api_request", answer)
    (line,) = read_lines(log_clients, 'textPayload="line 7"', START, END).lines
    assert (line.message, line.repeats, len(calls)) == ("line 7", 1, 2)
