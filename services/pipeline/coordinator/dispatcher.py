"""Sends units of players to the workers, at most as many at once as Cloud Run takes, and retries what may be retried."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from math import ceil
from typing import Any, Literal, Self

import requests
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from services.batches.ids import staging_table, unit_table, work_unit_id
from services.batches.ledger import PlayerOutcome
from services.gcp.clients import Clients
from services.gcp.error_table import RETRYABLE_STATUSES
from services.gcp.id_token import fetch_auth_headers
from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.coordinator.run_request import EligiblePlayer
from services.scaling.capacity import read_service_capacities

logger = logging.getLogger("coordinator")
MAX_UNIT_PLAYERS = 20  # players per request, and per staging table
MAX_UNITS_AT_ONCE = 48  # below half of BigQuery's 100 jobs.insert a second, if each unit takes a second
REQUEST_TIMEOUT_S = 120
MAX_MESSAGE_LENGTH = 500
RETRIED_OUTCOMES = {"write rejected", "no answer"}
Unit = tuple[EligiblePlayer, ...]


class WorkerUnavailable(ConnectionError):
    """The worker was busy, failed, or did not answer; the unit may be delivered again at no risk."""


@dataclass(frozen=True)
class WorkerEndpoint:
    """Where the worker answers, and how many concurrent requests it takes."""

    url: str
    max_parallel_requests: int


def get_worker_endpoint(clients: Clients, configured_limit: int) -> WorkerEndpoint:
    """The worker's URL and capacity from Cloud Run; never more concurrent requests than configured."""
    service = clients.run.get_service(name=clients.service_name(clients.settings.worker_service), timeout=30)
    worker = next(s for s in read_service_capacities(clients).services if s.writes_predictions)
    return WorkerEndpoint(service.uri, min(configured_limit, worker.capacity or configured_limit))


