"""A coordinator and a worker as they run in production, in threads, behind the sandbox's Cloud Run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
import requests

from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients, connect
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator import http_api
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker import app as worker
from services.pipeline.worker.predictor import BaselinePredictor, PredictionRequest
from services.pipeline.worker.staging_writer import StagingWriter
from services.sandbox.server import Sandbox
from tests.support.coordinators import serve_app
from tests.support.sandbox import settings_as

NIGHT = date(2025, 12, 29)
FAST_RETRY = RetryPolicy(retries=3, base_backoff_s=0.2)


@dataclass
class Pipeline:
    """The coordinator's address, and what is behind it."""

    address: str
    clients: Clients
    sandbox: Sandbox
    coordinator: BatchRunner

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        response = requests.post(f"{self.address}{path}", json=body, timeout=30)
        return response.status_code, response.json()

    def status(self, batch: str) -> dict[str, Any]:
        return requests.get(f"{self.address}/status", params={"batch_id": batch}, timeout=30).json()

    def run(self, **body: Any) -> dict[str, Any]:
        """Start a run and wait for its end."""
        code, started = self.post("/start", body)
        assert code == 202, started
        return self.wait(started["batch_id"])

    def wait(self, batch: str) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            status_body = self.status(batch)
            if status_body["status"] == "complete":
                return status_body
            time.sleep(0.2)
        raise AssertionError(f"{batch} did not end: {status_body}")

    def count_rows(self, condition: str) -> dict[str, int]:
        counts = "COUNT(*) AS n, COUNTIF(is_active) AS active, COUNT(DISTINCT player_lookup) AS players"
        sql = f"SELECT {counts} FROM {PREDICTIONS_TABLE} WHERE {condition}"
        return dict(next(iter(self.clients.bigquery.query(sql).result())))

    def staging_tables(self) -> list[str]:
        return [
            t.table_id
            for t in self.clients.bigquery.list_tables("nba_predictions")
            if "2025_12_29" in t.table_id or "2025_12_30" in t.table_id
        ]


@pytest.fixture
def pipeline_clients(fresh_sandbox: Sandbox) -> Clients:
    """Clients of the account that worker and coordinator run as."""
    return connect(settings_as(fresh_sandbox, "pipeline"))


@contextmanager
def _serve_pipeline(sandbox: Sandbox, clients: Clients) -> Iterator[Pipeline]:
    writer = StagingWriter(BigQueryWarehouse(clients), FAST_RETRY)
    worker_app = worker.create_app(worker.Worker(clients, BaselinePredictor(), writer))
    coordinator = BatchRunner(clients, FAST_RETRY)
    coordinator_app = http_api.create_app(http_api.CoordinatorApi(clients, coordinator))
    with serve_app(worker_app) as worker_url, serve_app(coordinator_app) as address:
        sandbox.state.cloud_run.backends["prediction-worker"] = worker_url
        yield Pipeline(address, clients, sandbox, coordinator)


@pytest.fixture
def pipeline(fresh_sandbox: Sandbox, pipeline_clients: Clients) -> Iterator[Pipeline]:
    with _serve_pipeline(fresh_sandbox, pipeline_clients) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def shared_pipeline(module_sandbox: Sandbox) -> Iterator[Pipeline]:
    """One for all tests of a module, which change nothing in it."""
    with _serve_pipeline(module_sandbox, connect(settings_as(module_sandbox, "pipeline"))) as pipeline:
        yield pipeline


@pytest.fixture
def warehouse(pipeline_clients):
    return BigQueryWarehouse(pipeline_clients)


def make_predictions(clients, player="herbertjones"):
    context = {"points_avg_last_5": "12.4", "points_avg_last_10": "11.0", "current_points_line": None}
    return list(
        BaselinePredictor().predict(PredictionRequest(NIGHT, player, "20251229_NYK_NOP", context), clients.now())
    )
