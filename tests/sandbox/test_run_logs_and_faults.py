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

from services.gcp.clients import Cloud
from services.sandbox.common.fault_injection import Fault
from services.sandbox.server import Sandbox

SERVICE = "projects/nba-props-platform/locations/us-west2/services/prediction-worker"
WORKER = 'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker"'


@pytest.fixture
def worker(own_sandbox: Sandbox) -> run_v2.Service:
    """The worker at 4 × 3, as the handoff left it."""
    revision = f"{SERVICE}/revisions/prediction-worker-00011-zw5"
    template = {"scaling": {"maxInstanceCount": 4}, "maxInstanceRequestConcurrency": 3}
    run = own_sandbox.world.run
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


def changed(cloud: Cloud, mask: list[str], **options: bool) -> run_v2.Service:
    service = cloud.run.get_service(name=SERVICE)
    service.scaling.max_instance_count = 2
    service.template.max_instance_request_concurrency = 1
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, **options)
    return cloud.run.update_service(request=request).result(timeout=10)


def test_the_services_maximum_changes_at_once_and_makes_no_revision(worker, own_cloud, own_sandbox):
    before = own_cloud.run.get_service(name=SERVICE)
    after = changed(own_cloud, ["scaling.max_instance_count"])
    assert after.scaling.max_instance_count == 2
    assert after.latest_ready_revision == before.latest_ready_revision
    assert after.template.max_instance_request_concurrency == 3
    assert after.generation == after.observed_generation == before.generation + 1
    assert after.etag != before.etag
    assert own_sandbox.world.run.capacity(SERVICE) == 6


def test_a_new_concurrency_is_a_new_revision_that_serves_a_little_later(worker, own_cloud, own_sandbox):
    own_sandbox.world.run._rollout_s = 1.0
    changed(own_cloud, ["template.max_instance_request_concurrency"])
    soon = own_cloud.run.get_service(name=SERVICE)
    assert soon.latest_created_revision != soon.latest_ready_revision
    assert soon.latest_created_revision.rsplit("/", 1)[-1].startswith("prediction-worker-00012-")
    assert soon.generation != soon.observed_generation
    assert own_sandbox.world.run.capacity(SERVICE) == 12
    while (later := own_cloud.run.get_service(name=SERVICE)).reconciling:
        time.sleep(0.05)
    assert later.latest_ready_revision == soon.latest_created_revision
    assert later.generation == later.observed_generation
    assert own_sandbox.world.run.capacity(SERVICE) == 4
    assert len(list(own_cloud.revisions.list_revisions(parent=SERVICE))) == 2
    revision = own_cloud.revisions.get_revision(name=later.latest_ready_revision)
    assert revision.max_instance_request_concurrency == 1


def test_a_change_that_is_only_validated_changes_nothing(worker, own_cloud):
    assert changed(own_cloud, ["scaling.max_instance_count"], validate_only=True).scaling.max_instance_count == 2
    assert own_cloud.run.get_service(name=SERVICE).scaling.max_instance_count == 0


def test_of_two_changes_made_on_the_same_reading_the_second_is_refused(worker, own_cloud):
    first, second = own_cloud.run.get_service(name=SERVICE), own_cloud.run.get_service(name=SERVICE)
    first.scaling.max_instance_count, second.scaling.max_instance_count = 5, 6
    own_cloud.run.update_service(request={"service": first, "update_mask": {"paths": ["scaling.max_instance_count"]}})
    with pytest.raises((Aborted, Conflict)):
        own_cloud.run.update_service(
            request={"service": second, "update_mask": {"paths": ["scaling.max_instance_count"]}}
        )
    assert own_cloud.run.get_service(name=SERVICE).scaling.max_instance_count == 5


def test_annotations_come_back_and_an_emptied_map_is_empty(worker, own_cloud):
    service = own_cloud.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call"}
    service.annotations["width-before"] = "20x5"
    own_cloud.run.update_service(service=service).result(timeout=10)
    service = own_cloud.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"owner": "on-call", "width-before": "20x5"}
    service.annotations.clear()
    own_cloud.run.update_service(service=service).result(timeout=10)
    assert not own_cloud.run.get_service(name=SERVICE).annotations


def test_a_service_that_is_not_there_is_not_found(worker, own_cloud):
    with pytest.raises(NotFound):
        own_cloud.run.get_service(name=SERVICE.replace("worker", "nobody"))


class _Instance(BaseHTTPRequestHandler):
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
def backend(own_sandbox: Sandbox) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Instance)
    server.now = server.peak = 0  # type: ignore[attr-defined]
    server.lock, server.open = threading.Lock(), threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own_sandbox.world.run.backends["prediction-worker"] = f"http://127.0.0.1:{server.server_port}"
    yield server
    own_sandbox.world.run.backends.clear()
    own_sandbox.world.wait_for_instance_s = 10.0
    server.shutdown()
    server.server_close()