def dispatch(
    clients: Clients,
    endpoint: WorkerEndpoint,
    batch_id: str,
    game_date: date,
    players: Iterable[EligiblePlayer],
    retry: RetryPolicy,
    on_outcome: Callable[[PlayerOutcome], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[PlayerOutcome, ...]:
    """Deliver every unit at least once, until `should_stop`; `on_outcome` is called with each outcome as it comes in.

    A player who was not asked because of `should_stop` has no outcome.
    """
    with ThreadPoolExecutor(max(1, endpoint.max_parallel_requests)) as pool, requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=max(10, endpoint.max_parallel_requests))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.headers.update({"Content-Type": "application/json", **fetch_auth_headers(clients, endpoint.url)})
        delivery = _Delivery(session, f"{endpoint.url}/predict", batch_id, game_date, retry, should_stop)
        units = split_into_units(tuple(players), endpoint.max_parallel_requests)
        outcomes = []
        for future in as_completed([pool.submit(delivery.deliver, unit) for unit in units]):
            for outcome in future.result():
                outcomes.append(outcome)
                on_outcome(outcome)
        return tuple(outcomes)


def split_into_units(players: Sequence[EligiblePlayer], capacity: int) -> Iterator[Unit]:
    """Units of nearly equal size, in order: one for each concurrent request, more only where one would be too long."""
    count = max(ceil(len(players) / MAX_UNIT_PLAYERS), min(len(players), capacity, MAX_UNITS_AT_ONCE))
    return (tuple(players[len(players) * i // count : len(players) * (i + 1) // count]) for i in range(count))


@dataclass(frozen=True)
class _Delivery:
    """How the units of one batch are delivered."""

    session: requests.Session
    url: str
    batch_id: str
    game_date: date
    retry: RetryPolicy
    should_stop: Callable[[], bool]

    def deliver(self, unit: Unit) -> tuple[PlayerOutcome, ...]:
        """One outcome per player; what goes wrong here ends no other unit."""
        try:
            return self._deliver(unit)
        except Exception as error:
            logger.exception("A unit was not delivered (batch=%s)", self.batch_id)
            return tuple(self._without_answer(unit, "internal error", error))

    def _deliver(self, unit: Unit) -> tuple[PlayerOutcome, ...]:
        body = to_json(
            {
                "batch_id": self.batch_id,
                "game_date": self.game_date,
                "players": [
                    {"player_lookup": player["player_lookup"], "game_id": player["game_id"], "context": player}
                    for player in unit
                ],
            },
            inf_nan_mode="strings",  # JSON has no NaN; the predictor refuses what it needs
        )
        attempts, outcomes = 0, list[PlayerOutcome]()

        def send() -> None:
            nonlocal attempts, outcomes
            if self.should_stop():
                return
            attempts += 1
            try:
                response = self.session.post(self.url, data=body, timeout=REQUEST_TIMEOUT_S)
            except requests.RequestException as error:
                outcomes = self._without_answer(unit, "no answer", error)
                raise
            outcomes = self._read(response, unit)
            retried = any(o.outcome in RETRIED_OUTCOMES for o in outcomes)
            if response.status_code in RETRYABLE_STATUSES and retried:
                raise WorkerUnavailable(f"{response.status_code}: {response.text[:200]}")

        with suppress(WorkerUnavailable, requests.RequestException):
            call_with_retry(self.retry, send)
        return tuple(replace(outcome, attempts=attempts) for outcome in outcomes)

    def _without_answer(self, unit: Unit, outcome: str, error: Exception) -> list[PlayerOutcome]:
        unit_id = _unit_id(unit)
        reason, message = type(error).__name__, str(error)[:MAX_MESSAGE_LENGTH]
        return [PlayerOutcome(p["player_lookup"], unit_id, outcome, reason, message) for p in unit]

    def _read(self, response: requests.Response, unit: Unit) -> list[PlayerOutcome]:
        """What a worker answered, by player; "no answer" for a player of whom it says nothing that can be read."""
        try:
            answer = _UnitAnswer.model_validate_json(response.content)
        except ValidationError:
            answer = _UnitAnswer(players=[])
        answers = {a.player_lookup: a for entry in answer.players if (a := _PlayerAnswer.read(entry)) is not None}
        return [self._to_outcome(p["player_lookup"], _unit_id(unit), answers, response) for p in unit]

    def _to_outcome(
        self, player_lookup: str, unit_id: str, answers: Mapping[str, _PlayerAnswer], response: requests.Response
    ) -> PlayerOutcome:
        """A player is staged only in a table of the unit, or in one of his own when the unit's could not be loaded."""
        answer = answers.get(player_lookup)
        tables: dict[str | None, str] = {
            staging_table(self.batch_id, name): name for name in (work_unit_id(player_lookup), unit_id)
        }
        is_staged = answer is not None and answer.outcome == "staged"
        if answer is None or (
            is_staged and not (unit_table(answer.table) in tables and 0 < answer.produced_rows == answer.staged_rows)
        ):
            message = f"{response.status_code}: {response.text}"[:MAX_MESSAGE_LENGTH]
            return PlayerOutcome(player_lookup, unit_id, "no answer", reason="unreadable answer", message=message)
        return PlayerOutcome(
            player_lookup,
            tables.get(unit_table(answer.table), unit_id),
            answer.outcome,
            answer.reason,
            answer.message[:MAX_MESSAGE_LENGTH],
            produced_rows=answer.produced_rows,
            staged_rows=answer.staged_rows if is_staged else None,
            staging_table=answer.table if is_staged else "",
            load_job_id=answer.job_id if is_staged else "",
        )


class _PlayerAnswer(BaseModel):
    """One player in a worker's answer."""

    model_config = ConfigDict(strict=True, frozen=True)

    player_lookup: str
    outcome: Literal["staged", "not generated", "write rejected", "internal error"]
    reason: str = ""
    message: str = ""
    produced_rows: int = 0
    staged_rows: int = 0
    table: str = ""
    job_id: str = ""

    @classmethod
    def read(cls, entry: object) -> Self | None:
        """None for what is no such answer."""
        try:
            return cls.model_validate(entry)
        except ValidationError:
            return None


class _UnitAnswer(BaseModel):
    """A worker's answer, whatever its status; `players` are read one by one."""

    model_config = ConfigDict(strict=True, frozen=True)

    players: list[Any]


def _unit_id(unit: Unit) -> str:
    return work_unit_id(*(player["player_lookup"] for player in unit))
