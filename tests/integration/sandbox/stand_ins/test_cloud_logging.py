"""The Logging stand-in answers the real client: filters, order, the read quota and its errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from google.api_core.exceptions import ResourceExhausted, TooManyRequests

from services.core.clock import to_rfc3339
from services.sandbox.server import Sandbox
from services.sandbox.stand_ins.cloud_logging import SCAN_LIMIT, LogStore

WORKER_FILTER = 'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker"'
PROJECT = {"resourceNames": ["projects/nba-props-platform"]}
RESOURCE = {"type": "cloud_run_revision", "labels": {"service_name": "prediction-worker"}}
LOG_NAME = "projects/nba-props-platform/logs/run.googleapis.com%2Fstdout"
START = datetime(2025, 12, 30, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def logs(blank_sandbox: Sandbox) -> Iterator[LogStore]:
    """An empty log whose entries are readable at once."""
    store = blank_sandbox.state.logs
    store._entries.clear()
    store.ingestion_delay_s = 0.0
    yield store
    store.ingestion_delay_s, store.scan_limit = 1.0, SCAN_LIMIT


def make_entries(count: int, text: str = "a line", **fields: object) -> list[dict[str, object]]:
    """`count` entries of the worker, a second apart."""
    return [
        {
            "timestamp": to_rfc3339(START + timedelta(seconds=n)),
            "insertId": f"{n:04d}",
            "logName": LOG_NAME,
            "resource": RESOURCE,
            "textPayload": f"{text} {n}",
            **fields,
        }
        for n in range(count)
    ]


def post(sandbox: Sandbox, call: str, body: object) -> requests.Response:
    return requests.post(f"{sandbox.url}/v2/entries:{call}", json=body, timeout=5)


def read_pages(sandbox: Sandbox, **arguments: object) -> list[dict[str, Any]]:
    """Every page of a search."""
    pages: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while not pages or token:
        page = post(sandbox, "list", {**PROJECT, **arguments, **token}).json()
        pages.append(page)
        token = {"pageToken": page["nextPageToken"]} if "nextPageToken" in page else {}
    return pages


def test_written_log_lines_are_found_by_filter_and_in_order(blank_clients):
    logger = blank_clients.logging.logger("run.googleapis.com%2Fstdout")
    labels = {"service_name": "prediction-worker", "revision_name": "prediction-worker-00012-abc"}
    resource = {"type": "cloud_run_revision", "labels": labels}
    for n in range(3):
        logger.log_text(f"Staging write {n}", resource=resource, severity="INFO")
    logger.log_struct({"message": "done", "rows": 75}, resource=resource, severity="ERROR")
    text = f'{WORKER_FILTER} AND textPayload=~"Staging write" AND timestamp>="2025-12-30T00:00:00Z"'
    newest_first = list(blank_clients.logging.list_entries(filter_=text, order_by="timestamp desc", page_size=2))
    assert [entry.payload for entry in newest_first] == ["Staging write 2", "Staging write 1", "Staging write 0"]
    text = f'{WORKER_FILTER} AND severity>=ERROR AND jsonPayload.rows>70 AND timestamp>="2025-12-30T00:00:00Z"'
    (error,) = blank_clients.logging.list_entries(filter_=text)
    assert error.payload == {"message": "done", "rows": 75}


def test_the_61st_log_read_in_a_minute_is_refused(blank_clients, blank_sandbox):
    for _ in range(60):
        assert blank_sandbox.state.limits.check_log_read(blank_sandbox.state.now_s()) is None
    with pytest.raises((ResourceExhausted, TooManyRequests), match="Read requests per minute"):
        list(blank_clients.logging.list_entries(filter_='timestamp>="2025-12-30T00:00:00Z"'))


def test_an_invalid_filter_is_a_400(blank_sandbox):
    response = requests.post(f"{blank_sandbox.url}/v2/entries:list", json={**PROJECT, "filter": "severity="}, timeout=5)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_search_through_many_entries_has_empty_pages_with_a_token(blank_clients, blank_sandbox, logs):
    logs.add([*make_entries(250), *make_entries(1, "needle", timestamp="2025-12-30T03:00:00Z")])
    logs.scan_limit = 100
    pages = read_pages(blank_sandbox, filter='textPayload:"needle" AND timestamp>="2025-12-30T00:00:00Z"')
    assert [len(page.get("entries", ())) for page in pages] == [0, 0, 1]
    found = list(
        blank_clients.logging.list_entries(filter_='textPayload:"needle" AND timestamp>="2025-12-30T00:00:00Z"')
    )
    assert [entry.payload for entry in found] == ["needle 0"]


def test_a_full_page_has_a_token_even_when_nothing_follows(blank_sandbox, logs):
    logs.add(make_entries(4))
    pages = read_pages(blank_sandbox, pageSize=2, orderBy="timestamp desc")
    assert [[entry["insertId"] for entry in page.get("entries", ())] for page in pages] == [
        ["0003", "0002"],
        ["0001", "0000"],
        [],
    ]


def test_every_page_counts_against_the_60_reads_a_minute(blank_sandbox, logs):
    logs.add(make_entries(61))
    response = post(blank_sandbox, "list", {**PROJECT, "pageSize": 1})
    for _ in range(59):
        response = post(
            blank_sandbox, "list", {**PROJECT, "pageSize": 1, "pageToken": response.json()["nextPageToken"]}
        )
    assert response.ok
    assert post(blank_sandbox, "list", PROJECT).status_code == 429


def test_an_entry_becomes_readable_some_time_after_its_timestamp(blank_clients, blank_sandbox, logs):
    logs.ingestion_delay_s = 0.3
    blank_clients.logging.logger("x").log_text("late")
    search = {"filter": f'timestamp>="{to_rfc3339(START)}"'}
    assert read_pages(blank_sandbox, **search) == [{}]
    time.sleep(0.35)
    ((entry,),) = (page["entries"] for page in read_pages(blank_sandbox, **search))
    assert entry["textPayload"] == "late"


def test_an_entry_that_is_sent_twice_is_one_and_the_same_line_on_two_streams_is_two(blank_sandbox):
    for entries in (make_entries(1), make_entries(1), make_entries(1, logName=LOG_NAME.replace("stdout", "stderr"))):
        assert post(blank_sandbox, "write", {"entries": entries}).ok
    (page,) = read_pages(blank_sandbox)
    assert sorted(entry["logName"].rpartition("%2F")[2] for entry in page["entries"]) == ["stderr", "stdout"]


def test_without_a_time_in_the_filter_the_server_searches_all_time(blank_sandbox, logs):
    """Only the client adds the last 24 hours, not the server."""
    logs.add(make_entries(1, timestamp="2025-11-01T00:00:00Z"))
    assert [len(page["entries"]) for page in read_pages(blank_sandbox)] == [1]


def test_entries_beyond_the_retention_or_a_day_ahead_are_accepted_and_dropped(blank_sandbox):
    for timestamp in ("2025-11-01T00:00:00Z", "2026-01-05T00:00:00Z"):
        assert post(blank_sandbox, "write", {"entries": make_entries(1, timestamp=timestamp)}).ok
    assert read_pages(blank_sandbox) == [{}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"pageSize": 1001}, "page_size must be between 1 and 1000"),
        ({"pageSize": -1}, "page_size must be between 1 and 1000"),
        ({"orderBy": "severity"}, "Invalid order_by"),
        ({"resourceNames": []}, "resource name"),
        ({"pageToken": "rubbish"}, "page_token is not valid"),
        ({"filters": "x"}, 'Unknown name "filters": Cannot find field.'),
    ],
)
def test_an_invalid_search_is_a_400(blank_sandbox, body, message):
    response = post(blank_sandbox, "list", {**PROJECT, **body})
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert message in response.json()["error"]["message"]


def test_a_page_token_belongs_to_its_filter(blank_sandbox, logs):
    logs.add(make_entries(3))
    first = post(blank_sandbox, "list", {**PROJECT, "filter": "severity=DEFAULT", "pageSize": 1}).json()
    other = {**PROJECT, "filter": "severity=ERROR", "pageSize": 1, "pageToken": first["nextPageToken"]}
    response = post(blank_sandbox, "list", other)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "page_token doesn't match arguments from the request"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"message": "x"}, "Unknown name \"message\" at 'entries[0]': Cannot find field."),
        ({"jsonPayload": {}}, "multiple"),
        ({"severity": "BAD"}, "Invalid value"),
        ({"logName": None}, "needs a logName"),
    ],
)
def test_an_invalid_entry_is_a_400_and_is_not_kept(blank_sandbox, entry, message):
    response = post(blank_sandbox, "write", {"entries": make_entries(1, **entry)})
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]
    assert read_pages(blank_sandbox) == [{}]
