"""Deviations that other clients or the discovery documents brought to light, each through the client that met it."""

from __future__ import annotations

import pytest
import requests
from google.cloud import bigquery

from services.gcp.clients import Clients
from services.sandbox.server import Sandbox

LOG = "projects/nba-props-platform/logs/by-number"


def test_a_finished_job_is_complete_for_a_client_that_does_not_wait(blank_sandbox: Sandbox, blank_clients: Clients):
    job = blank_clients.bigquery.query("SELECT 1 AS a")
    job.result()
    url = f"{blank_sandbox.url}/bigquery/v2/projects/{job.project}/queries/{job.job_id}"
    answer = requests.get(url, params={"timeoutMs": 0, "location": job.location}, timeout=10).json()  # as bq asks
    assert answer["jobComplete"] is True
    assert answer["rows"] == [{"f": [{"v": "1"}]}]


def test_a_job_keeps_no_null_of_its_parameters_and_no_statistic_that_bigquery_lacks(blank_clients: Clients):
    parameters = [
        bigquery.ScalarQueryParameter("a", "STRING", None),
        bigquery.ScalarQueryParameter("b", "FLOAT64", 2.5),
    ]
    config = bigquery.QueryJobConfig(query_parameters=parameters)
    job = blank_clients.bigquery.query("SELECT @a AS a, @b AS b", job_config=config)
    assert [tuple(row) for row in job.result()] == [(None, 2.5)]
    resource = blank_clients.bigquery.get_job(job.job_id)._properties
    values = [parameter["parameterValue"] for parameter in resource["configuration"]["query"]["queryParameters"]]
    assert values == [{}, {"value": "2.5"}]
    assert "totalRows" not in resource["statistics"]["query"]


def test_a_list_of_datasets_has_only_what_bigquery_lists(blank_clients: Clients):
    blank_clients.bigquery.create_dataset("listed", exists_ok=True)
    listed = next(d for d in blank_clients.bigquery.list_datasets() if d.dataset_id == "listed")
    assert set(listed._properties) <= {"kind", "id", "datasetReference", "labels", "friendlyName", "location", "type"}


def test_a_severity_sent_as_its_number_is_read_by_its_name(blank_sandbox: Sandbox):
    entry = {"logName": LOG, "resource": {"type": "global"}, "severity": 500, "textPayload": "a"}
    entry["timestamp"] = blank_sandbox.state.clock.now().isoformat()
    url = f"{blank_sandbox.url}/v2/entries:write?$alt=json;enum-encoding=int"  # as Google's client for Node asks
    requests.post(url, json={"entries": [entry]}, timeout=10).raise_for_status()
    stored = [dict(kept.entry) for kept in blank_sandbox.state.logs._entries if kept.entry["logName"] == LOG]
    assert [kept["severity"] for kept in stored] == ["ERROR"]


def test_a_defect_of_the_sandbox_is_an_error_in_googles_form(blank_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(blank_sandbox.state, "scheduler_jobs", [{}])
    url = f"{blank_sandbox.url}/v1/projects/nba-props-platform/locations/us-west2/jobs"
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, 500)
