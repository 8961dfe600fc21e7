"""Runs over HTTP that broke off, were stopped, or that two instances want: each is carried on once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from services.batches.ledger import Ledger
from services.batches.reader import read_batches
from services.core.errors import OnCallError
from services.pipeline.coordinator.run_request import Run, plan_run
from tests.integration.pipeline.conftest import NIGHT
from tests.support.concurrency import run_concurrently

NEXT_NIGHT = date(2025, 12, 30)  # 28 eligible players, none written


def test_of_two_starts_at_once_one_runs_and_the_other_is_told_its_id(pipeline):
    body = {"game_date": "2025-12-29", "force": True, "players": ["garypaytonii"]}
    answers = dict(run_concurrently(*[lambda: pipeline.post("/start", body)] * 2))
    assert answers.keys() == {202, 409}
    started, rejected = answers[202], answers[409]
    assert (rejected["status"], rejected["batch_id"]) == ("already_running", started["batch_id"])
    recorded = {batch.batch_id: batch for batch in read_batches(pipeline.clients, NIGHT).batches}[started["batch_id"]]
    assert recorded.record_source == "ledger", "its state is read at once, by the dashboard as well"
    pipeline.wait(started["batch_id"])
    batches = [b for b in read_batches(pipeline.clients, NIGHT).batches if b.record_source == "ledger"]
    assert [b.batch_id for b in batches] == [started["batch_id"]]


def test_a_coordinator_killed_after_dispatch_resumes_from_the_staged_rows(pipeline, monkeypatch):
    run = plan_run(pipeline.clients, NEXT_NIGHT, started_by="test")
    assert run is not None
    activation = pipeline.coordinator.record_requested(run)
    partial_run = Run(run.batch_id, NEXT_NIGHT, run.games, run.eligible, run.players[:16], "test")
    monkeypatch.setattr(Ledger, "append_outcomes", lambda *_: (_ for _ in ()).throw(OnCallError("killed")))
    pipeline.coordinator.run(replace(activation, run=partial_run))
    monkeypatch.undo()
    assert pipeline.status(run.batch_id)["state"] == "stalled"

    code, resumed = pipeline.post("/resume", {"batch_id": run.batch_id})
    assert (code, resumed["total_requests"]) == (202, 12)
    status = pipeline.wait(run.batch_id)
    assert (status["state"], status["sums"]["active_players"], status["conserved"]) == ("consolidated", 28, True)


def test_a_run_is_stopped_and_a_stopped_one_resumed(pipeline):
    _, started = pipeline.post("/start", {"game_date": "2025-12-30"})
    batch = {"batch_id": started["batch_id"]}
    assert pipeline.post("/resume", batch)[1]["status"] == "already_running"
    code, stopping = pipeline.post("/stop", batch)
    assert (code, stopping["status"], stopping["batch_id"]) == (202, "stopping", started["batch_id"])
    status = pipeline.wait(started["batch_id"])
    assert (status["state"], status["is_stalled"]) == ("stopped", False)
    assert (pipeline.post("/stop", batch)[0], pipeline.post("/resume", batch)[0]) == (409, 202)
    status = pipeline.wait(started["batch_id"])
    assert (status["state"], status["sums"]["active_players"], status["conserved"]) == ("consolidated", 28, True)
    code, refused = pipeline.post("/resume", batch)
    assert (code, refused["status"], refused["state"]) == (409, "wrong_state", "consolidated")
