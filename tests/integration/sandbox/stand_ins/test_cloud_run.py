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
import yaml
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    FailedPrecondition,
    GoogleAPICallError,
    NotFound,
)
from google.api_core.operation import Operation
from google.cloud import run_v2

from services.gcp.clients import Clients
from services.sandbox.server import Sandbox
from tests.integration.sandbox.conftest import SERVICE


def wait_for(operation: Operation) -> run_v2.Service:
    """The result of an operation, polled more often than its own `result` would."""
    while not operation.done():
        time.sleep(0.03)
    return operation.result()


def get_settled(clients: Clients) -> run_v2.Service:
    """The service once it is rolled out: until then its etag may change at any time."""
    while (service := clients.run.get_service(name=SERVICE)).reconciling:
        time.sleep(0.03)
    return service


def start_update(clients: Clients, mask: list[str], **options: bool) -> Operation:
    """The operation of a change to at most 2 instances, 1 request each."""
    service = clients.run.get_service(name=SERVICE)
    service.scaling.max_instance_count = 2
    service.template.max_instance_request_concurrency = 1
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask}, **options)
    return clients.run.update_service(request=request)


def update_service(clients: Clients, mask: list[str], **options: bool) -> run_v2.Service:
    return wait_for(start_update(clients, mask, **options))


def set_traffic(clients: Clients, *targets: dict[str, object]) -> run_v2.Service:
    """What `gcloud run services update-traffic` does."""
    service = run_v2.Service(name=SERVICE, traffic=targets)
    return wait_for(clients.run.update_service(request={"service": service, "update_mask": {"paths": ["traffic"]}}))


def patch(sandbox: Sandbox, body: object, mask: str = "", **params: str) -> requests.Response:
    return requests.patch(f"{sandbox.url}/v2/{SERVICE}", json=body, params={"updateMask": mask, **params}, timeout=5)


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
    assert (before.last_modifier, after.last_modifier) == ("", blank_sandbox.state.identities.developer)
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 6


def test_a_new_concurrency_creates_a_revision_that_serves_later(cloud_run_with_worker, blank_clients, blank_sandbox):
    blank_sandbox.state.cloud_run._rollout_s = 1.0
    operation = start_update(blank_clients, ["template.max_instance_request_concurrency"])
    during_rollout = blank_clients.run.get_service(name=SERVICE)
    assert during_rollout.latest_created_revision != during_rollout.latest_ready_revision
    assert during_rollout.latest_created_revision.rsplit("/", 1)[-1].startswith("prediction-worker-00012-")
    assert during_rollout.generation != during_rollout.observed_generation
    assert blank_sandbox.state.cloud_run.capacity(SERVICE) == 12
    assert during_rollout.terminal_condition.state == run_v2.Condition.State.CONDITION_RECONCILING
    assert not operation.done()
    after_rollout = wait_for(operation)
    assert after_rollout.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert blank_clients.run.get_service(name=SERVICE) == after_rollout
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
    message = r"Conflict for resource 'prediction-worker': version '\d+' was specified but current version is '\d+'\."
    with pytest.raises(Conflict, match=message):
        blank_clients.run.update_service(
            request={"service": second, "update_mask": {"paths": ["scaling.max_instance_count"]}}
        )
    assert blank_clients.run.get_service(name=SERVICE).scaling.max_instance_count == 5


def test_annotations_are_returned_and_can_be_cleared(cloud_run_with_worker, blank_clients):
    service = get_settled(blank_clients)
    assert dict(service.annotations) == {"owner": "on-call"}
    service.annotations["width-before"] = "20x5"
    wait_for(blank_clients.run.update_service(service=service))
    service = get_settled(blank_clients)
    assert dict(service.annotations) == {"owner": "on-call", "width-before": "20x5"}
    service.annotations.clear()
    wait_for(blank_clients.run.update_service(service=service))
    assert not blank_clients.run.get_service(name=SERVICE).annotations


def test_an_unknown_service_is_not_found(cloud_run_with_worker, blank_clients):
    with pytest.raises(NotFound):
        blank_clients.run.get_service(name=SERVICE.replace("worker", "nobody"))


def test_an_operation_is_first_accepted_then_done(cloud_run_with_worker, blank_sandbox):
    accepted = patch(blank_sandbox, {"scaling": {"maxInstanceCount": 2}}, "scaling.maxInstanceCount").json()
    assert set(accepted) == {"name", "metadata"}
    assert accepted["metadata"]["@type"] == "type.googleapis.com/google.cloud.run.v2.Service"
    assert accepted["metadata"]["reconciling"]
    url = f"{blank_sandbox.url}/v2/{accepted['name']}"
    assert requests.get(url, timeout=5).json() == accepted
    time.sleep(0.15)
    done = requests.get(url, timeout=5).json()
    assert (done["done"], done["response"]["scaling"]) == (True, {"maxInstanceCount": 2})
    assert "reconciling" not in done["response"]
    assert requests.get(url[:-1] + "_", timeout=5).status_code == 404


