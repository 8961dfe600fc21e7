"""Results of a query that go to a table, and bodies that are no JSON."""

from __future__ import annotations

import pytest
import requests
from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery


def write(clients, sql: str, **dispositions: str) -> list[tuple[object, ...]]:
    config = bigquery.QueryJobConfig(destination=f"{clients.settings.project}.results.table", **dispositions)
    return [tuple(row) for row in clients.bigquery.query(sql, config, job_retry=None).result(retry=None)]


def read(clients) -> list[int]:
    return [row.n for row in clients.bigquery.query("SELECT n FROM `results.table` ORDER BY n").result()]


def test_results_are_written_as_the_dispositions_say(blank_clients):
    with pytest.raises(NotFound, match="Not found: Dataset nba-props-platform:results"):
        write(blank_clients, "SELECT 1 AS n")
    blank_clients.bigquery.create_dataset("results")
    with pytest.raises(NotFound, match=r"Not found: Table nba-props-platform:results\.table"):
        write(blank_clients, "SELECT 1 AS n", create_disposition="CREATE_NEVER")
    assert write(blank_clients, "SELECT 1 AS n") == [(1,)]
    with pytest.raises(Conflict, match="Already Exists: Table"):
        write(blank_clients, "SELECT 2 AS n")
    write(blank_clients, "SELECT 2 AS n", write_disposition="WRITE_APPEND")
    assert read(blank_clients) == [1, 2]
    write(blank_clients, "SELECT 3 AS n", write_disposition="WRITE_TRUNCATE")
    assert read(blank_clients) == [3]
    blank_clients.bigquery.delete_dataset("results", delete_contents=True)


@pytest.mark.parametrize("path", ["/jobs", "/queries", "/datasets/results/tables"])
def test_a_body_that_is_no_json_is_refused(blank_sandbox, path):
    url = f"{blank_sandbox.url}/bigquery/v2/projects/nba-props-platform{path}"
    response = requests.post(url, data="{", headers={"Content-Type": "application/json"}, timeout=5)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("Invalid JSON payload received.")
