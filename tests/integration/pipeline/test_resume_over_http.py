"""Runs over HTTP that broke off or that two instances want: each is carried on once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date

from services.batches.ledger import Ledger
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.pipeline.coordinator.resume import plan_resume
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
    pipeline.coordinator.record_requested(run)
    partial_run = Run(run.batch_id, NEXT_NIGHT, run.games, run.eligible, run.players[:16], "test")
    monkeypatch.setattr(Ledger, "append_outcomes", lambda *_: (_ for _ in ()).throw(OnCallError("killed")))
    pipeline.coordinator.run(partial_run)
    monkeypatch.undo()
    assert pipeline.status(run.batch_id)["state"] == "stalled"

    code, resumed = pipeline.post("/resume", {"batch_id": run.batch_id})
    assert (code, resumed["total_requests"]) == (202, 12)
    status = pipeline.wait(run.batch_id)
    assert (status["state"], status["sums"]["active_players"], status["conserved"]) == ("consolidated", 28, True)


def test_of_two_resumes_that_read_the_same_state_one_runs_and_the_other_is_told(pipeline, monkeypatch):
    run = plan_run(pipeline.clients, NIGHT, players=["garypaytonii"], started_by="test")
    assert run is not None
    pipeline.coordinator.record_requested(run)
    both_have_read = threading.Barrier(2, timeout=20)

    def plan_together(*args):
        plan = plan_resume(*args)
        both_have_read.wait()
        return plan

    monkeypatch.setattr("services.pipeline.coordinator.batch_runner.plan_resume", plan_together)
    answers = dict(run_concurrently(*[lambda: pipeline.post("/resume", {"batch_id": run.batch_id})] * 2))
    assert answers.keys() == {202, 409}
    assert "recorded “running” first" in answers[409]["message"]
    assert pipeline.wait(run.batch_id)["state"] == "consolidated"


def test_an_instance_whose_batch_another_has_taken_over_stops_and_leaves_its_state_alone(pipeline, monkeypatch):
    run = plan_run(pipeline.clients, NIGHT, players=["garypaytonii"], started_by="test")
    assert run is not None
    pipeline.coordinator.record_requested(run)
    ledger = Ledger(pipeline.clients)

    def take_over(*_):
        running = ledger.latest(run.batch_id, NIGHT)
        assert running is not None
        ledger.append_state(replace(running, sequence=running.sequence + 1, holder="another instance"))
        return ()

    monkeypatch.setattr("services.pipeline.coordinator.batch_runner.dispatch", take_over)
    assert pipeline.coordinator.run(run).holder == "another instance"
    latest = ledger.latest(run.batch_id, NIGHT)
    assert latest is not None
    assert (latest.state, latest.sequence, latest.holder) == (BatchState.RUNNING, 3, "another instance")
