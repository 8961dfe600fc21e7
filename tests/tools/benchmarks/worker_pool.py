"""Worker processes behind one address, for benchmarks: each has a warehouse of its own, so what one paces the others do not know."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator import batch_runner, dispatcher
from services.pipeline.coordinator.dispatcher import WorkerEndpoint
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.app import Worker
from services.pipeline.worker.predictor import Predictor
from services.pipeline.worker.staging_writer import StagingWriter

WORKER_PROCESSES = 20


class WorkerPool:
    """Takes requests as a Worker does; each goes to the next of WORKER_PROCESSES."""

    def __init__(self, clients: Clients, predictor: Predictor, retry: RetryPolicy) -> None:
        self._workers = itertools.cycle(
            Worker(clients, predictor, StagingWriter(BigQueryWarehouse(clients), retry))
            for _ in range(WORKER_PROCESSES)
        )

    def predict(self, payload: object) -> tuple[int, dict[str, Any]]:
        """As Worker.predict."""
        return next(self._workers).predict(payload)

    def as_worker(self) -> Worker:
        """For create_app, which needs no more than `predict`."""
        return cast(Worker, self)


@contextmanager
def dispatching(unit_players: int, at_once: int) -> Iterator[None]:
    """While it lasts, units have at most so many players, and so many requests are sent at once."""

    def endpoint(clients: Clients, configured_limit: int) -> WorkerEndpoint:
        return replace(dispatcher.get_worker_endpoint(clients, configured_limit), max_parallel_requests=at_once)

    with (
        patch.object(dispatcher, "MAX_UNIT_PLAYERS", unit_players),
        patch.object(batch_runner, "get_worker_endpoint", endpoint),
    ):
        yield


def bigquery_calls(calls: Mapping[str, int]) -> dict[str, int]:
    """Of the calls that a sandbox counted, those of BigQuery, by method."""
    return {name.removeprefix("bigquery."): n for name, n in calls.items() if name.startswith("bigquery.")}