def ask(sandbox: Sandbox) -> requests.Response:
    return requests.post(f"{sandbox.address}/run/prediction-worker/predict", timeout=30)


def test_no_more_requests_run_than_instances_times_concurrency_and_the_rest_are_told_so(worker, own_sandbox, backend):
    own_sandbox.world.wait_for_instance_s = 0.05
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, own_sandbox) for _ in range(20)]
        refused = [future.result() for future in islice(as_completed(asked), 8)]
        backend.open.set()
        told = Counter(future.result().status_code for future in asked)
    assert told == {200: 12, 429: 8}
    assert backend.peak == 12
    assert {answer.status_code for answer in refused} == {429}
    assert "no available instance" in refused[0].text


def test_a_request_that_may_wait_gets_its_turn(worker, own_sandbox, backend):
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, own_sandbox) for _ in range(20)]
        while backend.now < 12:
            time.sleep(0.02)
        backend.open.set()
        assert {future.result().status_code for future in asked} == {200}
    assert backend.peak == 12


def test_lines_that_were_written_are_found_by_filter_and_in_order(own_cloud):
    logger = own_cloud.logging.logger("run.googleapis.com%2Fstdout")
    labels = {"service_name": "prediction-worker", "revision_name": "prediction-worker-00012-abc"}
    resource = {"type": "cloud_run_revision", "labels": labels}
    for n in range(3):
        logger.log_text(f"Staging write {n}", resource=resource, severity="INFO")
    logger.log_struct({"message": "done", "rows": 75}, resource=resource, severity="ERROR")
    text = f'{WORKER} AND textPayload=~"Staging write" AND timestamp>="2025-12-30T00:00:00Z"'
    newest_first = list(own_cloud.logging.list_entries(filter_=text, order_by="timestamp desc", page_size=2))
    assert [entry.payload for entry in newest_first] == ["Staging write 2", "Staging write 1", "Staging write 0"]
    text = f'{WORKER} AND severity>=ERROR AND jsonPayload.rows>70 AND timestamp>="2025-12-30T00:00:00Z"'
    (error,) = own_cloud.logging.list_entries(filter_=text)
    assert error.payload == {"message": "done", "rows": 75}


def test_the_61st_log_read_in_a_minute_is_refused(own_cloud, own_sandbox):
    for _ in range(60):
        assert own_sandbox.world.limits.log_read(own_sandbox.world.now_s()) is None
    with pytest.raises((ResourceExhausted, TooManyRequests), match="Read requests per minute"):
        list(own_cloud.logging.list_entries(filter_='timestamp>="2025-12-30T00:00:00Z"'))


def test_a_filter_that_cannot_be_read_is_a_400(own_sandbox):
    answer = requests.post(f"{own_sandbox.address}/v2/entries:list", json={"filter": "severity="}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("api", ["run", "logging"])
def test_an_api_can_be_down_for_some_calls(api, worker, own_cloud, own_sandbox):
    own_sandbox.world.faults.set(Fault(api, "status", status=503, times=1))

    def call() -> None:
        if api == "run":
            own_cloud.run.get_service(name=SERVICE, retry=None)
        else:
            list(own_cloud.logging.list_entries(filter_='timestamp>="2025-12-30T00:00:00Z"'))

    with pytest.raises(ServiceUnavailable):
        call()
    call()


def test_a_fault_can_hold_an_answer_back(own_sandbox):
    own_sandbox.world.faults.set(Fault("bigquery", "delay", seconds=5, times=1))
    with pytest.raises(requests.Timeout):
        requests.get(f"{own_sandbox.address}/bigquery/v2/projects/nba-props-platform/datasets", timeout=0.3)


def test_a_fault_can_cut_the_line(own_sandbox):
    own_sandbox.world.faults.set(Fault("bigquery", "drop", times=1))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{own_sandbox.address}/bigquery/v2/projects/nba-props-platform/datasets", timeout=5)


def test_a_fault_can_end_by_itself_after_a_time(own_sandbox):
    own_sandbox.world.faults.set(Fault("run", "status", status=429, until_s=own_sandbox.world.now_s() + 0.3))
    url = f"{own_sandbox.address}/v2/{SERVICE.replace('worker', 'nobody')}"
    assert requests.get(url, timeout=5).status_code == 429
    time.sleep(0.35)
    assert requests.get(url, timeout=5).status_code == 404


def test_faults_are_set_shown_and_taken_away_over_http(own_sandbox):
    url = f"{own_sandbox.address}/sandbox/faults"
    told = [{"api": "logging", "kind": "empty"}, {"api": "run", "kind": "status", "status": 429, "for_s": 60}]
    shown = requests.put(url, json=told, timeout=5).json()
    assert [fault["api"] for fault in shown] == ["logging", "run"]
    assert requests.post(f"{own_sandbox.address}/v2/entries:list", json={}, timeout=5).json() == {}
    assert requests.put(url, json=[{"api": "gmail", "kind": "drop"}], timeout=5).status_code == 400
    assert requests.delete(url, timeout=5).json() == []
