"""Services through the real Cloud Run clients: as declared, after a deploy that loses a variable, and without permission."""

from __future__ import annotations

import copy
import time

import requests

from services.core.result import Health
from services.plumbing.refused_calls import read_refusals
from services.plumbing.service_state import read_service_report


def test_a_deploy_that_loses_a_variable_is_found(module_clients, module_sandbox):
    run = module_sandbox.state.cloud_run
    assert read_service_report(module_clients).headline == "2 of 2 services as declared"
    name = next(name for name in run.services if name.endswith("prediction-worker"))
    template, before = copy.deepcopy(run.services[name]["template"]), copy.deepcopy((run.services, run.revisions))
    topic = template["containers"][0]["env"].pop()
    run.patch(name, {"template": template}, "template", False, "cd@example.com")
    while run.get(name)["latestReadyRevision"] != run.get(name)["latestCreatedRevision"]:
        time.sleep(0.02)
    report = read_service_report(module_clients)
    worker = report.services[0]
    assert (report.health, worker.deployed_by) == (Health.CRITICAL, "cd@example.com")
    assert worker.changed == (f"gone {topic['name']}",)
    run.services, run.revisions = before
    assert (
        report.headline == f"1 of 2 services as declared; prediction-worker lacks {topic['name']} in {worker.revision}"
    )


def test_a_service_that_may_not_be_read_is_unknown_and_the_other_is_shown(module_clients, module_sandbox):
    bindings = module_sandbox.state.identities.bindings
    lost = {binding for binding in bindings if binding.resource == "service/prediction-coordinator"}
    bindings -= lost
    try:
        report = read_service_report(module_clients)
    finally:
        bindings |= lost
    assert [service.name for service in report.services] == ["prediction-worker"]
    assert [(p.source, "run.services.get" in p.message) for p in report.problems] == [("prediction-coordinator", True)]
    assert "1 unknown" in report.headline


def test_a_call_without_a_token_is_counted_as_refused(module_clients, module_sandbox, monkeypatch):
    monkeypatch.setattr(module_sandbox.state.logs, "ingestion_delay_s", 0.0)
    assert read_refusals(module_clients).headline == "No call was refused in 24 h"
    bearer = {"Authorization": "Bearer not-a-token", "User-Agent": "Google-Cloud-Scheduler"}
    answer = requests.post(f"{module_sandbox.url}/run/prediction-coordinator/start", json={}, headers=bearer, timeout=5)
    assert answer.status_code in (401, 403)
    report = read_refusals(module_clients)
    assert [(c.service, c.status, c.caller, c.count) for c in report.calls] == [
        ("prediction-coordinator", answer.status_code, "Cloud Scheduler", 1)
    ]
