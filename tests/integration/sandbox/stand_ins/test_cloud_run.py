"""The sandbox's Cloud Run and its load balancer, through the real clients."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest
import requests
from google.api_core.exceptions import (
    Aborted,
    Conflict,
    NotFound,
)
from google.cloud import run_v2

from services.gcp.clients import Clients
from services.sandbox.server import Sandbox
from tests.integration.sandbox.conftest import SERVICE


def update_service(clients: Clients, mask: list[str], **options: bool) -> run_v2.Service:
    service = clients.run.get_service(name=SERVICE)
    service.scaling.max_instance_count = 2
    service.template.max_instance_request_concurrency = 1
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, **options)
    return clients.run.update_service(request=request).result(timeout=10)


def test_the_service_maximum_changes_immediately_and_creates_no_revision(
    cloud_run_with_worker, blank_clients, blank_sandbox
):
    before = blank_clients.run.get_service(name=SERVICE)
    after = update_service(blank_clients, ["scaling.max_instance_count"])
    assert after.scaling.max_instance_count == 2
    assert after.latest_ready_revision == before.latest_ready_revision
    assert after.template.max_instance_request_concurrency == 3
    assert after.generation == after.observed_generation == before.generation + 1
    assert after.etag != before.etag
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 6


def test_a_new_concurrency_creates_a_revision_that_serves_later(cloud_run_with_worker, blank_clients, blank_sandbox):
    blank_sandbox.state.cloud_run._rollout_s = 1.0
    update_service(blank_clients, ["template.max_instance_request_concurrency"])
    during_rollout = blank_clients.run.get_service(name=SERVICE)
    assert during_rollout.latest_created_revision != during_rollout.latest_ready_revision
    assert during_rollout.latest_created_revision.rsplit("/", 1)[-1].startswith("prediction-worker-00012-")
    assert during_rollout.generation != during_rollout.observed_generation
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 12
    while (after_rollout := blank_clients.run.get_service(name=SERVICE)).reconciling:
        time.sleep(0.05)
    assert after_rollout.latest_ready_revision == during_rollout.latest_created_revision
    assert after_rollout.generation == after_rollout.observed_generation
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 4
    assert len(list(blank_clients.revisions.list_revisions(parent=SERVICE))) == 2
    revision = blank_clients.revisions.get_revision(name=after_rollout.latest_ready_revision)
    assert revision.max_instance_request_concurrency == 1


def test_a_change_that_is_only_validated_changes_nothing(cloud_run_with_worker, blank_clients):
    assert (
        update_service(blank_clients, ["scaling.max_instance_count"], validate_only=True).scaling.max_instance_count
        == 2
    )
    assert blank_clients.run.get_service(name=SERVICE).scaling.max_instance_count == 0


def test_of_two_updates_with_one_etag_the_second_is_refused(cloud_run_with_worker, blank_clients):
    first, second = blank_clients.run.get_service(name=SERVICE), blank_clients.run.get_service(name=SERVICE)
    first.scaling.max_instance_count, second.scaling.max_instance_count = 5, 6
    blank_clients.run.update_service(
        request={"service": first, "update_mask": {"paths": ["scaling.max_instance_count"]}}
    )
    with pytest.raises((Aborted, Conflict)):
        blank_clients.run.update_service(
            request={"service": second, "update_mask": {"paths": ["scaling.max_instance_count"]}}
        )
    assert blank_clients.run.get_service(name=SERVICE).scaling.max_instance_count == 5


def test_annotations_are_returned_and_can_be_cleared(cloud_run_with_worker, blank_clients):
    service = blank_clients.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call"}
    service.annotations["width-before"] = "20x5"
    blank_clients.run.update_service(service=service).result(timeout=10)
    service = blank_clients.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call", "width-before": "20x5"}
    service.annotations.clear()
    blank_clients.run.update_service(service=service).result(timeout=10)
    assert not blank_clients.run.get_service(name=SERVICE).annotations


def test_an_unknown_service_is_not_found(cloud_run_with_worker, blank_clients):
    with pytest.raises(NotFound):
        blank_clients.run.get_service(name=SERVICE.replace("worker", "nobody"))


class _BlockingHandler(BaseHTTPRequestHandler):
    """An instance whose requests block until the test opens them."""

    def do_POST(self) -> None:
        with self.server.lock:  # type: ignore[attr-defined]
            self.server.now += 1  # type: ignore[attr-defined]
            self.server.peak = max(self.server.peak, self.server.now)  # type: ignore[attr-defined]
        self.server.open.wait(20)  # type: ignore[attr-defined]
        with self.server.lock:  # type: ignore[attr-defined]
            self.server.now -= 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def backend(blank_sandbox: Sandbox) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _BlockingHandler)
    server.now = server.peak = 0  # type: ignore[attr-defined]
    server.lock, server.open = threading.Lock(), threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    blank_sandbox.state.cloud_run.backends["prediction-worker"] = f"http://127.0.0.1:{server.server_port}"
    yield server
    blank_sandbox.state.cloud_run.backends.clear()
    blank_sandbox.state.instance_wait_timeout_s = 10.0
    server.shutdown()
    server.server_close()


def call_worker(sandbox: Sandbox) -> requests.Response:
    return requests.post(f"{sandbox.url}/run/prediction-worker/predict", timeout=30)


def test_requests_beyond_instances_times_concurrency_are_rejected_with_429(
    cloud_run_with_worker, blank_sandbox, backend
):
    blank_sandbox.state.instance_wait_timeout_s = 0.05
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(call_worker, blank_sandbox) for _ in range(20)]
        rejected = [future.result() for future in islice(as_completed(futures), 8)]
        backend.open.set()
        status_counts = Counter(future.result().status_code for future in futures)
    assert status_counts == {200: 12, 429: 8}
    assert backend.peak == 12
    assert {response.status_code for response in rejected} == {429}
    assert "no available instance" in rejected[0].text


def test_a_queued_request_is_served_later(cloud_run_with_worker, blank_sandbox, backend):
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(call_worker, blank_sandbox) for _ in range(20)]
        while backend.now < 12:
            time.sleep(0.02)
        backend.open.set()
        assert {future.result().status_code for future in futures} == {200}
    assert backend.peak == 12
