"""Every local port refuses what a web page in the developer's browser can send; the emulator's own port lets nobody in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from services.gcp.clients import connect
from services.pipeline.coordinator import http_api
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.worker import app as worker
from services.sandbox.server import Sandbox
from tests.support.coordinators import serve_app
from tests.support.discovery_recorder import DiscoveryRecorder
from tests.support.sandbox import settings_as

PROJECT = "nba-props-platform"
QUERY = json.dumps({"query": "CREATE SCHEMA broken_into", "useLegacySql": False})
QUERY_PATH = f"/bigquery/v2/projects/{PROJECT}/queries"
PAGE_HEADERS = [  # of a foreign page's fetch(), of a rebound name's, of a form's, of a script's without Origin
    {"Content-Type": "application/json", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Content-Type": "application/json", "Host": "evil.example"},
    {"Content-Type": "text/plain"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture
def conforms_to_discovery_documents(discovery_recorder: DiscoveryRecorder) -> Iterator[None]:
    """Nothing: Google has no such refusals, because a page can send it no account's token."""
    yield
    discovery_recorder.take()


@pytest.fixture(scope="module")
def ports(shared_blank_sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """The URL of a request that acts, by what listens on the port."""
    clients = connect(settings_as(shared_blank_sandbox, "pipeline"))
    coordinator = http_api.create_app(http_api.CoordinatorApi(clients, BatchRunner(clients)))
    with (
        serve_app(coordinator) as coordinator_url,
        serve_app(worker.create_app(worker.build_worker(clients))) as worker_url,
    ):
        yield {
            "sandbox": shared_blank_sandbox.url + QUERY_PATH,
            "faults": f"{shared_blank_sandbox.url}/sandbox/faults",
            "slack": f"{shared_blank_sandbox.url}/slack/webhook",
            "coordinator": f"{coordinator_url}/start",
            "worker": f"{worker_url}/predict",
        }


@pytest.mark.parametrize("headers", PAGE_HEADERS)
@pytest.mark.parametrize("port", ["sandbox", "faults", "slack", "coordinator", "worker"])
def test_a_web_page_reaches_no_local_port(ports, blank_clients, port, headers):
    method = "PUT" if port == "faults" else "POST"
    response = requests.request(method, ports[port], data=QUERY, headers=headers, timeout=10)
    assert response.status_code in (403, 415)
    assert set(response.json()) == {"error"}
    assert "broken_into" not in {dataset.dataset_id for dataset in blank_clients.bigquery.list_datasets()}


@pytest.mark.parametrize("port", ["coordinator", "worker"])
def test_a_scheduler_that_declares_no_content_type_is_heard(ports, port):
    response = requests.post(ports[port], data=b"[]", timeout=10)
    assert response.status_code == 400, "it is read, and its list is no request"


def test_the_emulators_own_port_asks_for_a_password(shared_blank_sandbox):
    parts = urlsplit(shared_blank_sandbox.emulator.url)
    url = f"http://127.0.0.1:{parts.port}"
    for credentials in (None, ("gateway", "guess")):
        response = httpx.post(url + QUERY_PATH, content=QUERY, auth=credentials)
        assert (response.status_code, response.text) == (401, "This port is the gateway's alone.\n")
    assert httpx.get(shared_blank_sandbox.emulator.url + f"/bigquery/v2/projects/{PROJECT}/datasets").status_code == 200
