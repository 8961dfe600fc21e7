"""Every unit is delivered, whatever a worker or the network does with it, and each player has the outcome that was answered."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
import requests

from services.batches.ids import work_unit_id
from services.batches.ledger import PlayerOutcome
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator import dispatcher
from services.pipeline.coordinator.dispatcher import WorkerEndpoint, dispatch, get_worker_endpoint
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients

pytestmark = pytest.mark.usefixtures("one_player_per_unit")
NIGHT, BATCH = date(2025, 12, 29), "batch_2025-12-29_1767077100000"
Answer = Callable[[dict[str, Any]], tuple[int, object]]


class FakeWorker:
    """Stands in for the network: `answers` are called in turn with the request's body, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.requests, self.headers = list(answers), list[dict[str, Any]](), list[dict[str, str]]()
        self.timeouts: list[object] = []

    def send(self, request: requests.PreparedRequest, **kwargs: object) -> requests.Response:
        body = json.loads(cast(bytes, request.body), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        self.requests.append(body)
        self.headers.append({**dict(request.headers), "url": str(request.url)})
        self.timeouts.append(kwargs["timeout"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        status, content = answer(body)
        response = requests.Response()
        response.status_code, response.url, response.request = status, str(request.url), request
        response._content = content if isinstance(content, bytes) else json.dumps(content).encode()
        return response


def deliver(
    worker: FakeWorker,
    *players: str,
    context: dict[str, Any] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    most_at_once: int = 1,
):
    """(outcomes, pauses) of dispatching these players, by default one request at a time."""
    pauses: list[float] = []
    retry = RetryPolicy(retries=2, sleep=pauses.append, rng=lambda: 1.0)
    clients = SimpleNamespace(settings=SimpleNamespace(in_sandbox=False), credentials=None)
    entries = [{"player_lookup": name, "game_id": "g1", **(context or {})} for name in players]
    seen: list[PlayerOutcome] = []
    with patch.object(requests.adapters.HTTPAdapter, "send", worker.send):
        outcomes = dispatch(
            cast(Any, clients),
            WorkerEndpoint("http://worker.test", most_at_once),
            BATCH,
            NIGHT,
            cast(Any, entries),
            retry,
            seen.append,
            should_stop,
        )
    assert sorted(o.player_lookup for o in seen) == sorted(o.player_lookup for o in outcomes)
    return {outcome.player_lookup: outcome for outcome in outcomes}, pauses


def table_of(body: dict[str, Any]) -> str:
    unit = work_unit_id(*(player["player_lookup"] for player in body["players"]))
    return f"nba_predictions._staging_batch_2025_12_29_1767077100000_{unit}_0123456789abcdef"


def staged(body: dict[str, Any], **changes: object) -> tuple[int, object]:
    players = [
        {"player_lookup": p["player_lookup"], "outcome": "staged", "produced_rows": 25, "staged_rows": 25}
        | {"table": table_of(body), "job_id": "load-1", **changes}
        for p in body["players"]
    ]
    return 200, {"players": players}


def answered(status: int, outcome: str, **fields: object) -> Answer:
    return lambda body: (
        status,
        {"players": [{"player_lookup": p["player_lookup"], "outcome": outcome, **fields} for p in body["players"]]},
    )


def failing(error: Exception) -> Answer:
    def fail(_body: object) -> tuple[int, object]:
        raise error

    return fail


def test_a_staged_player_has_the_rows_the_table_and_the_job_that_the_worker_answered():
    worker = FakeWorker(staged)
    outcomes, pauses = deliver(worker, "herbjones")
    assert outcomes == {
        "herbjones": PlayerOutcome(
            "herbjones",
            "p_herbjones",
            "staged",
            produced_rows=25,
            staged_rows=25,
            staging_table="nba_predictions._staging_batch_2025_12_29_1767077100000_p_herbjones_0123456789abcdef",
            load_job_id="load-1",
            attempts=1,
        )
    }
    assert pauses == []
    assert worker.requests == [
        {
            "batch_id": BATCH,
            "game_date": "2025-12-29",
            "players": [
                {
                    "player_lookup": "herbjones",
                    "game_id": "g1",
                    "context": {"player_lookup": "herbjones", "game_id": "g1"},
                }
            ],
        }
    ]
    assert worker.headers[0]["Content-Type"] == "application/json"
    assert worker.headers[0]["url"] == "http://worker.test/predict"
    assert worker.timeouts == [dispatcher.REQUEST_TIMEOUT_S]


def test_every_player_is_asked_once_and_an_exception_for_one_ends_no_other(caplog):
    def break_for_b(body):
        if body["players"][0]["player_lookup"] == "b":
            raise KeyError("a bug of ours")
        return staged(body)

    worker = FakeWorker(break_for_b)
    outcomes, _ = deliver(worker, "a", "b", "c")
    assert Counter(o.outcome for o in outcomes.values()) == {"staged": 2, "internal error": 1}
    assert (outcomes["b"].reason, outcomes["b"].message) == ("KeyError", "'a bug of ours'")
    assert [r["players"][0]["player_lookup"] for r in worker.requests] == ["a", "b", "c"]
    assert "Traceback" in caplog.text


def test_a_context_that_no_json_can_hold_is_sent_as_text_or_fails_its_player_alone():
    at = datetime(2025, 12, 30, tzinfo=UTC)
    context = {"a": math.nan, "b": Decimal("NaN"), "c": Decimal("12.40"), "tip_off": at, "d": NIGHT, "e": None}
    worker = FakeWorker(staged)
    assert deliver(worker, "x", context=context)[0]["x"].staged
    sent = worker.requests[0]["players"][0]["context"]
    assert (sent["a"], sent["b"], sent["c"], sent["d"], sent["e"]) == ("NaN", "NaN", "12.40", "2025-12-29", None)
    assert datetime.fromisoformat(sent["tip_off"]) == at
    outcomes, _ = deliver(worker, "x", context={"a": object()})
    assert (outcomes["x"].outcome, outcomes["x"].reason) == ("internal error", "PydanticSerializationError")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_worker_is_asked_again_after_growing_pauses(status):
    worker = FakeWorker(lambda _: (status, b"no available instance"), lambda _: (status, b""), staged)
    outcomes, pauses = deliver(worker, "a")
    assert (outcomes["a"].outcome, outcomes["a"].attempts) == ("staged", 3)
    assert pauses == [5.0, 10.0]


def test_a_worker_that_stays_away_leaves_no_answer_with_the_last_reason():
    outcomes, pauses = deliver(FakeWorker(lambda _: (503, b"no available instance")), "a")
    assert outcomes["a"] == PlayerOutcome(
        "a", "p_a", "no answer", "unreadable answer", "503: no available instance", attempts=3
    )
    assert pauses == [5.0, 10.0]
    outcomes, pauses = deliver(FakeWorker(failing(requests.ConnectionError("x" * 600))), "a")
    assert outcomes["a"] == PlayerOutcome("a", "p_a", "no answer", "ConnectionError", "x" * 500, attempts=3)


@pytest.mark.parametrize(
    "error",
    [requests.exceptions.SSLError("certificate verify failed"), requests.exceptions.InvalidURL("no host")],
    ids=lambda error: type(error).__name__,
)
def test_what_stays_wrong_is_tried_once(error):
    outcomes, pauses = deliver(FakeWorker(failing(error)), "a")
    assert (outcomes["a"].outcome, outcomes["a"].reason, outcomes["a"].attempts) == (
        "no answer",
        type(error).__name__,
        1,
    )
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "outcome", "attempts"),
    [
        (200, "not generated", 1),
        (422, "write rejected", 1),
        (500, "write rejected", 3),
        (500, "internal error", 1),
        (503, "not generated", 1),
    ],
)
def test_an_outcome_is_kept_and_only_a_write_that_may_pass_is_retried(status, outcome, attempts):
    answer = answered(status, outcome, reason="why", message="m" * 600, produced_rows=3)
    outcomes, _ = deliver(FakeWorker(answer), "a")
    assert outcomes["a"] == PlayerOutcome(
        "a", "p_a", outcome, "why", "m" * 500, produced_rows=3, staged_rows=None, attempts=attempts
    )


@pytest.mark.parametrize(
    "odd",
    [
        lambda _: (200, []),
        lambda _: (200, b"<html>"),
        lambda _: (200, b""),
        lambda _: (200, {"players": {}}),
        lambda _: (200, {"players": []}),
        lambda _: (200, {"players": [5, {"player_lookup": "a"}]}),
        lambda body: staged(body, table=""),
        lambda body: staged(body, table="nba_predictions.elsewhere"),
        lambda body: staged(body, staged_rows=24),
        lambda body: staged(body, produced_rows=0, staged_rows=0),
        lambda body: staged(body, produced_rows="25"),
        lambda body: staged(body, produced_rows=-1, staged_rows=-1),
        answered(200, "done"),
        lambda _: (404, {"error": "no such path"}),
    ],
)
def test_an_odd_answer_fails_its_player_and_not_the_batch(odd):
    def odd_for_a(body):
        return odd(body) if body["players"][0]["player_lookup"] == "a" else staged(body)

    outcomes, pauses = deliver(FakeWorker(odd_for_a), "a", "b")
    assert (outcomes["a"].outcome, outcomes["a"].reason) == ("no answer", "unreadable answer")
    assert outcomes["a"].message.startswith(f"{odd({'players': [{'player_lookup': 'a'}]})[0]}: ")
    assert (outcomes["b"].outcome, pauses) == ("staged", [])


def test_a_larger_unit_has_an_outcome_per_player_and_one_table(monkeypatch):
    monkeypatch.setattr(dispatcher, "MAX_UNIT_PLAYERS", 3)

    def answer(body):
        _, payload = staged(body)
        payload = cast(dict, payload)
        by_name = {entry["player_lookup"]: entry for entry in payload["players"]}
        by_name["b"] |= {"outcome": "not generated", "reason": "no_features", "produced_rows": 0, "staged_rows": 0}
        return 200, {**payload, "players": [by_name[n] for n in ("b", "a") if n in by_name]}

    worker = FakeWorker(answer, staged)
    outcomes, _ = deliver(worker, "a", "b", "c", "d", "e", "f")
    assert [len(r["players"]) for r in worker.requests] == [3, 3]
    assert {n: o.outcome for n, o in outcomes.items()} == {
        "a": "staged",
        "b": "not generated",
        "c": "no answer",
        **dict.fromkeys("def", "staged"),
    }
    assert outcomes["a"].staging_table == table_of(worker.requests[0])
    assert outcomes["b"].staging_table == outcomes["b"].load_job_id == ""
    assert {outcomes[n].unit for n in "abc"} == {work_unit_id("a", "b", "c")}


def test_after_a_stop_nobody_is_asked_and_who_was_not_asked_has_no_outcome():
    worker = FakeWorker(staged)
    outcomes, _ = deliver(worker, "a", "b", "c", should_stop=lambda: len(worker.requests) == 2)
    assert outcomes.keys() == {"a", "b"}
    assert len(worker.requests) == 2


def test_a_stop_between_two_attempts_ends_them_and_keeps_what_is_known():
    worker = FakeWorker(answered(500, "write rejected", reason="quota"))
    outcomes, _ = deliver(worker, "a", should_stop=lambda: len(worker.requests) == 1)
    assert (outcomes["a"].outcome, outcomes["a"].reason, outcomes["a"].attempts) == ("write rejected", "quota", 1)
    assert len(worker.requests) == 1


def test_at_most_as_many_requests_at_once_as_the_endpoint_takes():
    lock, running, most = threading.Lock(), 0, 0

    def count(body):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1
        return staged(body)

    assert len(deliver(FakeWorker(count), *map(str, range(12)), most_at_once=3)[0]) == 12
    assert 1 < most <= 3


def test_a_worker_without_capacity_is_asked_one_request_at_a_time():
    assert deliver(FakeWorker(staged), "a", most_at_once=0)[0]["a"].staged


def test_a_single_row_is_staged():
    assert deliver(FakeWorker(lambda body: staged(body, produced_rows=1, staged_rows=1)), "a")[0]["a"].staged_rows == 1


@pytest.mark.parametrize(("configured", "instances", "expected"), [(80, 3, 12), (5, 3, 5), (80, 2, 8)])
def test_the_endpoint_takes_what_the_service_has_and_never_more_than_is_configured(
    monkeypatch, configured, instances, expected
):
    project = MemoryProject(SimulatedClock())
    clients = memory_clients(project)
    project.close()

    def get_service(name, timeout):
        assert name.endswith(f"/{clients.settings.worker_service}")
        assert 0 < timeout <= 60
        return SimpleNamespace(uri="https://worker.test")

    def read_capacities(of_clients):
        assert of_clients is clients
        coordinator = SimpleNamespace(writes_predictions=False, capacity=99)
        return SimpleNamespace(services=[coordinator, SimpleNamespace(writes_predictions=True, capacity=instances * 4)])

    monkeypatch.setattr(clients.run, "get_service", get_service)
    monkeypatch.setattr(dispatcher, "read_service_capacities", read_capacities)
    assert get_worker_endpoint(clients, configured) == WorkerEndpoint("https://worker.test", expected)


def test_a_service_whose_capacity_is_unknown_is_asked_as_configured(monkeypatch):
    project = MemoryProject(SimulatedClock())
    clients = memory_clients(project)
    project.close()
    worker = SimpleNamespace(writes_predictions=True, capacity=None)
    monkeypatch.setattr(dispatcher, "read_service_capacities", lambda _: SimpleNamespace(services=[worker]))
    assert get_worker_endpoint(clients, 80).max_parallel_requests == 80


@pytest.mark.parametrize(
    ("players", "capacity", "units", "largest"),
    [
        (0, 12, 0, 0),
        (1, 12, 1, 1),
        (5, 12, 5, 1),
        (158, 12, 12, 14),
        (158, 100, 48, 4),
        (1_580, 12, 79, 20),
        (41, 1, 3, 14),
    ],
)
def test_there_are_as_many_units_as_requests_at_once_and_none_is_too_long(
    monkeypatch, players, capacity, units, largest
):
    monkeypatch.undo()
    names = cast(Any, tuple({"player_lookup": str(n)} for n in range(players)))
    split = list(dispatcher.split_into_units(names, capacity))
    assert [player for unit in split for player in unit] == list(names)
    assert (len(split), max(map(len, split), default=0)) == (units, largest)
    assert min(map(len, split), default=0) >= largest - 1


def test_a_player_whose_rows_were_loaded_alone_is_staged_in_a_table_of_his_own(monkeypatch):
    monkeypatch.setattr(dispatcher, "MAX_UNIT_PLAYERS", 2)
    own_table = table_of({"players": [{"player_lookup": "a"}]}) + "_r1"
    worker = FakeWorker(lambda body: staged(body, table=own_table))
    outcomes, _ = deliver(worker, "a", "b")
    assert (outcomes["a"].outcome, outcomes["a"].unit, outcomes["a"].staging_table) == ("staged", "p_a", own_table)
    assert outcomes["b"].outcome == "no answer", "it is the table of another player"
