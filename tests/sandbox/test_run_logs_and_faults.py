"""The sandbox's Cloud Run, Logging, load balancer and scripted faults, through the real clients."""

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
    ResourceExhausted,
    ServiceUnavailable,
    TooManyRequests,
)
from google.cloud import run_v2

from services.gcp.clients import Clients
from services.sandbox.common.fault_injection import Fault
from services.sandbox.server import Sandbox

SERVICE = "projects/nba-props-platform/locations/us-west2/services/prediction-worker"
WORKER_FILTER = 'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker"'


@pytest.fixture
def worker(blank_sandbox: Sandbox) -> run_v2.Service:
    """The worker at 4 × 3, as the handoff left it."""
    revision = f"{SERVICE}/revisions/prediction-worker-00011-zw5"
    template = {"scaling": {"maxInstanceCount": 4}, "maxInstanceRequestConcurrency": 3}
    run = blank_sandbox.state.cloud_run
    run.services.clear()
    run.revisions.clear()
    run.seed(
        [
            {
                "name": SERVICE,
                "template": template,
                "annotations": {"owner": "on-call"},
                "latestCreatedRevision": revision,
                "latestReadyRevision": revision,
            }
        ],
        [{"name": revision, "service": SERVICE, **template, "createTime": "2025-12-30T01:20:00Z"}],
    )
    run._rollout_s = 0.2
    run.slots.clear()
    return run


def update_service(clients: Clients, mask: list[str], **options: bool) -> run_v2.Service:
    service = clients.run.get_service(name=SERVICE)
    service.scaling.max_instance_count = 2
    service.template.max_instance_request_concurrency = 1
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, **options)
    return clients.run.update_service(request=request).result(timeout=10)


def test_the_service_maximum_changes_immediately_and_creates_no_revision(worker, blank_clients, blank_sandbox):
    before = blank_clients.run.get_service(name=SERVICE)
    after = update_service(blank_clients, ["scaling.max_instance_count"])
    assert after.scaling.max_instance_count == 2
    assert after.latest_ready_revision == before.latest_ready_revision
    assert after.template.max_instance_request_concurrency == 3
    assert after.generation == after.observed_generation == before.generation + 1
    assert after.etag != before.etag
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 6


def test_a_new_concurrency_creates_a_revision_that_serves_later(worker, blank_clients, blank_sandbox):
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


def test_a_change_that_is_only_validated_changes_nothing(worker, blank_clients):
    assert (
        update_service(blank_clients, ["scaling.max_instance_count"], validate_only=True).scaling.max_instance_count
        == 2
    )
    assert blank_clients.run.get_service(name=SERVICE).scaling.max_instance_count == 0


def test_of_two_updates_with_one_etag_the_second_is_refused(worker, blank_clients):
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


def test_annotations_are_returned_and_can_be_cleared(worker, blank_clients):
    service = blank_clients.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call"}
    service.annotations["width-before"] = "20x5"
    blank_clients.run.update_service(service=service).result(timeout=10)
    service = blank_clients.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call", "width-before": "20x5"}
    service.annotations.clear()
    blank_clients.run.update_service(service=service).result(timeout=10)
    assert not blank_clients.run.get_service(name=SERVICE).annotations


def test_an_unknown_service_is_not_found(worker, blank_clients):
    with pytest.raises(NotFound):
        blank_clients.run.get_service(name=SERVICE.replace("worker", "nobody"))


class _BlockingHandler(BaseHTTPRequestHandler):
    """An instance whose requests take until the test lets them go."""

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


def test_requests_beyond_instances_times_concurrency_are_rejected_with_429(worker, blank_sandbox, backend):
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


def test_a_queued_request_is_served_later(worker, blank_sandbox, backend):
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(call_worker, blank_sandbox) for _ in range(20)]
        while backend.now < 12:
            time.sleep(0.02)
        backend.open.set()
        assert {future.result().status_code for future in futures} == {200}
    assert backend.peak == 12


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


@pytest.mark.parametrize("api", ["run", "logging"])
def test_a_fault_can_last_for_some_calls(api, worker, blank_clients, blank_sandbox):
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
