"""A service beside its declaration: what a deploy lost or changed is named, and no value of a variable is ever shown."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import run_v2

from services.core.result import Health
from services.plumbing.manifest import DeclaredService
from services.plumbing.service_state import ServiceState, to_state

NAME = "projects/p/locations/us-west2/services/prediction-worker"
DECLARED = DeclaredService(name="prediction-worker", owner="predictions", variables={"TOPIC": "ready-prod", "KEY": ""})
LATEST = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
SECRET = run_v2.EnvVarSource(secret_key_ref=run_v2.SecretKeySelector(secret="api-key", version="latest"))
ENV = {"TOPIC": "ready-prod", "KEY": SECRET}


def revision(name: str, env: dict[str, Any], image: str = "r/w:latest", **fields: Any) -> run_v2.Revision:
    variables = [
        run_v2.EnvVar(name=n, value=v) if isinstance(v, str) else run_v2.EnvVar(name=n, value_source=v)
        for n, v in env.items()
    ]
    container = run_v2.Container(image=image, env=variables)
    return run_v2.Revision(name=f"{NAME}/revisions/{name}", containers=[container], **fields)


def service(**fields: Any) -> run_v2.Service:
    newest = f"{NAME}/revisions/w-2"
    traffic = [run_v2.TrafficTarget(type_=LATEST, percent=100)]
    return run_v2.Service(
        **{
            "name": NAME,
            "traffic": traffic,
            "latest_ready_revision": newest,
            "latest_created_revision": newest,
            "last_modifier": "cd@p",
            **fields,
        }
    )


def state(env: dict[str, Any], before: dict[str, Any] | None = None, **fields: Any) -> ServiceState:
    earlier = revision("w-1", before) if before is not None else None
    return to_state(DECLARED, service(), revision("w-2", env, **fields), earlier)


def test_a_service_as_declared_is_in_order_with_everything_that_can_be_known():
    found = state(ENV, ENV, labels={"commit-sha": "98cb174a"}, creator="nora@example.com", service_account="sa@p")
    assert (found.health, found.problems, found.changed) == (Health.OK, (), ())
    assert (found.revision, found.image, found.commit) == ("w-2", "r/w:latest", "98cb174a")
    assert (found.deployed_by, found.service_account) == ("nora@example.com", "sa@p")
    assert (found.variables_present, found.variables_declared) == (2, 2)


def test_a_variable_that_a_deploy_lost_is_critical_and_named():
    found = state({"KEY": SECRET, "NEW": "1"}, ENV)
    assert (found.health, found.problems) == (Health.CRITICAL, ("lacks TOPIC in w-2",))
    assert found.changed == ("gone TOPIC", "new NEW")


def test_a_variable_without_a_value_is_gone():
    assert state({**ENV, "TOPIC": ""}).problems == ("lacks TOPIC in w-2",)


def test_another_value_is_a_warning_and_no_value_is_in_what_is_shown():
    found = state({"TOPIC": "s3cret-dev", "KEY": "s3cret-key"}, {**ENV, "KEY": "s3cret-old"})
    assert (found.health, found.problems) == (Health.WARNING, ("has another TOPIC than declared",))
    assert found.changed == ("changed KEY", "changed TOPIC")
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "commit"),
    [
        ({"labels": {"commit_sha": "5c2f1b7"}}, "5c2f1b7"),
        ({"env": {**ENV, "BUILD_COMMIT": "5c2f1b70"}}, "5c2f1b70"),
        ({"image": "us-docker.pkg.dev/p/r/w:98cb174a"}, "98cb174a"),
        ({"image": "us-docker.pkg.dev/p/r/w@sha256:" + "a" * 64}, ""),
        ({"image": "us-docker.pkg.dev/p/r/w:latest", "labels": {"commit-sha": "not hex"}}, ""),
    ],
)
def test_a_commit_is_found_where_deploys_leave_it_and_is_else_unknown(fields, commit):
    assert state(**{"env": ENV, **fields}).commit == commit


def test_a_newest_revision_that_is_not_ready_pinned_traffic_and_no_revision_are_said():
    broken = service(latest_created_revision=f"{NAME}/revisions/w-3")
    found = to_state(DECLARED, broken, revision("w-2", ENV), None)
    assert found.problems == ("has a newest revision w-3 that did not become ready",)
    pinned = service(traffic=[run_v2.TrafficTarget(revision="w-1", percent=100)])
    assert "has its traffic pinned to" in to_state(DECLARED, pinned, revision("w-1", ENV), None).problems[0]
    nothing = to_state(DECLARED, service(latest_ready_revision=""), None, None)
    assert (nothing.health, nothing.problems[0]) == (Health.CRITICAL, "serves no revision")
