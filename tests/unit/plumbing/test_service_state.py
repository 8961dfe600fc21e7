"""A service beside its declaration: what a deploy lost or changed is named, and no value of a variable is ever shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import run_v2

from services.core.errors import SourceUnavailable
from services.core.result import DataSource, Health, Problem
from services.core.settings import Settings
from services.gcp.read_cache import ReadCache
from services.plumbing import service_state
from services.plumbing.manifest import DeclaredService
from services.plumbing.service_state import (
    MAX_REVISIONS,
    ServiceReport,
    ServiceState,
    read_service_report,
    to_state,
)
from tests.support.factories import NOW

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
        ({"image": "us-docker.pkg.dev/p/r/w:main-98cb174a"}, "98cb174a"),
        ({"labels": {"commit-sha": "98cb174a and more"}}, ""),
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
    bare = to_state(DECLARED.model_copy(update={"variables": {}}), service(latest_ready_revision=""), None, None)
    assert (bare.health, bare.changed, bare.deployed_by) == (Health.CRITICAL, (), "cd@p")


def test_a_revision_that_is_being_rolled_out_is_no_problem_yet():
    rollout = service(latest_created_revision=f"{NAME}/revisions/w-3", reconciling=True)
    assert to_state(DECLARED, rollout, revision("w-2", ENV), None).problems == ()


def test_what_is_not_known_of_a_revision_is_left_empty():
    first = state(ENV)
    assert first.changed == (), "nothing is before the first revision"
    assert first.deployed_by == "cd@p", "who changed the service last"
    empty = to_state(DECLARED, service(), run_v2.Revision(name=f"{NAME}/revisions/w-2"), None)
    assert (empty.image, empty.commit, empty.deployed_at) == ("", "", None)


# --- the report ---------------------------------------------------------------------------------------------------------------


SOURCE = DataSource("Cloud Run", NOW)
UNREAD = Problem("prediction-coordinator", NOW, "denied")


def test_a_service_that_could_not_be_read_is_unknown_and_never_in_order():
    partial = ServiceReport((state(ENV),), (UNREAD,), SOURCE)
    assert (partial.health, partial.headline) == (Health.UNKNOWN, "1 of 2 services as declared, 1 unknown")
    assert ServiceReport((), (UNREAD,), SOURCE).health is Health.UNKNOWN
    assert ServiceReport((state(ENV),), (), SOURCE).headline == "1 of 1 services as declared"
    nothing = ServiceReport((), (), SOURCE)
    assert (nothing.health, nothing.headline) == (Health.NONE_EXPECTED, "The manifest declares no service")


class Run:
    """Cloud Run's revisions; the newest page of them, and those that were asked for by name."""

    def __init__(self, *names: str) -> None:
        self.page = [revision(name, {"TOPIC": name}, create_time=self.at(name)) for name in names]
        self.page.append(revision("w-0", {}))  # without a time
        self.page_size = 0
        self.asked: list[str] = []

    @staticmethod
    def at(name: str) -> datetime:
        return NOW + timedelta(minutes=int(name[2:]))

    def list_revisions(self, request: run_v2.ListRevisionsRequest, **_: object) -> SimpleNamespace:
        self.page_size = request.page_size
        return SimpleNamespace(pages=[SimpleNamespace(revisions=self.page)])

    def get_revision(self, name: str, **_: object) -> run_v2.Revision:
        short = name.rsplit("/", 1)[-1]
        self.asked.append(short)
        return revision(short, {"TOPIC": short}, create_time=self.at(short))


def shares(**percents: int) -> list[run_v2.TrafficTargetStatus]:
    return [run_v2.TrafficTargetStatus(revision=n.replace("_", "-"), percent=p) for n, p in percents.items()]


@pytest.fixture
def read(monkeypatch):
    """Reads the one declared service, which is this service with these revisions."""

    def read_one(run: Run, **fields: Any) -> ServiceReport:
        monkeypatch.setattr(service_state, "read_declared_services", lambda _: (DECLARED,))
        monkeypatch.setattr(service_state, "get_service", lambda *_: service(**fields))
        clients: Any = SimpleNamespace(
            cache=ReadCache(),
            settings=Settings.from_env({}),
            now=lambda: NOW,
            service_name=lambda name: name,
            revisions=run,
        )
        return read_service_report(clients)

    return read_one


def test_of_a_split_the_revision_with_the_largest_share_is_compared_with_the_one_before_it(read):
    run = Run("w-1", "w-3", "w-4", "w-2")
    [found] = read(run, traffic_statuses=shares(w_4=10, w_3=90)).services
    assert (found.revision, found.deployed_at) == ("w-3", run.at("w-3"))
    assert found.changed == ("changed TOPIC",)
    assert (run.asked, run.page_size) == ([], MAX_REVISIONS)
    [first] = read(Run("w-1"), latest_ready_revision=f"{NAME}/revisions/w-1").services
    assert (first.revision, first.changed) == ("w-1", ())


def test_the_revision_before_is_the_newest_of_the_older_ones(read):
    run = Run("w-1", "w-3", "w-4", "w-2")
    run.page[-2] = revision("w-2", {"TOPIC": "w-3"}, create_time=run.at("w-2"))
    [found] = read(run, traffic_statuses=shares(w_3=100)).services
    assert found.changed == (), "w-2 had the same variables"


def test_a_serving_revision_beyond_the_newest_is_asked_for_by_its_name(read):
    run = Run("w-8", "w-9")
    [found] = read(run, traffic_statuses=shares(w_3=60, w_2=40)).services
    assert (found.revision, run.asked, found.changed) == ("w-3", ["w-3"], ())


def test_a_service_that_serves_no_revision_asks_for_none(read):
    run = Run("w-1")
    [found] = read(run, latest_ready_revision="").services
    assert (found.revision, found.health, run.asked) == ("", Health.CRITICAL, [])


def test_an_error_of_one_service_is_a_problem_with_its_name(read, monkeypatch):
    def fail(*_: object) -> None:
        raise SourceUnavailable("No answer.")

    monkeypatch.setattr(service_state, "_list_revisions", fail)
    found = read(Run())
    assert [(problem.source, problem.message) for problem in found.problems] == [("prediction-worker", "No answer.")]
    assert found.services == ()
