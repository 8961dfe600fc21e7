"""Sends one request per player to the workers, at most as many concurrently as Cloud Run takes, and retries what may be retried."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial

import requests

from services.batches.ids import work_unit_id
from services.batches.ledger import PlayerOutcome
from services.gcp.clients import Clients
from services.gcp.error_table import RETRYABLE_STATUSES
from services.gcp.id_token import fetch_auth_headers
from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.coordinator.run_request import EligiblePlayer
from services.scaling.capacity import read_service_capacities

logger = logging.getLogger("coordinator")
REQUEST_TIMEOUT_S = 120


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
    should_stop: Callable[[], bool],
) -> tuple[PlayerOutcome, ...]:
    """Deliver every player at least once, until `should_stop`; `on_outcome` is called with each outcome as it comes in."""
    with ThreadPoolExecutor(max(1, endpoint.max_parallel_requests)) as pool, requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=max(10, endpoint.max_parallel_requests))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        headers = fetch_auth_headers(clients, endpoint.url)

        def deliver(player: EligiblePlayer) -> PlayerOutcome | None:
            if should_stop():
                return None
            return _deliver(session, headers, endpoint, batch_id, game_date, player, retry)

        outcomes = []
        for future in as_completed([pool.submit(deliver, player) for player in players]):
            if (outcome := future.result()) is not None:
                outcomes.append(outcome)
                on_outcome(outcome)
        return tuple(outcomes)


def _deliver(
    session: requests.Session,
    headers: Mapping[str, str],
    endpoint: WorkerEndpoint,
    batch_id: str,
    game_date: date,
    player: EligiblePlayer,
    retry: RetryPolicy,
) -> PlayerOutcome:
    """One player's outcome; without a response it is "no answer", and a later resume requests it again."""
    player_lookup, attempts = player["player_lookup"], 0
    body = {
        "player_lookup": player_lookup,
        "game_date": game_date.isoformat(),
        "game_id": player["game_id"],
        "batch_id": batch_id,
        "context": {k: _json_safe(v) for k, v in player.items()},
    }

    def send() -> requests.Response:
        nonlocal attempts
        attempts += 1
        response = session.post(f"{endpoint.url}/predict", json=body, headers=dict(headers), timeout=REQUEST_TIMEOUT_S)
        if response.status_code in RETRYABLE_STATUSES:
            raise WorkerUnavailable(f"{response.status_code}: {response.text[:200]}")
        return response

    try:
        return _to_outcome(player_lookup, call_with_retry(retry, send), attempts)
    except (WorkerUnavailable, requests.RequestException) as error:
        return PlayerOutcome(
            player_lookup,
            work_unit_id(player_lookup),
            "write rejected" if "write rejected" in str(error) else "no answer",
            reason=type(error).__name__,
            message=str(error)[:500],
            attempts=attempts,
        )


def _to_outcome(player_lookup: str, response: requests.Response, attempts: int) -> PlayerOutcome:
    make_outcome = partial(PlayerOutcome, player_lookup, work_unit_id(player_lookup), attempts=attempts)
    if response.status_code == 204:
        return make_outcome("not generated", reason=response.headers.get("x-reason", ""), produced_rows=0)
    try:
        payload = response.json()
    except ValueError:
        message = f"{response.status_code}: {response.text[:300]}"
        return make_outcome("no answer", reason="not JSON", message=message)
    produced_rows, verified_rows = payload.get("produced_rows"), payload.get("verified_rows")
    if response.status_code == 200 and produced_rows and verified_rows == produced_rows:
        return make_outcome(
            "staged",
            produced_rows=produced_rows,
            staged_rows=verified_rows,
            staging_table=payload["table"],
            load_job_id=payload["job_id"],
        )
    return make_outcome(
        "write rejected" if payload.get("outcome") == "write rejected" else "no answer",
        reason=str(payload.get("reason", "")),
        message=str(payload.get("message") or payload.get("error") or payload)[:500],
        produced_rows=produced_rows,
    )


def _json_safe(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value
