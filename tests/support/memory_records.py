"""The action log and the alerts' events in memory, for tests of what is recorded, without a sandbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable

from services.core.result import DataSource
from services.core.settings import Settings
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.insert_job import RowsNotInserted
from services.gcp.query_catalog import QueryResult
from services.gcp.read_cache import ReadCache
from tests.support.clock import FixedClock


class MemoryRecords:
    """Keeps each inserted row once per job id, as BigQuery does, and answers the queries of the logs.

    A job id for which `is_failing` is true cannot be inserted: the service is unavailable.
    """

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.tables: dict[str, list[dict[str, Any]]] = {"actions": [], "alerts": []}
        self.is_failing: Callable[[str], bool] = lambda _: False
        self._job_ids: set[str] = set()
        self._lock = threading.Lock()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the logs' readers and writers use this in place of BigQuery."""
        monkeypatch.setattr("services.actions.log_writer.insert_once", self._insert_once)
        monkeypatch.setattr("services.alerts.alert_log.insert_once", self._insert_once)
        monkeypatch.setattr(query_catalog, "run_query", self._run_query)

    def clients(self, env: Mapping[str, str] | None = None) -> Clients:
        """Clients that have a clock and settings, and no connection."""
        settings: Any = Settings.from_env(dict(env or {}))
        clients: Any = SimpleNamespace(
            now=self.clock.now, clock=self.clock, settings=settings, cache=ReadCache(reuse_answers=False)
        )
        return clients

    def events(self) -> list[str]:
        """The events of the action log, in the order in which they were recorded."""
        return [row["event"] for row in self.tables["actions"]]

    def _insert_once(self, clients: Clients, query_name: str, job_id: str, params: Mapping[str, Any]) -> bool:
        assert clients.settings is not None, "its clients were lost on the way"
        if self.is_failing(job_id):
            raise RowsNotInserted("The record could not be written: no.") from ServiceUnavailable("no")
        with self._lock:
            if job_id in self._job_ids:
                return False
            self._job_ids.add(job_id)
            self.tables[query_name.removesuffix(".append")].append(dict(params))
            return True

    def _run_query(self, clients: Clients, name: str, **params: Any) -> QueryResult:
        assert clients.settings is not None, "its clients were lost on the way"
        table, question = name.split(".")
        if question == "open_before":
            return QueryResult(self._open_before(**params), DataSource(name, self.clock.now()))
        rows = tuple(row for row in self.tables[table] if _matches(row, question, params))
        return QueryResult(rows, DataSource(name, self.clock.now()))

    def _open_before(self, first: datetime, until: datetime) -> tuple[dict[str, Any], ...]:
        earlier = [row for row in self.tables["alerts"] if first <= row["recorded_at"] < until]
        state_of: dict[str, str] = {}
        for row in sorted(earlier, key=lambda row: row["sequence"]):
            if row["event"] in ("opened", "reopened", "resolved"):
                state_of[row["alert_id"]] = row["event"]
        return tuple(row for row in earlier if state_of.get(row["alert_id"], "resolved") != "resolved")


def _matches(row: Mapping[str, Any], question: str, params: Mapping[str, Any]) -> bool:
    if question == "events":
        return bool(row["recorded_at"] >= params["start"])
    if question == "between":
        return bool(params["start"] <= row["recorded_at"] < params["until"])
    return all(row[column] == value for column, value in params.items())