def test_a_revision_that_does_not_start_ends_in_an_error_and_the_old_one_serves_on(
    cloud_run_with_worker, blank_clients
):
    cloud_run_with_worker.rollout_error = "The user-provided container failed to start."
    operation = start_update(blank_clients, ["template.max_instance_request_concurrency"])
    with pytest.raises(GoogleAPICallError, match="not ready and cannot serve traffic") as failure:
        wait_for(operation)
    assert isinstance(failure.value, FailedPrecondition)
    service = blank_clients.run.get_service(name=SERVICE)
    assert service.latest_ready_revision != service.latest_created_revision
    assert (service.generation, service.reconciling) == (service.observed_generation, False)
    assert service.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert cloud_run_with_worker.capacity(SERVICE) == 12


def test_pinned_traffic_stays_where_it_is_when_a_new_revision_is_ready(cloud_run_with_worker, blank_clients):
    pinned = {
        "type_": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
        "revision": "prediction-worker-00011-zw5",
        "percent": 100,
    }
    set_traffic(blank_clients, pinned)
    service = update_service(blank_clients, ["template.max_instance_request_concurrency"])
    assert service.latest_ready_revision == service.latest_created_revision
    (status,) = service.traffic_statuses
    assert (status.revision, status.percent) == ("prediction-worker-00011-zw5", 100)
    assert cloud_run_with_worker.capacity(SERVICE) == 12
    set_traffic(blank_clients, {"type_": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100})
    assert cloud_run_with_worker.capacity(SERVICE) == 4


def test_traffic_to_a_revision_that_does_not_exist_fails(cloud_run_with_worker, blank_clients):
    missing = {
        "type_": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION",
        "revision": "prediction-worker-00009-abc",
        "percent": 100,
    }
    with pytest.raises(GoogleAPICallError, match="Revision 'prediction-worker-00009-abc' does not exist or is deleted"):
        set_traffic(blank_clients, missing)
    assert cloud_run_with_worker.capacity(SERVICE) == 12


def test_split_traffic_is_served_in_its_shares_and_a_tag_has_its_own_address(
    cloud_run_with_worker, blank_clients, blank_sandbox, backend
):
    backend.open.set()
    new = update_service(blank_clients, ["template.max_instance_request_concurrency"]).latest_ready_revision
    old = f"{SERVICE}/revisions/prediction-worker-00011-zw5"
    revision_type = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    service = set_traffic(
        blank_clients,
        {"type_": revision_type, "revision": old.rsplit("/", 1)[-1], "percent": 75},
        {"type_": revision_type, "revision": new.rsplit("/", 1)[-1], "percent": 25, "tag": "canary"},
    )
    assert [status.percent for status in service.traffic_statuses] == [75, 25]
    assert cloud_run_with_worker.capacity(SERVICE) == 4 * 3 + 4 * 1
    for _ in range(8):
        assert call_worker(blank_sandbox).ok
    routed = cloud_run_with_worker.slots[SERVICE].routed
    assert routed == {old: 6, new: 2}
    assert requests.post(f"{service.traffic_statuses[1].uri}/predict", timeout=5).ok
    assert routed[new] == 3


