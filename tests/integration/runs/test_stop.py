"""A run under way is stopped by the action over HTTP, and its resume completes the night."""

from __future__ import annotations

import threading
from dataclasses import replace

from services.actions.executor import execute
from services.actions.log_reader import ActionState
from services.pipeline.worker.predictor import BaselinePredictor
from services.runs import stop
from services.runs.actions import RESUME_BATCH
from services.runs.coordinator_client import start_run, stop_batch
from services.runs.stop import STOP_RUN
from tests.support.actors import OPERATOR
from tests.support.coordinators import coordinator_server


def test_a_stopped_run_asks_nobody_else_and_is_completed_by_a_resume(module_sandbox, module_clients, monkeypatch):
    told_to_stop = threading.Event()

    def wait_for_stop(self, request, at, predict=BaselinePredictor.predict):
        told_to_stop.wait(60)
        return predict(self, request, at)

    def stop_and_let_go_on(*args):
        answer = stop_batch(*args)
        told_to_stop.set()
        return answer

    monkeypatch.setattr(BaselinePredictor, "predict", wait_for_stop)
    monkeypatch.setattr(stop, "stop_batch", stop_and_let_go_on)
    monkeypatch.setenv("WORKER_MAX_INSTANCES", "2")
    monkeypatch.setenv("WORKER_CONCURRENCY", "2")
    with coordinator_server(module_sandbox) as url:
        clients = replace(module_clients, settings=module_clients.settings.model_copy(update={"coordinator_url": url}))
        args = {"batch_id": start_run(clients, url, {"game_date": "2025-12-30"})}
        plan = STOP_RUN.plan(clients, args)
        assert plan.warnings[0].startswith("28 of 28 requests remain")
        stopped = execute(clients, OPERATOR, STOP_RUN, plan, "wrong lines")
        assert stopped.state is ActionState.DONE, stopped.message
        assert "not requested" in stopped.message
        resumed = execute(clients, OPERATOR, RESUME_BATCH, RESUME_BATCH.plan(clients, args))
        assert resumed.state is ActionState.DONE, resumed.message
        assert "28 of 28 eligible players are active" in resumed.message
