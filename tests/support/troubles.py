"""Sources in trouble: what Google's clients raise or return while a source of a project is down, slow, empty, malformed or partial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from google.api_core.exceptions import RetryError, ServiceUnavailable
from google.cloud.bigquery.job import UnknownJob
from requests.exceptions import ReadTimeout

from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from tests.support.memory_bigquery import Listing, MemoryClient, MemoryProject
from tests.support.memory_clients import memory_clients

MESSAGES = {  # what the readers say of a trouble, over HTTP as in memory
    "down": ("transient Google backend error",),
    "slow": ("unavailable: ",),
    "empty": ("Unexpected response from",),
    "malformed": ("Unexpected response from", "listed without their statement"),
}
TROUBLES = ("down", "slow", "empty", "malformed", "partial")
TABLES_BY_SOURCE = {
    "odds": "nba_raw.odds_api_player_points_props",
    "context": "nba_analytics.upcoming_player_game_context",
    "predictions": PREDICTIONS_TABLE,
    "aliases": "nba_reference.player_aliases",
    "worker runs": "nba_predictions.prediction_worker_runs",
    "batches": "prediction_on_call.batches",
    "player outcomes": "prediction_on_call.batch_players",
}
BOUNDED = ("log", "job history")  # whose readings end at a bound, and may be partial
PLATFORM = ("Cloud Run", "Cloud Scheduler")
SOURCES = (*TABLES_BY_SOURCE, "staging tables", *BOUNDED, *PLATFORM)


class _Partial(Listing):
    """The first page of a listing that goes on."""

    next_page_token = "next"


class _Unreadable(Listing):
    """A listing, or the rows of a query, whose items lack what every item has."""

    @property
    def pages(self) -> Iterator[Listing]:
        raise KeyError("f")


class _NoList(Listing):
    """An answer without anything in it."""

    raw_page: Mapping[str, str] = {}


def _refuse(trouble: str) -> None:
    """Raise what a client raises for a source that is down or slow."""
    if trouble == "down":
        raise ServiceUnavailable("The service is currently unavailable.")
    if trouble == "slow":
        raise RetryError("Timeout of 20.0s exceeded", cause=ReadTimeout("Read timed out."))


def _listing(trouble: str, real: Callable[[], Listing]) -> Listing:
    _refuse(trouble)
    if trouble == "partial":
        return _Partial(real())
    return _NoList() if trouble == "empty" else _Unreadable()


class _TroubledBigQuery(MemoryClient):
    """A client one of whose sources is in trouble; every other call is answered."""

    def __init__(self, project: MemoryProject, source: str, trouble: str) -> None:
        super().__init__(project)
        self._source, self._trouble = source, trouble
        self._table = TABLES_BY_SOURCE.get(source, "no table")

    def get_table(self, table: object, **options: object) -> Any:
        if self._table in str(table):
            _refuse(self._trouble)
            if self._trouble == "empty":
                raise KeyError("Resource lacks required identity information")
        return super().get_table(table, **options)

    def list_rows(self, table: object, *args: Any, **options: Any) -> Listing:
        if self._table in str(table):
            return _listing(self._trouble, Listing)
        return super().list_rows(table, *args, **options)

    def query(self, query: str, *args: Any, **options: Any) -> Any:
        if self._table not in query:
            return super().query(query, *args, **options)
        _refuse(self._trouble)
        if self._trouble == "empty":
            raise KeyError("jobReference")
        rows = _Unreadable()
        return SimpleNamespace(result=lambda **_: rows.pages, total_bytes_billed=0, job_id="j")

    def list_tables(self, dataset: object, **options: object) -> Any:
        if self._source == "staging tables":
            return _listing(self._trouble, Listing)
        return super().list_tables(dataset, **options)

    def list_jobs(self, min_creation_time: datetime, max_creation_time: datetime, **_: object) -> Listing:
        def list_really() -> Listing:
            return super(_TroubledBigQuery, self).list_jobs(min_creation_time, max_creation_time)

        if self._source != "job history":
            return list_really()
        if self._trouble == "malformed":
            return Listing([UnknownJob("j", None)])
        return _listing(self._trouble, list_really)


def troubled_clients(project: MemoryProject, source: str, trouble: str) -> Clients:
    """The clients of a process while this source is in trouble."""
    clients = memory_clients(project)
    if source == "log":
        api = SimpleNamespace(api_request=lambda data, **_: _log_page(project, trouble, data))
        return replace(clients, logging=cast(Any, SimpleNamespace(_connection=api, project=clients.settings.project)))
    if source == "Cloud Run":
        return replace(clients, run=cast(Any, SimpleNamespace(get_service=lambda **_: _refuse(trouble))))
    if source == "Cloud Scheduler":
        return replace(clients, scheduler=cast(Any, SimpleNamespace(list_jobs=lambda **_: _refuse(trouble))))
    return replace(clients, bigquery=cast(Any, _TroubledBigQuery(project, source, trouble)))


def _log_page(project: MemoryProject, trouble: str, request: Any) -> Any:
    _refuse(trouble)
    if trouble == "partial":
        first_page = {name: value for name, value in request.items() if name != "pageToken"}
        return {**project.log.list(first_page), "nextPageToken": "next"}
    return {} if trouble == "empty" else {"entries": [{"textPayload": "neither time nor service"}]}
