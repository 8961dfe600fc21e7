"""The check of the real cloud: prints first, touches nothing that is watched, leaves the service as it was, reports a difference."""

from __future__ import annotations

import copy

import pytest

from deploy import verify_cloud_assumptions
from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.common.fault_injection import Fault
from services.sandbox.common.identities import account_address
from services.sandbox.server import Sandbox
from services.telemetry.scheduler import job_resource

SERVICE = "prediction-on-call-worker"


@pytest.fixture
def sandbox_with_own_service(fresh_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox with a service of our own in it, named as the cloud in the environment."""
    run = fresh_sandbox.state.cloud_run
    customer_service = next(s for n, s in run.services.items() if n.endswith("/prediction-worker"))
    own_service = copy.deepcopy(customer_service)
    own_service["name"] = customer_service["name"].replace("prediction-worker", SERVICE)
    revision = copy.deepcopy(run.revisions[customer_service["latestReadyRevision"]])
    revision["name"] = revision["name"].replace("/prediction-worker/", f"/{SERVICE}/")
    own_service["latestReadyRevision"] = own_service["latestCreatedRevision"] = revision["name"]
    run.seed([own_service], [revision])
    run._rollout_s = run.operation_s = 0.1
    monkeypatch.setenv("SANDBOX_URL", fresh_sandbox.url)
    monkeypatch.setenv("ACTING_ACCOUNT", account_address("act", fresh_sandbox.state.project))
    monkeypatch.setattr(verify_cloud_assumptions, "POLL_INTERVAL_S", 0.05)
    monkeypatch.setattr("services.scaling.service_update.POLL_INTERVAL_S", 0.05)
    monkeypatch.setattr(verify_cloud_assumptions, "STREAMING_TIMEOUT_S", 0.2)
    return fresh_sandbox


def read_service_state(sandbox: Sandbox) -> dict:
    service = next(s for n, s in sandbox.state.cloud_run.services.items() if n.endswith(SERVICE))
    return {key: copy.deepcopy(service.get(key) or {}) for key in ("annotations", "scaling", "template", "traffic")}


def test_a_dry_run_only_prints_its_steps(sandbox_with_own_service, capsys):
    calls = dict(sandbox_with_own_service.state.meter.calls)
    assert verify_cloud_assumptions.main(["--service", SERVICE]) == 0
    output = capsys.readouterr().out
    assert output.count("\n") >= 7
    assert "Nothing was done" in output
    assert dict(sandbox_with_own_service.state.meter.calls) == calls


def test_the_customers_service_is_never_touched(sandbox_with_own_service, capsys):
    calls = dict(sandbox_with_own_service.state.meter.calls)
    assert verify_cloud_assumptions.main(["--service", "prediction-worker", "--do"]) == 2
    assert dict(sandbox_with_own_service.state.meter.calls) == calls


def test_every_assumption_holds_and_the_service_is_restored(sandbox_with_own_service, capsys):
    before = read_service_state(sandbox_with_own_service)
    clients = connect(Settings.from_env())
    clients.scheduler.run_job(name=job_resource(clients, "missing-prediction-check"), retry=None)
    code = verify_cloud_assumptions.main(["--service", SERVICE, "--do"])
    output = capsys.readouterr().out
    assert (code, output.count("as relied on")) == (0, len(verify_cloud_assumptions.CHECKS)), output
    assert "50 rows staged, 50 copied, 50 merged, 0 merged the second time" in output
    assert "bytes read, the table has 1,600,080 on two dates" in output
    assert "no new revision" in output
    assert "settled: True; operations.get is allowed" in output
    assert "was made and prediction-worker-00011-zw5 serves" in output
    assert "missing-prediction-check ended with OK, HTTP 200" in output
    assert read_service_state(sandbox_with_own_service) == before


def test_a_failed_assumption_is_reported_and_fails(sandbox_with_own_service, capsys, monkeypatch):
    monkeypatch.setattr(verify_cloud_assumptions, "LOG_TIMEOUT_S", 0.3)
    monkeypatch.setattr(sandbox_with_own_service.state.logs, "add", lambda *_: None)
    sandbox_with_own_service.state.faults.set(Fault("bigquery", "status", "copy", status=403))
    sandbox_with_own_service.state.identities.denied_permissions.add("run.operations.get")
    assert verify_cloud_assumptions.main(["--service", SERVICE, "--do"]) == 1
    output = capsys.readouterr().out
    assert "NOT AS RELIED ON  check log latency: not readable within" in output
    assert "as relied on  check operation is readable: settled: True; operations.get is refused: " in output, output
