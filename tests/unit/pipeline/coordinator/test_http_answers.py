"""What goes in and out of the coordinator's HTTP API, without a run: every route, every answer and every refusal in full."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.batches.ledger import BatchRecord, StateAlreadyRecorded, count_outcomes
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.errors import InvalidInput, OnCallError
from services.core.settings import Settings
from services.pipeline.coordinator import customer_endpoints, http_api
from services.pipeline.coordinator.batch_runner import BatchAlreadyRunning
from services.pipeline.coordinator.customer_endpoints import NOT_SUPPORTED
from services.pipeline.coordinator.http_api import REPORTED_SUMS, CoordinatorApi, create_app, to_status_response
from services.pipeline.coordinator.resume import Activation, WrongBatchState
from services.pipeline.coordinator.run_request import NoEligiblePlayers, Run
from tests.support.memory_clients import DeferredThreads, SimulatedClock, call_app
from tests.support.memory_rows import NIGHT

BATCH = f"batch_{NIGHT}_1767078000000"
RUN = Run(BATCH, NIGHT, 11, 7, cast(Any, ({"player_lookup": "ann"}, {"player_lookup": "bob"})), "ada")
ENTRY = BatchRecord(
    BATCH,
    NIGHT,
    BatchState.RUNNING,
    2,
    "coordinator-a",
    reason="2 players asked",
    requested=2,
    details={"outcomes": {"staged": 1}},
)
CUSTOMER_PATHS = {
    "/health/deep": "deep_health",
    "/check-stalled": "check_stalled",
    "/cleanup-staging": "cleanup_staging",
    "/cleanup-duplicates": "cleanup_duplicates",
    "/complete": "complete",
}


class Runner:
    """Stands for BatchRunner: `calls` are those it got, `error` what it raises."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.error: Exception | None = None
        self.progress: dict[str, Any] = {}
        self.stopping = False

    def _note(self, call: str, argument: object) -> None:
        self.calls.append((call, argument))
        if self.error is not None:
            raise self.error

    def record_requested(self, run: Run) -> Activation:
        self._note("record_requested", run)
        return Activation(run, ENTRY)

    def resume(self, batch_id: str) -> Activation:
        self._note("resume", batch_id)
        return Activation(RUN, ENTRY)

    def request_stop(self, batch_id: str) -> BatchRecord:
        self._note("request_stop", batch_id)
        return ENTRY

    def is_stopping(self, entry: BatchRecord) -> bool:
        assert entry is ENTRY
        return self.stopping

    def run(self, activation: Activation) -> None:
        self._note("run", activation.run)


@dataclass
class ClockedClients(SimulatedClock):
    """Clients with a clock and settings, and no connection."""

    settings: Settings = field(default_factory=lambda: Settings.from_env({}))


