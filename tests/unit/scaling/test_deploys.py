"""The deploys of the services, from the revisions that Cloud Run lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from google.cloud import run_v2

from services.core.result import Health
from services.core.settings import Settings
from services.scaling.deploys import MAX_REVISIONS, read_deploy_history

AT = datetime(2025, 12, 30, 1, 20, tzinfo=UTC)


def revision(number, instances=0, concurrency=0, problem="", creator="nora@nba.com"):
    state = run_v2.Condition.State.CONDITION_FAILED if problem else run_v2.Condition.State.CONDITION_SUCCEEDED
    return run_v2.Revision(
        name=f"projects/p/locations/l/services/prediction-worker/revisions/prediction-worker-{number:05d}",
        create_time=AT + timedelta(minutes=number),
        creator=creator,
        scaling=run_v2.RevisionScaling(max_instance_count=instances),
        max_instance_request_concurrency=concurrency,
        conditions=[run_v2.Condition(type_="Ready", state=state, message=problem)],
    )


def read(worker_revisions, next_page_token="", coordinator_revisions=()):
    """The history where the services have these revisions, newest first."""
    requests = []

    def list_revisions(request: run_v2.ListRevisionsRequest, **_: object) -> Any:
        requests.append(request)
        is_worker = request.parent.endswith("prediction-worker")
        response = run_v2.ListRevisionsResponse(
            revisions=worker_revisions if is_worker else coordinator_revisions,
            next_page_token=next_page_token if is_worker or coordinator_revisions else "",
        )
        return SimpleNamespace(pages=[response])

    clients: Any = SimpleNamespace(
        settings=Settings.from_env({}),
        service_name=lambda name: f"projects/p/locations/l/services/{name}",
        revisions=SimpleNamespace(list_revisions=list_revisions),
        now=lambda: AT + timedelta(hours=5),
    )
    history = read_deploy_history(clients)
    assert [request.page_size for request in requests] == [MAX_REVISIONS] * 2
    return history


def test_a_revision_that_no_longer_serves_is_still_a_deploy():
    history = read([revision(2, 20, 5), revision(1, 4, 3)])
    assert [(d.revision, d.capacity_text, d.by, d.health) for d in history.deploys] == [
        ("prediction-worker-00002", "20 × 5", "nora@nba.com", Health.NONE_EXPECTED),
        ("prediction-worker-00001", "4 × 3", "nora@nba.com", Health.WARNING),
    ]
    assert history.complete_since is None


def test_a_revision_without_numbers_has_those_that_cloud_run_fills_in():
    assert [deploy.capacity_text for deploy in read([revision(1)]).deploys] == ["100 × 80"]


def test_a_deploy_that_never_became_ready_is_critical_with_its_reason():
    (deploy,) = read([revision(1, 20, 5, "The image was not found.")]).deploys
    assert (deploy.health, deploy.problem) == (Health.CRITICAL, "The image was not found.")


def test_more_revisions_than_are_read_leave_the_time_before_unknown():
    assert read([revision(2), revision(1)], "more").complete_since == AT + timedelta(minutes=1)
    assert read([], "more").complete_since == AT + timedelta(hours=5)


def test_deploys_are_complete_since_the_service_of_which_least_was_read():
    history = read([revision(2)], "more", [revision(30)])
    assert history.complete_since == AT + timedelta(minutes=30)


def test_a_revision_that_is_not_created_yet_is_no_deploy():
    assert read([run_v2.Revision(name="projects/p/locations/l/services/s/revisions/r")]).deploys == ()


def test_only_the_condition_ready_says_whether_a_deploy_became_ready():
    served = revision(1, 20, 5)
    failed = run_v2.Condition.State.CONDITION_FAILED
    served.conditions.append(run_v2.Condition(type_="Active", state=failed, message="It is retired."))
    (deploy,) = read([served]).deploys
    assert (deploy.health, deploy.problem) == (Health.NONE_EXPECTED, "")
