"""A coordinator and a worker as they run in production, in threads, behind the sandbox's Cloud Run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import uvicorn

from services.gcp.clients import Cloud
from services.gcp.retry import Policy
from services.pipeline.coordinator import http_api as coordinator_http
from services.pipeline.coordinator.batch_runner import Coordinator
from services.pipeline.warehouse import BigQueryDoor
from services.pipeline.worker import app as worker
from services.pipeline.worker.predictor import BaselinePredictor
from services.pipeline.worker.staging_writer import StagingWriter
from services.sandbox.server import Sandbox

QUICK = Policy(retries=3, base_s=0.2)


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        return


def serve(app: Any) -> tuple[str, Callable[[], None]]:
    server = _Server(uvicorn.Config(app, port=0, log_config=None, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=5)

    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", stop


@dataclass
class Pipeline:
    """The coordinator's address, and what is behind it."""

    address: str
    cloud: Cloud
    sandbox: Sandbox
    coordinator: Coordinator

    def post(self, path: str, told: Any) -> tuple[int, dict[str, Any]]:
        answer = requests.post(f"{self.address}{path}", json=told, timeout=30)
        return answer.status_code, answer.json()

    def status(self, batch: str) -> dict[str, Any]:
        return requests.get(f"{self.address}/status", params={"batch_id": batch}, timeout=30).json()

    def run(self, **told: Any) -> dict[str, Any]:
        """Start a run and wait for its end."""
        code, started = self.post("/start", told)
        assert code == 202, started
        return self.wait(started["batch_id"])

    def wait(self, batch: str) -> dict[str, Any]:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            told = self.status(batch)
            if told["status"] == "complete":
                return told
            time.sleep(0.2)
        raise AssertionError(f"{batch} did not end: {told}")

    def count(self, where: str) -> dict[str, int]:
        counts = "COUNT(*) AS n, COUNTIF(is_active) AS active, COUNT(DISTINCT player_lookup) AS players"
        sql = f"SELECT {counts} FROM nba_predictions.player_prop_predictions WHERE {where}"
        return dict(next(iter(self.cloud.bigquery.query(sql).result())))

    def staging(self) -> list[str]:
        return [
            t.table_id
            for t in self.cloud.bigquery.list_tables("nba_predictions")
            if "2025_12_29" in t.table_id or "2025_12_30" in t.table_id
        ]


@pytest.fixture
def pipeline(fresh_sandbox: Sandbox, fresh_cloud: Cloud) -> Iterator[Pipeline]:
    writer = StagingWriter(BigQueryDoor(fresh_cloud), QUICK)
    at, stop_worker = serve(worker.application(worker.Worker(fresh_cloud, BaselinePredictor(), writer)))
    fresh_sandbox.world.run.backends["prediction-worker"] = at
    coordinator = Coordinator(fresh_cloud, QUICK)
    address, stop = serve(coordinator_http.application(coordinator_http.Desk(fresh_cloud, coordinator)))
    yield Pipeline(address, fresh_cloud, fresh_sandbox, coordinator)
    stop()
    stop_worker()
