"""Injected faults over HTTP: for some calls, for some time, as a delay, as a dropped connection."""

from __future__ import annotations

import json
import time

import pytest
import requests
from google.api_core.exceptions import ServiceUnavailable

from services.sandbox.common.fault_injection import Fault
from tests.integration.sandbox.conftest import SERVICE


@pytest.mark.parametrize("api", ["run", "logging"])
def test_a_fault_can_last_for_some_calls(api, cloud_run_with_worker, blank_clients, blank_sandbox):
    blank_sandbox.state.faults.set(Fault(api, "status", status=503, times=1))

    def call() -> None:
        if api == "run":
            blank_clients.run.get_service(name=SERVICE, retry=None)
        else:
            list(blank_clients.logging.list_entries(filter_='timestamp>="2025-12-30T00:00:00Z"'))

    with pytest.raises(ServiceUnavailable):
        call()
    call()


def test_a_fault_can_delay_a_response(blank_sandbox):
    blank_sandbox.state.faults.set(Fault("bigquery", "delay", seconds=5, times=1))
    with pytest.raises(requests.Timeout):
        requests.get(f"{blank_sandbox.url}/bigquery/v2/projects/nba-props-platform/datasets", timeout=0.3)


def test_a_fault_can_drop_the_connection(blank_sandbox):
    blank_sandbox.state.faults.set(Fault("bigquery", "drop", times=1))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{blank_sandbox.url}/bigquery/v2/projects/nba-props-platform/datasets", timeout=5)


def test_a_fault_can_expire(blank_sandbox):
    blank_sandbox.state.faults.set(Fault("run", "status", status=429, until_s=blank_sandbox.state.now_s() + 0.3))
    url = f"{blank_sandbox.url}/v2/{SERVICE.replace('worker', 'nobody')}"
    assert requests.get(url, timeout=5).status_code == 429
    time.sleep(0.35)
    assert requests.get(url, timeout=5).status_code == 404


def test_faults_are_set_listed_and_cleared_over_http(blank_sandbox):
    url = f"{blank_sandbox.url}/sandbox/faults"
    faults = [{"api": "logging", "kind": "empty"}, {"api": "run", "kind": "status", "status": 429, "for_s": 60}]
    listed = requests.put(url, json=faults, timeout=5).json()
    assert [fault["api"] for fault in listed] == ["logging", "run"]
    assert requests.post(f"{blank_sandbox.url}/v2/entries:list", json={}, timeout=5).json() == {}
    assert requests.put(url, json=[{"api": "gmail", "kind": "drop"}], timeout=5).status_code == 400
    assert requests.delete(url, timeout=5).json() == []


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ([{"api": "gmail", "kind": "drop"}], "A fault needs an api of bigquery, run"),
        ([{"api": "run", "kind": "explode"}], "and a kind of delay, status"),
        ([{"kind": "drop"}], "A fault needs an api of"),
        ([{"api": "run", "kind": "drop", "when": "now"}], "A fault has no when: it may have api, for_s, kind"),
        ([{"api": "bigquery", "kind": "drop", "method": "insertJbo"}], "No method of bigquery contains 'insertJbo':"),
        ({"api": "run", "kind": "drop"}, "The faults are a JSON list of objects."),
        ("no JSON", "The faults are a JSON list of objects."),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_in_one_sentence(blank_sandbox, faults, sentence):
    url = f"{blank_sandbox.url}/sandbox/faults"
    requests.put(url, json=[{"api": "logging", "kind": "empty"}], timeout=5)
    body = faults if isinstance(faults, str) else json.dumps(faults)
    response = requests.put(url, data=body, headers={"Content-Type": "application/json"}, timeout=5)
    assert response.status_code == 400
    assert sentence in response.json()["error"]["message"]
    assert [fault["kind"] for fault in requests.get(url, timeout=5).json()] == ["empty"]


def test_a_fault_may_name_a_method_with_its_verb(blank_sandbox):
    fault = {"api": "bigquery", "kind": "drop", "method": "TableService.updateTable PATCH"}
    response = requests.put(f"{blank_sandbox.url}/sandbox/faults", json=[fault], timeout=5)
    assert response.json()[0]["method"] == "TableService.updateTable PATCH"
