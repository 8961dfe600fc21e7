"""What the coordinator answers: each refusal has its status code and one sentence, and names the batch it is about."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from services.batches.ledger import Ledger
from services.batches.state import STALL_TIMEOUT, BatchState
from services.pipeline.coordinator import http_api
from services.pipeline.coordinator.http_api import CoordinatorApi, create_app
from tests.support.memory_clients import DeferredThreads, call_app
from tests.support.memory_rows import NIGHT
from tests.unit.pipeline.coordinator.conftest import PLAYERS

pytestmark = pytest.mark.usefixtures("one_player_per_unit")
UNKNOWN = "batch_2025-12-29_1767077100000"


class Api:
    """The routes of a coordinator; `runs` holds the runs that were accepted."""

    def __init__(self, night, runs):
        self.runner, self.runs = night.runner(), runs
        self.app = create_app(CoordinatorApi(night.clients(), self.runner), local=False)

    def call(self, method, path, body=None):
        import json

        content = b"" if body is None else json.dumps(body).encode()
        status, _, answer = call_app(self.app, method, f"http://coordinator.test{path}", content)
        return status, json.loads(answer)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def status(self, batch_id):
        return self.call("GET", f"/status?batch_id={batch_id}")[1]


@pytest.fixture
def api(night, monkeypatch):
    threads = DeferredThreads()
    monkeypatch.setattr(http_api, "threading", SimpleNamespace(Thread=threads))
    return Api(night, threads.runs)


def test_a_run_is_started_followed_stopped_and_resumed(night, api):
    code, started = api.post("/start", game_date=str(NIGHT))
    assert (code, started["status"], started["total_requests"]) == (202, "started", 3)
    assert started["summary"] == {"total_games": 1, "total_players": 3}
    batch_id = started["batch_id"]
    assert started["monitor_url"] == f"/status?batch_id={batch_id}"
    seen = []

    def stop_at_bob(player):
        night.clock.sleep(1)
        if player == "bob":
            code, stopping = api.post("/stop", batch_id=batch_id)
            assert (code, stopping["status"], stopping["batch_id"]) == (202, "stopping", batch_id)
            assert stopping["game_date"] == str(NIGHT)
        seen.append(api.status(batch_id))
        night.clock.sleep(1)

    night.workers.before = stop_at_bob
    api.runs.pop()()
    assert [(s["state"], s["stopping"], s["progress"]["completed"]) for s in seen] == [
        ("running", False, 0),
        ("running", True, 1),
    ]
    stopped = api.status(batch_id)
    assert (stopped["status"], stopped["state"], stopped["stopping"]) == ("complete", "stopped", False)
    assert (stopped["progress"]["completed"], stopped["progress"]["remaining"], stopped["conserved"]) == (2, 1, None)
    assert stopped["outcomes"]["staged"] == 2
    code, resumed = api.post("/resume", batch_id=batch_id)
    assert (code, resumed["status"], resumed["total_requests"]) == (202, "resumed", 1)
    api.runs.pop()()
    done = api.status(batch_id)
    assert (done["state"], done["conserved"], done["sums"]["active_players"]) == ("consolidated", True, 3)
    assert done["progress"] == {
        "expected": 3,
        "completed": 3,
        "failed": 0,
        "remaining": 0,
        "is_complete": True,
        "total_predictions": 75,
        "progress_percentage": 100.0,
    }


def test_a_run_that_is_under_way_refuses_a_start_and_a_resume_and_is_named(api):
    batch_id = api.post("/start", game_date=str(NIGHT))[1]["batch_id"]
    for answer in (
        api.post("/start", game_date=str(NIGHT)),
        api.post("/start", game_date=str(NIGHT), force=True),
        api.post("/resume", batch_id=batch_id),
    ):
        code, body = answer
        assert (code, body["status"], body["batch_id"], body["progress"]) == (
            409,
            "already_running",
            batch_id,
            "requested",
        )
    assert len(api.runs) == 1


def test_a_batch_that_cannot_be_resumed_or_stopped_refuses_with_its_state(night, api):
    batch_id = api.post("/start", game_date=str(NIGHT))[1]["batch_id"]
    api.runs.pop()()
    for path in ("/resume", "/stop"):
        code, body = api.post(path, batch_id=batch_id)
        assert (code, body["status"], body["state"], body["batch_id"]) == (409, "wrong_state", "consolidated", batch_id)
        assert body["message"].startswith(f"{batch_id} is consolidated")
    assert api.runs == []


@pytest.mark.parametrize("path", ["/resume", "/stop"])
@pytest.mark.parametrize("batch_id", [UNKNOWN, "", "other", "batch_2025-12-29_1\n"])
def test_an_unknown_batch_is_a_bad_request(api, path, batch_id):
    code, body = api.post(path, batch_id=batch_id)
    assert (code, body["status"], bool(body["message"])) == (400, "bad_request", True)


def test_a_date_is_run_again_only_by_force(api):
    batch_id = api.post("/start", game_date=str(NIGHT))[1]["batch_id"]
    api.runs.pop()()
    code, refused = api.post("/start", game_date=str(NIGHT))
    assert (code, refused["status"], refused["batch_id"]) == (409, "already_exists", batch_id)
    assert api.post("/start", game_date=str(NIGHT), force=True)[0] == 202


def test_a_date_with_players_who_gave_no_answer_is_not_done_and_needs_no_force(night, api):
    night.workers.away = {"bob"}
    batch_id = api.post("/start", game_date=str(NIGHT))[1]["batch_id"]
    api.runs.pop()()
    status = api.status(batch_id)
    assert (status["state"], status["is_stalled"], status["conserved"]) == ("stalled", True, None)
    assert (status["progress"]["completed"], status["progress"]["failed"]) == (3, 1)
    assert api.post("/start", game_date=str(NIGHT))[0] == 202


@pytest.mark.parametrize("call", ["tabledata.list", "SELECT"])
def test_an_unreadable_ledger_starts_nothing(night, api, call):
    def hook(this_call, phase, _subject):
        if (this_call, phase) == (call, "before"):
            raise ConnectionError("down")

    night.clock.on_sleep = None
    api_with_faults = Api(night, api.runs)
    api_with_faults.app = create_app(CoordinatorApi(night.clients(hook), night.runner(hook)), local=False)
    code, body = api_with_faults.post("/start", game_date=str(NIGHT))
    assert (code, body["status"]) == (503, "unavailable")
    assert (api.runs, night.project.rows("prediction_on_call.batches")) == ([], [])


def test_a_batch_whose_process_died_is_reported_as_stalled(night, api):
    batch_id = api.post("/start", game_date=str(NIGHT))[1]["batch_id"]
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    status = api.status(batch_id)
    assert (status["status"], status["state"], status["is_stalled"]) == ("complete", "stalled", True)


@pytest.mark.parametrize(
    ("state", "completed"), [(BatchState.CONSOLIDATED, 3), (BatchState.RUNNING, 0), (BatchState.STALLED, 3)]
)
def test_a_batch_of_an_earlier_version_has_no_counts_of_players(night, api, state, completed):
    entry = night.requested().entry
    earlier = replace(entry, state=state, sequence=2, details={"players": list(PLAYERS)}, produced_rows=75)
    Ledger(night.clients()).append_state(earlier)
    status = api.status(entry.batch_id)
    assert (status["progress"]["completed"], status["progress"]["failed"], status["outcomes"]) == (completed, 0, None)
    assert (status["conserved"], status["progress"]["total_predictions"]) == (None, 75)


def test_a_status_without_a_batch_or_of_an_unknown_one_says_so(api):
    assert api.call("GET", "/status") == (
        200,
        {"status": "no_active_batch", "message": "Give ?batch_id= to ask for one."},
    )
    for batch_id in (UNKNOWN, "other"):
        assert api.call("GET", f"/status?batch_id={batch_id}") == (404, {"status": "not_found", "batch_id": batch_id})


def test_the_coordinator_says_what_it_supports(api):
    for path in ("/", "/health", "/ready"):
        assert api.call("GET", path)[1]["supports"] == ["players", "resume", "stop"]


def test_a_date_without_games_or_without_eligible_players_starts_nothing(api):
    code, body = api.post("/start", game_date="2025-07-01")
    assert (code, body["status"], body["game_date"]) == (200, "no_games_scheduled", "2025-07-01")
    code, body = api.post("/start", game_date=str(NIGHT), min_minutes=48)
    assert (code, body["status"]) == (404, "no_players")
    assert api.runs == []
