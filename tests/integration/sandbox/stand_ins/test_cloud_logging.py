"""Cloud Logging's stand-in through the real client: entries written, listed in order, and refused over the quota."""

from __future__ import annotations

import pytest
import requests
from google.api_core.exceptions import ResourceExhausted, TooManyRequests

WORKER_FILTER = 'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker"'


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
    response = requests.post(f"{blank_sandbox.url}/v2/entries:list", json={"filter": "severity="}, timeout=5)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