@pytest.mark.parametrize(
    ("body", "mask", "message"),
    [
        (
            {"template": {"scaling": {"minInstanceCount": 5, "maxInstanceCount": 4}}},
            "template.scaling",
            "service.template.scaling.max_instance_count: must be greater or equal than min_instance_count.",
        ),
        ({"template": {"scaling": {"minInstanceCount": 1}}}, "template.scaling", "must be greater or equal than"),
        ({"scaling": {"minInstanceCount": 5, "maxInstanceCount": 4}}, "scaling", "must be greater or equal than"),
        (
            {"annotations": {"run.googleapis.com/maxScale": "4"}},
            "annotations",
            "annotations[run.googleapis.com/maxScale]: system annotations are not supported in Cloud Run API v2.",
        ),
        (
            {"template": {"annotations": {"autoscaling.knative.dev/maxScale": "4"}}},
            "template.annotations",
            "system annotations are not supported",
        ),
        ({"template": {"maxInstanceRequestConcurrency": 1001}}, "", "must be less or equal than 1000"),
        ({"traffic": [{"percent": 60}]}, "traffic", "sum of all percentages"),
        (
            {"scaling": {"maxInstances": 4}},
            "scaling",
            "Invalid JSON payload received. Unknown name \"maxInstances\" at 'service.scaling': Cannot find field.",
        ),
        ({"scaling": {"maxInstanceCount": "many"}}, "scaling", "Invalid value at 'service'"),
        ({}, "scaling.maximum", "Invalid value at 'update_mask'"),
        ([], "", "Invalid JSON payload received at 'service'"),
    ],
)
def test_an_invalid_change_is_a_400_and_changes_nothing(cloud_run_with_worker, blank_sandbox, body, mask, message):
    before = cloud_run_with_worker.get(SERVICE)
    response = patch(blank_sandbox, body, mask)
    assert (response.status_code, response.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert message in response.json()["error"]["message"]
    assert cloud_run_with_worker.get(SERVICE) is before


def test_a_mask_may_be_written_in_either_case(cloud_run_with_worker, blank_sandbox):
    for count, mask in enumerate(("scaling.maxInstanceCount", "scaling.max_instance_count"), start=5):
        assert patch(blank_sandbox, {"scaling": {"maxInstanceCount": count}}, mask).ok
        assert cloud_run_with_worker.get(SERVICE)["scaling"] == {"maxInstanceCount": count}


def test_what_a_revision_does_not_set_comes_back_as_the_default(cloud_run_with_worker, blank_clients):
    service = blank_clients.run.get_service(name=SERVICE)
    service.template.scaling.max_instance_count = 0
    service.template.max_instance_request_concurrency = 0
    mask = ["template.scaling.max_instance_count", "template.max_instance_request_concurrency"]
    updated = wait_for(blank_clients.run.update_service(request={"service": service, "update_mask": {"paths": mask}}))
    revision = blank_clients.revisions.get_revision(name=updated.latest_ready_revision)
    for described in (updated.template, revision):
        assert (described.scaling.max_instance_count, described.max_instance_request_concurrency) == (100, 80)
        assert described.timeout.seconds == 300


def test_a_revision_name_that_is_taken_is_refused(cloud_run_with_worker, blank_clients):
    service = blank_clients.run.get_service(name=SERVICE)
    service.template.revision = "prediction-worker-00011-zw5"
    service.template.max_instance_request_concurrency = 7
    with pytest.raises(Conflict, match="Revision named 'prediction-worker-00011-zw5' with different configuration"):
        blank_clients.run.update_service(service=service)


def test_listings_have_pages(cloud_run_with_worker, blank_clients, blank_sandbox):
    update_service(blank_clients, ["template.max_instance_request_concurrency"])
    pages = list(blank_clients.revisions.list_revisions(request={"parent": SERVICE, "page_size": 1}).pages)
    assert [len(page.revisions) for page in pages] == [1, 1]
    parent = SERVICE.rsplit("/services/", 1)[0]
    assert [service.name for service in blank_clients.run.list_services(parent=parent)] == [SERVICE]
    with pytest.raises(BadRequest):
        blank_clients.run.list_services(request={"parent": parent, "page_token": "rubbish"})


REPLACEMENT = """apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: prediction-worker
  namespace: nba-props-platform
  annotations: {team: predictions, run.googleapis.com/maxScale: "20"}
spec:
  template:
    spec:
      containerConcurrency: 5
      containers:
        - image: us-docker.pkg.dev/cloudrun/container/hello
          resources: {limits: {cpu: "1", memory: 1Gi}}
          env: [{name: MODE, value: batch}]
"""


def scale_down(clients: Clients) -> None:
    """The service as the dashboard's emergency limit leaves it: at most 4 instances, and annotations of ours."""
    service = clients.run.get_service(name=SERVICE)
    service.scaling.max_instance_count = 4
    service.annotations["on-call/set-to"] = "4/20/3"
    wait_for(clients.run.update_service(service=service))


def test_a_replaced_service_keeps_nothing_that_its_file_leaves_out(cloud_run_with_worker, blank_clients, blank_sandbox):
    scale_down(blank_clients)
    url = f"{blank_sandbox.url}/apis/serving.knative.dev/v1/namespaces/nba-props-platform/services/prediction-worker"
    before = requests.get(url, timeout=5).json()
    assert before["metadata"]["annotations"]["on-call/set-to"] == "4/20/3"
    body = yaml.safe_load(REPLACEMENT)
    body["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    replaced = requests.put(url, json=body, timeout=5)
    assert replaced.ok, replaced.text
    service = blank_clients.run.get_service(name=SERVICE)
    assert dict(service.annotations) == {"team": "predictions"}
    assert (service.scaling.max_instance_count, service.template.scaling.max_instance_count) == (20, 100)
    assert service.template.containers[0].env[0].value == "batch"
    stale = requests.put(url, json=body, timeout=5)
    assert (stale.status_code, stale.json()["error"]["status"]) == (409, "ABORTED")
    assert requests.put(url, json={"metadata": {}}, timeout=5).status_code == 400
    assert requests.get(url + "s", timeout=5).status_code == 404


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
        while backend.now < 12:  # let in, and on their way
            time.sleep(0.02)
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
