"""What the worker answers, player by player: staged only when it is, not generated with its cause, and its own errors as such."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, ServiceUnavailable

from services.batches.ids import unit_table, work_unit_id
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed, StagingNotVerified
from services.pipeline.worker.app import Worker, build_worker
from services.pipeline.worker.predictor import BaselinePredictor, PredictionNotPossible
from services.pipeline.worker.staging_writer import StagingWriter
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, call_app, in_memory, memory_clients, memory_worker

BATCH = "batch_2025-12-29_1767077100000"
CONTEXT = {"points_avg_last_5": "12.4", "points_avg_last_10": "11.0"}


class Predictions(BaselinePredictor):
    """The baseline, but for players of whom a test says what happens."""

    def __init__(self) -> None:
        self.by_player: dict[str, Any] = {}

    def predict(self, request, at):
        special = self.by_player.get(request.player_lookup)
        if isinstance(special, Exception):
            raise special
        rows = super().predict(request, at)
        return special(rows) if special else rows


class Service:
    def __init__(self, project: MemoryProject, clock: SimulatedClock) -> None:
        self.project, self.predictions, self.clock = project, Predictions(), clock
        self.clients = memory_clients(project)
        self.writer = StagingWriter(BigQueryWarehouse(self.clients), clock.retry_policy())
        self.worker = Worker(self.clients, self.predictions, self.writer)

    def predict(self, *players: str, context: dict[str, Any] = CONTEXT) -> tuple[int, dict[str, dict[str, Any]]]:
        status, body = self.ask(*players, context=context)
        return status, {answer["player_lookup"]: answer for answer in body["players"]}

    def ask(self, *players: str, context: dict[str, Any] = CONTEXT) -> tuple[int, dict[str, Any]]:
        with in_memory(self.clock, {}):
            return self.worker.predict(
                {
                    "batch_id": BATCH,
                    "game_date": "2025-12-29",
                    "players": [{"player_lookup": n, "game_id": "g1", "context": context} for n in players],
                }
            )

    def staged_players(self) -> set[str]:
        return {
            row["player_lookup"]
            for name in self.project.tables
            if "_staging_" in name
            for row in self.project.rows(name)
        }


@pytest.fixture
def service() -> Iterator[Service]:
    clock = SimulatedClock()
    project = MemoryProject(clock)
    yield Service(project, clock)
    project.close()


def test_a_unit_is_staged_in_one_table_with_one_answer_per_player(service):
    status, body = service.ask("a", "b")
    [table] = {answer["table"] for answer in body["players"]}
    assert unit_table(table) == f"nba_predictions._staging_batch_2025_12_29_1767077100000_{work_unit_id('a', 'b')}"
    [job_id] = {answer["job_id"] for answer in body["players"]}
    assert (status, job_id.startswith("on-call-load-")) == (200, True)
    assert body["players"] == [
        {
            "player_lookup": name,
            "outcome": "staged",
            "reason": "",
            "message": "",
            "produced_rows": 25,
            "staged_rows": 25,
            "table": table,
            "job_id": job_id,
        }
        for name in ("a", "b")
    ]
    assert service.staged_players() == {"a", "b"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (PredictionNotPossible("circuit_breaker_open"), "circuit_breaker_open"),
        (KeyError("pace"), "predictor_error: KeyError: 'pace'"),
        (ServiceUnavailable("the model's server"), "predictor_error: ServiceUnavailable: 503 the model's server"),
        (lambda _: [], "no_rows: the predictor made no rows"),
        (lambda _: None, "predictor_error: TypeError: 'NoneType' object is not iterable"),
        (
            lambda rows: [*rows, {**rows[0], "player_lookup": "c"}],
            "foreign_rows: the predictor made rows of another player or date",
        ),
        (
            lambda rows: [{**rows[0], "game_date": date(2025, 12, 30)}],
            "foreign_rows: the predictor made rows of another player or date",
        ),
    ],
)
def test_a_fault_of_the_predictor_is_not_generated_with_its_cause_and_costs_no_other_player(
    service, fault, reason, caplog
):
    service.predictions.by_player["b"] = fault
    status, answers = service.predict("a", "b")
    assert status == 200
    assert answers["b"] == {
        "player_lookup": "b",
        "outcome": "not generated",
        "reason": reason,
        "message": "",
        "produced_rows": 0,
        "staged_rows": 0,
        "table": "",
        "job_id": "",
    }
    assert answers["a"]["outcome"] == "staged"
    assert service.staged_players() == {"a"}
    assert f"PERMANENT failure for b on 2025-12-29 - acknowledging. Reason: {reason} (batch={BATCH})" in caplog.text
    assert ("Traceback" in caplog.text) == reason.startswith("predictor_error")


@pytest.mark.parametrize("average", ["n/a", "NaN", "Infinity", [], True])
def test_an_average_that_is_no_number_is_not_generated_once(service, average):
    status, answers = service.predict("a", context={**CONTEXT, "points_avg_last_5": average})
    assert (status, answers["a"]["outcome"]) == (200, "not generated")
    assert answers["a"]["reason"] == f"no_features: points_avg_last_5 is {average!r}, not a number"
    assert service.staged_players() == set()


def test_rows_that_do_not_fit_the_table_reject_their_player_alone(service, caplog):
    service.predictions.by_player["b"] = lambda rows: [{**row, "colour": 1} for row in rows]
    status, answers = service.predict("a", "b", "c")
    assert status == 422
    assert (answers["b"]["outcome"], answers["b"]["reason"], answers["b"]["produced_rows"]) == (
        "write rejected",
        "schema",
        25,
    )
    assert "colour" in answers["b"]["message"]
    assert f"(player=b, batch={BATCH})" in caplog.text
    assert service.staged_players() == {"a", "c"}
    status, answers = service.predict("b")
    assert (status, answers["b"]["outcome"]) == (422, "write rejected")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ServiceUnavailable("try again"), 500),
        (ConnectionError("reset"), 500),
        (StagingNotVerified("24 of 25"), 500),
        (Forbidden("no right"), 422),
    ],
)
def test_a_write_that_failed_is_rejected_and_retried_where_that_may_help(service, monkeypatch, error, status, caplog):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(service.writer, "stage", fail)
    service.predictions.by_player["b"] = PredictionNotPossible("no_features")
    actual_status, answers = service.predict("a", "b")
    assert actual_status == status
    assert answers["a"] == {
        "player_lookup": "a",
        "outcome": "write rejected",
        "reason": type(error).__name__,
        "message": str(error),
        "produced_rows": 25,
        "staged_rows": 0,
        "table": "",
        "job_id": "",
    }
    assert answers["b"]["outcome"] == "not generated"
    assert f"STAGING WRITE FAILED for a: {error} (batch={BATCH})" in caplog.text
    assert "STAGING WRITE FAILED for b" not in caplog.text


def test_a_schema_that_cannot_be_read_is_a_rejected_write_that_is_retried(service, monkeypatch):
    def fail(*_: object) -> None:
        raise ServiceUnavailable("try again")

    monkeypatch.setattr(service.writer, "encode", fail)
    status, answers = service.predict("a", "b")
    assert (status, [a["outcome"] for a in answers.values()]) == (500, ["write rejected"] * 2)


def test_an_error_of_ours_is_an_internal_error_with_its_traceback(service, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(service.writer, "stage", fail)
    status, answers = service.predict("a", "b")
    assert status == 500
    assert answers["a"] == {
        "player_lookup": "a",
        "outcome": "internal error",
        "reason": "KeyError",
        "message": "'a bug'",
        "produced_rows": 0,
        "staged_rows": 0,
        "table": "",
        "job_id": "",
    }
    assert answers["b"]["outcome"] == "internal error"
    assert f"INTERNAL ERROR for a, b (batch={BATCH})" in caplog.text
    assert "Traceback" in caplog.text


def test_a_request_that_cannot_be_read_stages_nothing(service):
    status, body = service.worker.predict({"batch_id": BATCH, "game_date": "2025-12-29", "players": []})
    assert (status, list(body)) == (400, ["error"])
    assert service.staged_players() == set()


def test_the_log_says_what_was_generated_and_staged(service, caplog):
    with caplog.at_level(logging.INFO, "predictions.worker.worker"):
        service.predict("a")
    assert f"Successfully generated 25 predictions for a (batch={BATCH})" in caplog.text
    assert "Staging write complete: 25 rows to nba_predictions._staging_" in caplog.text
    assert f"(batch={BATCH}, worker=p_a)" in caplog.text


def test_over_http_each_status_has_its_json(service):
    app = memory_worker(service.clients, service.clock.retry_policy(), service.predictions)
    single = {"batch_id": BATCH, "game_date": "2025-12-29", "player_lookup": "a", "game_id": "g1", "context": CONTEXT}
    with in_memory(service.clock, {}):
        status, _, content = call_app(app, "POST", "http://worker.test/predict", json.dumps(single).encode())
        assert (status, json.loads(content)["players"][0]["outcome"]) == (200, "staged")
        service.predictions.by_player["a"] = PredictionNotPossible("no_features")
        status, _, content = call_app(app, "POST", "http://worker.test/predict", json.dumps(single).encode())
        assert (status, json.loads(content)["players"][0]["reason"]) == (200, "no_features")
        status, _, content = call_app(app, "POST", "http://worker.test/predict", b"no JSON")
        assert (status, json.loads(content)) == (400, {"error": "The body is not JSON."})
        status, _, content = call_app(app, "GET", "http://worker.test/ready")
        assert (status, json.loads(content)) == (200, {"service": "prediction-worker", "status": "healthy"})


TIP_OFF = datetime(2025, 12, 30, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tip_off", "at", "expected"),
    [
        ("2025-12-30T00:30:00Z", TIP_OFF.replace(minute=29), True),
        ("2025-12-30T00:30:00Z", TIP_OFF, False),
        ("2025-12-29T19:30:00-05:00", TIP_OFF.replace(hour=7), False),
        (None, TIP_OFF, None),
        ("7:30 PM", TIP_OFF, None),
        ("2025-12-29T19:30:00", TIP_OFF, None),
    ],
)
def test_a_row_says_whether_it_was_made_before_its_game(service, tip_off, at, expected):
    service.clock.at = at
    service.predict("a", context={**CONTEXT, "tip_off": tip_off})
    (table,) = (name for name in service.project.tables if "_staging_" in name)
    assert {row["prediction_made_before_game"] for row in service.project.rows(table)} == {expected}


@pytest.mark.parametrize(("enabled", "loads"), [("true", 3), ("false", 1)])
def test_the_worker_retries_its_writes_as_configured(service, monkeypatch, enabled, loads):
    monkeypatch.setenv("SELF_HEALING_DML_BACKOFF_ENABLED", enabled)
    monkeypatch.setenv("SELF_HEALING_DML_MAX_RETRIES", "2")
    attempts: list[str] = []

    def refuse(call, phase, _):
        if (call, phase) == ("load", "before"):
            attempts.append(call)
            raise ServiceUnavailable("try again")

    service.worker = build_worker(memory_clients(service.project, refuse))
    status, answers = service.predict("a")
    assert (status, answers["a"]["reason"], len(attempts)) == (500, "ServiceUnavailable", loads)


def test_rows_that_bigquery_refuses_cost_only_their_own_player(service, monkeypatch):
    stage = service.writer.stage

    def refuse_b(batch_id, unit, rows):
        if any(row["player_lookup"] == "b" for row in rows):
            raise JobFailed("load failed: a value is out of range") from BadRequest("invalid")
        return stage(batch_id, unit, rows)

    monkeypatch.setattr(service.writer, "stage", refuse_b)
    status, answers = service.predict("a", "b", "c")
    assert (status, service.staged_players()) == (422, {"a", "c"})
    assert (answers["b"]["outcome"], answers["b"]["table"]) == ("write rejected", "")
    assert str(unit_table(answers["a"]["table"])).endswith(f"_{work_unit_id('a')}"), (
        "the rows of a refused job are in no table"
    )


def test_a_load_that_may_pass_is_not_split(service, monkeypatch):
    loads = []

    def fail(_batch_id, unit, _rows):
        loads.append(unit)
        raise JobFailed("load failed: try again") from ServiceUnavailable("try again")

    monkeypatch.setattr(service.writer, "stage", fail)
    assert service.predict("a", "b")[0] == 500
    assert loads == [work_unit_id("a", "b")]