class Coordinator:
    """A coordinator's routes on a Runner; `batches` are those of the date, `planned` the run that a start plans."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clients, self.runner, self.threads = ClockedClients(), Runner(), DeferredThreads()
        self.planned: Run | None = RUN
        self.plans: list[tuple[object, dict[str, Any]]] = []
        self.batches: list[Any] = []
        self.ledger_error: Exception | None = None
        monkeypatch.setattr(http_api, "threading", SimpleNamespace(Thread=self._thread))
        monkeypatch.setattr(http_api, "run_in_threadpool", self._at_once)
        monkeypatch.setattr(http_api, "plan_run", self._plan)
        monkeypatch.setattr(http_api, "read_batches", self._read_batches)
        monkeypatch.setattr(http_api, "Ledger", self._ledger)
        self.api = CoordinatorApi(cast(Any, self.clients), cast(Any, self.runner))
        self.app = create_app(self.api, local=False)

    def call(self, method: str, path: str, body: bytes = b"", host: str = "coordinator.test") -> tuple[int, Any]:
        status, _, answer = call_app(self.app, method, f"http://{host}{path}", body)
        try:
            return status, json.loads(answer)
        except ValueError:
            return status, answer.decode()

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        return self.call("POST", path, json.dumps(body).encode())

    def _thread(self, *, name: str, daemon: bool, **work: Any) -> SimpleNamespace:
        assert (name, daemon) == (BATCH, True), "a run that is under way must not keep a process that ends"
        return self.threads(**work)

    async def _at_once(self, function: Any, *args: object) -> object:
        return function(*args)

    def _plan(self, clients: object, game_date: object, **options: Any) -> Run | None:
        assert clients is self.clients
        self.plans.append((game_date, options))
        return self.planned

    def _read_batches(self, clients: object, game_date: object) -> SimpleNamespace:
        assert (clients, game_date) == (self.clients, NIGHT)
        return SimpleNamespace(batches=self.batches)

    def _ledger(self, clients: object) -> SimpleNamespace:
        assert clients is self.clients
        return SimpleNamespace(batches_of=self._batches_of, latest=self._latest)

    def _batches_of(self, game_date: object) -> tuple[object, ...]:
        assert game_date == NIGHT
        if self.ledger_error is not None:
            raise self.ledger_error
        return ()

    def _latest(self, batch_id: str, game_date: object) -> BatchRecord | None:
        assert game_date == NIGHT
        if self.ledger_error is not None:
            raise self.ledger_error
        return ENTRY if batch_id == BATCH else None


@pytest.fixture
def coordinator(monkeypatch):
    return Coordinator(monkeypatch)


def accepted(status: str) -> dict[str, Any]:
    return {
        "status": status,
        "batch_id": BATCH,
        "game_date": str(NIGHT),
        "total_requests": 2,
        "published": 2,
        "summary": {"total_games": 11, "total_players": 7},
        "monitor_url": f"/status?batch_id={BATCH}",
    }


# --- starting, resuming and stopping ------------------------------------------------------------------------------------


def test_a_start_is_planned_as_it_was_asked_recorded_answered_and_then_run(coordinator):
    body = {"game_date": str(NIGHT), "min_minutes": 5, "players": ["ann", "bob"], "started_by": "ada"}
    assert coordinator.post("/start", **body) == (202, accepted("started"))
    assert coordinator.plans == [(NIGHT, {"min_minutes": 5, "players": ["ann", "bob"], "started_by": "ada"})]
    assert coordinator.runner.calls == [("record_requested", RUN)]
    [run] = coordinator.threads.runs
    run()
    assert coordinator.runner.calls[1:] == [("run", RUN)]


def test_today_is_the_day_in_the_east(coordinator):
    assert str(coordinator.clients.now()) == "2025-12-30 07:00:00+00:00"
    coordinator.post("/start", game_date="TODAY", force=True)
    coordinator.clients.sleep(-3 * 3600)  # 23 hours of the day before, in New York
    coordinator.post("/start", game_date="TODAY", force=True)
    assert [str(game_date) for game_date, _ in coordinator.plans] == ["2025-12-30", "2025-12-29"]


def test_a_date_without_games_starts_nothing(coordinator):
    coordinator.planned = None
    assert coordinator.post("/start", game_date=str(NIGHT), force=True) == (
        200,
        {
            "status": "no_games_scheduled",
            "game_date": str(NIGHT),
            "message": "No games, so nothing was started.",
        },
    )
    assert (coordinator.runner.calls, coordinator.threads.runs) == ([], [])


@pytest.mark.parametrize("state", BatchState)
def test_a_date_that_is_done_is_started_again_only_by_force(coordinator, state):
    coordinator.batches = [
        SimpleNamespace(batch_id="other", state=BatchState.STOPPED),
        SimpleNamespace(batch_id=BATCH, state=state),
    ]
    answer = coordinator.post("/start", game_date=str(NIGHT))
    if state in (BatchState.CONSOLIDATED, BatchState.UNVERIFIED_SUCCESS):
        assert answer == (
            409,
            {
                "status": "already_exists",
                "batch_id": BATCH,
                "message": f"{BATCH} has run; send force to run again.",
            },
        )
        assert (coordinator.runner.calls, coordinator.threads.runs) == ([], [])
    else:
        assert answer[0] == 202
    assert coordinator.post("/start", game_date=str(NIGHT), force=True)[0] == 202


def test_a_date_of_which_the_ledger_cannot_be_read_may_be_done(coordinator):
    coordinator.ledger_error = OnCallError("The ledger is away.")
    code, body = coordinator.post("/start", game_date=str(NIGHT))
    assert (code, body["status"], coordinator.runner.calls) == (503, "unavailable", [])


def test_a_resume_is_answered_as_a_start_and_run(coordinator):
    assert coordinator.post("/resume", batch_id=BATCH) == (202, accepted("resumed"))
    coordinator.threads.runs.pop()()
    assert coordinator.runner.calls == [("resume", BATCH), ("run", RUN)]


def test_a_stop_is_answered_with_the_batch(coordinator):
    assert coordinator.post("/stop", batch_id=BATCH) == (
        202,
        {
            "status": "stopping",
            "batch_id": BATCH,
            "game_date": str(NIGHT),
            "message": "No further player is asked; what is staged stays, and the batch can be resumed.",
        },
    )
    assert (coordinator.runner.calls, coordinator.threads.runs) == ([("request_stop", BATCH)], [])


@pytest.mark.parametrize(
    ("error", "code", "body"),
    [
        (
            BatchAlreadyRunning(ENTRY),
            409,
            {"status": "already_running", "batch_id": BATCH, "progress": "2 players asked"},
        ),
        (
            BatchAlreadyRunning(replace(ENTRY, reason="")),
            409,
            {"status": "already_running", "batch_id": BATCH, "progress": "running"},
        ),
        (
            WrongBatchState(ENTRY, "It has ended.", "Look again."),
            409,
            {"status": "wrong_state", "batch_id": BATCH, "state": "running"},
        ),
        (StateAlreadyRecorded("Another was first."), 409, {"status": "already_running"}),
        (NoEligiblePlayers("Nobody."), 404, {"status": "no_players", "message": "No players found: Nobody."}),
        (InvalidInput("No such thing."), 400, {"status": "bad_request"}),
        (OnCallError("BigQuery is away."), 503, {"status": "unavailable"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_has_its_code_and_its_sentence_and_starts_nothing(coordinator, error, code, body):
    coordinator.runner.error = error
    expected = (code, {"message": str(error), **body})
    assert coordinator.post("/resume", batch_id=BATCH) == expected
    assert coordinator.post("/stop", batch_id=BATCH) == expected
    assert coordinator.post("/start", game_date=str(NIGHT)) == expected
    assert coordinator.threads.runs == []


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stopping", [False, True])
def test_the_status_of_a_batch_has_the_counts_of_its_process_before_those_of_the_ledger(coordinator, stopping):
    coordinator.runner.stopping = stopping
    assert coordinator.call("GET", f"/status?batch_id={BATCH}") == (
        200,
        to_status_response(ENTRY, {"staged": 1}, stopping),
    )
    coordinator.runner.progress = {BATCH: {"staged": 2}}
    assert coordinator.call("GET", f"/status?batch_id={BATCH}")[1]["outcomes"] == {"staged": 2}


def test_the_status_of_no_batch_and_of_an_unknown_one(coordinator):
    nothing = {"status": "no_active_batch", "message": "Give ?batch_id= to ask for one."}
    assert coordinator.call("GET", "/status") == (200, nothing)
    for batch_id in ("other", BATCH.replace("1767", "1768")):
        not_found = {"status": "not_found", "batch_id": batch_id}
        assert coordinator.call("GET", f"/status?batch_id={batch_id}") == (404, not_found)


def test_a_status_that_cannot_be_read_is_not_known(coordinator):
    coordinator.ledger_error = OnCallError("The ledger is away.")
    assert coordinator.call("GET", f"/status?batch_id={BATCH}") == (
        503,
        {"status": "unavailable", "message": "The ledger is away."},
    )


@pytest.mark.parametrize("state", BatchState)
def test_a_status_is_in_the_customers_shape_with_the_state_and_the_sums(state):
    counts = {"staged": 3, "no answer": 1, "not generated": 1}
    sums = dict(zip(REPORTED_SUMS, range(100, 112), strict=True))
    entry = replace(ENTRY, state=state, requested=8, **cast(Any, sums))
    finished = state not in IN_PROGRESS_STATES
    assert to_status_response(entry, counts, True) == {
        "status": "complete" if finished else "in_progress",
        "state": state.value,
        "stopping": True,
        "reason": "2 players asked",
        "batch_id": BATCH,
        "game_date": str(NIGHT),
        "progress": {
            "expected": 8,
            "completed": 5,
            "failed": 2,
            "remaining": 3,
            "is_complete": finished,
            "total_predictions": 100,
            "progress_percentage": 62.5,
        },
        "outcomes": counts,
        "is_stalled": state is BatchState.STALLED,
        "sums": sums,
        "conserved": False if state is BatchState.CONSOLIDATED else None,
        "source": "ledger",
    }


@pytest.mark.parametrize(
    ("state", "requested", "counts", "progress"),
    [
        (BatchState.RUNNING, 3, {"not generated": 1}, (3, 1, 1, 2, 33.3)),  # nobody is staged yet
        (BatchState.RUNNING, 3, {}, (3, 0, 0, 3, 0.0)),
        (BatchState.RUNNING, 3, None, (3, 0, 0, 3, 0.0)),
        (BatchState.CONSOLIDATED, 3, None, (3, 3, 0, 0, 100.0)),  # of an earlier version
        (BatchState.RUNNING, 3, {"staged": 4}, (3, 4, 0, 0, 133.3)),  # a second worker's answer
        (BatchState.STOPPED, 3, {"staged": 1, "not asked": 2}, (3, 1, 0, 2, 33.3)),
        (BatchState.RUNNING, None, {"staged": 1}, (0, 1, 0, 0, None)),
        (BatchState.RUNNING, 1, {"staged": 1}, (1, 1, 0, 0, 100.0)),
    ],
)
def test_progress_is_counted_by_the_players_who_answered(state, requested, counts, progress):
    answer = to_status_response(replace(ENTRY, state=state, requested=requested), counts, False)
    names = ("expected", "completed", "failed", "remaining", "progress_percentage")
    assert tuple(answer["progress"][name] for name in names) == progress
    assert (answer["stopping"], answer["outcomes"]) == (False, counts)


def test_a_batch_whose_sums_hold_is_conserved():
    sums = dict.fromkeys(("produced_rows", "staged_rows", "distinct_keys", "inserted", "active_rows"), 50)
    entry = replace(
        ENTRY,
        state=BatchState.CONSOLIDATED,
        requested=1,
        generated=1,
        staged_tables=1,
        collapsed_rows=0,
        updated=0,
        unchanged=0,
        deactivated=0,
        details={"outcomes": {**count_outcomes([]), "staged": 1}},
        **cast(Any, sums),
    )
    assert to_status_response(entry, entry.outcome_counts, False)["conserved"] is True


# --- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/start", "/resume", "/stop"])
@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"\xff"])
def test_a_body_that_is_no_json_is_refused(coordinator, path, body):
    assert coordinator.call("POST", path, body) == (400, {"error": "The body is not JSON."})
    assert coordinator.runner.calls == []


@pytest.mark.parametrize("path", ["/start", "/resume", "/stop"])
def test_what_changes_something_is_posted(coordinator, path):
    assert coordinator.call("GET", path)[0] == 405
    assert coordinator.post(path, unknown=1)[0] == 400


def test_the_customers_other_paths_reach_what_answers_them(monkeypatch):
    for name in CUSTOMER_PATHS.values():
        monkeypatch.setattr(
            customer_endpoints,
            name,
            lambda clients, body, name=name: (207, {"by": name, "at": str(clients.now()), "body": body}),
        )
    coordinator = Coordinator(monkeypatch)
    for path, name in CUSTOMER_PATHS.items():
        method, other = ("GET", "POST") if path == "/health/deep" else ("POST", "GET")
        for content, body in ((b"", {}), (b" \n", {}), (b'{"a": 1}', {"a": 1}), (b"[]", [])):
            answer: dict[str, Any] = {"by": name, "at": str(coordinator.clients.now()), "body": body}
            assert coordinator.call(method, path, content) == (207, answer)
        assert coordinator.call(method, path, b"{") == (400, {"error": "The body is not JSON."})
        assert coordinator.call(other, path)[0] == 405


def test_what_is_not_supported_says_what_to_use_instead(coordinator):
    for path, sentence in NOT_SUPPORTED.items():
        for method in ("GET", "POST"):
            assert coordinator.call(method, path) == (501, {"status": "not_supported", "message": sentence})


def test_health_says_what_is_supported(coordinator):
    for path in ("/", "/health", "/ready"):
        assert coordinator.call("GET", path) == (
            200,
            {
                "service": "prediction-coordinator",
                "status": "healthy",
                "supports": ["players", "resume", "stop"],
                "thresholds": Settings.from_env({}).fingerprint,
            },
        )


def test_a_coordinator_on_this_machine_answers_to_no_other_host_unless_it_is_told_to(coordinator):
    assert coordinator.call("GET", "/health")[0] == 200
    coordinator.app = create_app(coordinator.api)
    assert coordinator.call("GET", "/health")[0] == 403
    assert coordinator.call("GET", "/health", host="127.0.0.1")[0] == 200
