"""Asks the workers for each player, at most as many at once as Cloud Run takes, and again where an answer says "later"."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import google.auth.transport.requests
import requests
from google.oauth2 import id_token

from services.batches.ids import unit
from services.batches.ledger import Outcome
from services.core.errors import OnCallError
from services.gcp.clients import Cloud
from services.gcp.retry import Policy, retrying
from services.scaling.service_widths import read_widths

log_line = logging.getLogger("coordinator")
ANSWER_WITHIN_S = 120
AGAIN = {429, 500, 502, 503, 504}


class AskAgain(ConnectionError):
    """The worker was busy, failed, or did not answer; the unit may be delivered again at no risk."""


@dataclass(frozen=True)
class Target:
    """Where the worker answers, and how many requests it takes at once."""

    address: str
    at_once: int


def target(cloud: Cloud, configured: int) -> Target:
    """The worker's address and width from Cloud Run; never more at once than it is configured for."""
    service = cloud.run.get_service(name=cloud.service_name(cloud.settings.worker_service), timeout=30)
    worker = next(s for s in read_widths(cloud).services if s.writes_predictions)
    return Target(service.uri, min(configured, worker.product or configured))


def dispatch(
    cloud: Cloud,
    to: Target,
    batch: str,
    game_date: date,
    players: Iterable[Mapping[str, Any]],
    retry: Policy,
    heard: Callable[[Outcome], None],
) -> tuple[Outcome, ...]:
    """Deliver every player once or more; `heard` is told of each outcome as it comes in."""
    with ThreadPoolExecutor(max(1, to.at_once)) as pool, requests.Session() as session:
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=max(10, to.at_once))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        headers = _identity(cloud, to.address)
        asked = [pool.submit(_deliver, session, headers, to, batch, game_date, player, retry) for player in players]
        found = []
        for answer in as_completed(asked):
            found.append(answer.result())
            heard(found[-1])
        return tuple(found)


def _deliver(
    session: requests.Session,
    headers: Mapping[str, str],
    to: Target,
    batch: str,
    game_date: date,
    player: Mapping[str, Any],
    retry: Policy,
) -> Outcome:
    """One player's outcome; what never answered is "no answer", which a later resume asks again."""
    who, attempts = player["player_lookup"], 0
    told = {
        "player_lookup": who,
        "game_date": game_date.isoformat(),
        "game_id": player["game_id"],
        "batch_id": batch,
        "context": {k: _plain(v) for k, v in player.items()},
    }

    def ask() -> requests.Response:
        nonlocal attempts
        attempts += 1
        answer = session.post(f"{to.address}/predict", json=told, headers=dict(headers), timeout=ANSWER_WITHIN_S)
        if answer.status_code in AGAIN:
            raise AskAgain(f"{answer.status_code}: {answer.text[:200]}")
        return answer

    try:
        return _outcome(who, retrying(retry, ask), attempts)
    except (AskAgain, requests.RequestException) as error:
        rejected = "write rejected" in str(error)
        return Outcome(
            who,
            unit(who),
            "write rejected" if rejected else "no answer",
            type(error).__name__,
            str(error)[:500],
            attempts=attempts,
        )


def _outcome(who: str, answer: requests.Response, attempts: int) -> Outcome:
    if answer.status_code == 204:
        return Outcome(
            who, unit(who), "not generated", answer.headers.get("x-reason", ""), produced_rows=0, attempts=attempts
        )
    try:
        told = answer.json()
    except ValueError:
        return Outcome(
            who, unit(who), "no answer", "not JSON", f"{answer.status_code}: {answer.text[:300]}", attempts=attempts
        )
    if answer.status_code == 200 and told.get("produced_rows") and told.get("verified_rows") == told["produced_rows"]:
        return Outcome(
            who,
            unit(who),
            "staged",
            "",
            "",
            told["produced_rows"],
            told["verified_rows"],
            told["table"],
            told["job_id"],
            attempts,
        )
    message = str(told.get("message") or told.get("error") or told)[:500]
    rejected = told.get("outcome") == "write rejected"
    return Outcome(
        who,
        unit(who),
        "write rejected" if rejected else "no answer",
        str(told.get("reason", "")),
        message,
        told.get("produced_rows"),
        attempts=attempts,
    )


def _identity(cloud: Cloud, audience: str) -> Mapping[str, str]:
    """An ID token for the worker; the sandbox asks for none, and none travels without TLS."""
    if cloud.settings.in_sandbox or not audience.startswith("https://"):
        return {}
    try:
        token = id_token.fetch_id_token(google.auth.transport.requests.Request(), audience)
    except Exception as error:
        raise OnCallError(
            f"No identity token for the worker could be had: {error}.", "Run the coordinator with a service account."
        ) from error
    return {"Authorization": f"Bearer {token}"}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value
