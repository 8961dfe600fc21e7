"""The once-only script: says first, touches nothing that is watched, leaves the service as it was, and tells a cloud that differs."""

from __future__ import annotations

import copy

import pytest

from deploy import prove_on_cloud
from services.sandbox.common.fault_injection import Fault
from services.sandbox.server import Sandbox

SERVICE = "prediction-on-call-worker"


@pytest.fixture
def place(fresh_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox with a service of our own in it, named as the cloud in the environment."""
    run = fresh_sandbox.world.run
    theirs = next(s for n, s in run.services.items() if n.endswith("/prediction-worker"))
    ours = copy.deepcopy(theirs)
    ours["name"] = theirs["name"].replace("prediction-worker", SERVICE)
    run.seed([ours], [])
    monkeypatch.setenv("SANDBOX_URL", fresh_sandbox.address)
    monkeypatch.setattr(prove_on_cloud, "LOOK_AGAIN_S", 0.05)
    return fresh_sandbox


def state(place: Sandbox) -> dict:
    service = next(s for n, s in place.world.run.services.items() if n.endswith(SERVICE))
    return {
        key: copy.deepcopy(service.get(key) or {})
        for key in ("annotations", "scaling", "template", "latestReadyRevision")
    }


def test_without_being_told_to_it_only_says_what_it_would_do(place, capsys):
    calls = dict(place.world.meter.calls)
    assert prove_on_cloud.main(["--service", SERVICE]) == 0
    told = capsys.readouterr().out
    assert told.count("\n") >= 7
    assert "Nothing was done" in told
    assert dict(place.world.meter.calls) == calls


def test_the_service_that_the_desk_watches_is_never_touched(place, capsys):
    calls = dict(place.world.meter.calls)
    assert prove_on_cloud.main(["--service", "prediction-worker", "--do"]) == 2
    assert dict(place.world.meter.calls) == calls


def test_each_proof_holds_and_the_service_is_left_as_it_was(place, capsys):
    before = state(place)
    code = prove_on_cloud.main(["--service", SERVICE, "--do"])
    told = capsys.readouterr().out
    assert (code, told.count("as relied on")) == (0, 5), told
    assert "50 rows staged, 50 copied, 50 merged, 0 merged the second time" in told
    assert "no new revision" in told
    assert state(place) == before


def test_a_cloud_that_differs_is_told_and_fails(place, capsys, monkeypatch):
    monkeypatch.setattr(prove_on_cloud, "WAIT_S", 0.3)
    monkeypatch.setattr(place.world.logs, "add", lambda *_: None)
    place.world.faults.set(Fault("bigquery", "status", "copy", status=403))
    assert prove_on_cloud.main(["--service", SERVICE, "--do"]) == 1
    told = capsys.readouterr().out
    assert "NOT AS RELIED ON  a log line can be read soon: not readable within" in told
