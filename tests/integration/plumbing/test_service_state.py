"""Services through the real Cloud Run clients: as declared, after a deploy that loses a variable, and without permission."""

from __future__ import annotations

import copy
import time

from services.core.result import Health
from services.plumbing.service_state import read_service_report


def test_a_deploy_that_loses_a_variable_is_found(module_clients, module_sandbox):
    run = module_sandbox.state.cloud_run
    assert read_service_report(module_clients).headline == "2 of 2 services as declared"
    name = next(name for name in run.services if name.endswith("prediction-worker"))
    template = copy.deepcopy(run.services[name]["template"])
    topic = template["containers"][0]["env"].pop()
    run.patch(name, {"template": template}, "template", False, "cd@example.com")
    while run.get(name)["latestReadyRevision"] != run.get(name)["latestCreatedRevision"]:
        time.sleep(0.02)
    report = read_service_report(module_clients)
    worker = report.services[0]
    assert (report.health, worker.deployed_by) == (Health.CRITICAL, "cd@example.com")
    assert worker.changed == (f"gone {topic['name']}",)
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
