"""The coordinator, ours or the customer's: what it can do, starting, resuming and stopping a run, and how far one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from services.core.errors import OnCallError, SourceUnavailable
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.id_token import fetch_auth_headers

READ_TIMEOUT_S, START_TIMEOUT_S = 10, 120  # a customer's /start preloads histories before it answers


class CoordinatorRefused(OnCallError):
    """The coordinator answered, and refused."""


class UnexpectedResponse(OnCallError):
    """The coordinator answered something that is not documented."""


@dataclass(frozen=True)
class CoordinatorInfo:
    """A coordinator, by its own health endpoint. `supports` names what ours can do and the customer's cannot: players, resume, stop.

    `thresholds` is the fingerprint of its thresholds; "" where it reports none.
    """

    url: str
    service: str
    supports: frozenset[str]
    thresholds: str = ""


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is, in its coordinator's words. Counts are None where it does not report them.

    `outcomes` are players by outcome, as ours counts them: staged, not generated, write rejected, internal error, no answer.
    """

    batch_id: str
    status: str
    requested: int | None
    completed: int | None
    failed: int | None
    predictions: int | None
    per_second: float | None
    eta_s: float | None
    stalled: bool
    ended: bool
    stopping: bool
    outcomes: Mapping[str, int] | None
    payload: Mapping[str, Any]


def get_url(clients: Clients) -> str:
    """Where the coordinator is: as configured, else as Cloud Run reports it."""
    if clients.settings.coordinator_url:
        return clients.settings.coordinator_url
    with translate_errors("Cloud Run"):
        name = clients.service_name(clients.settings.coordinator_service)
        return clients.run.get_service(name=name, timeout=READ_TIMEOUT_S).uri.rstrip("/")


def read_coordinator(clients: Clients) -> CoordinatorInfo:
    """Where the coordinator is and what it supports; raises SourceUnavailable when it is down, UnexpectedResponse for any other service."""
    url = get_url(clients)
    status, payload = _request(clients, "GET", url, "/")
    if status != 200 or "service" not in payload:
        raise UnexpectedResponse(f"{url} is not a coordinator endpoint (HTTP {status}).", "Check COORDINATOR_URL.")
    supports = payload.get("supports") or ()
    return CoordinatorInfo(
        url,
        str(payload["service"]),
        frozenset(map(str, supports)) if isinstance(supports, list) else frozenset(),
        str(payload.get("thresholds") or ""),
    )


def start_run(clients: Clients, url: str, body: Mapping[str, Any]) -> str:
    """POST /start; the batch id, or CoordinatorRefused with the coordinator's own reason."""
    status, payload = _request(clients, "POST", url, "/start", body, START_TIMEOUT_S)
    if status == 202 and isinstance(payload.get("batch_id"), str):
        return str(payload["batch_id"])
    raise _to_refusal(status, payload, f"run {body.get('game_date')}")


def resume_batch(clients: Clients, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """POST /resume; the coordinator's response, or CoordinatorRefused with its own reason."""
    status, payload = _request(clients, "POST", url, "/resume", body, START_TIMEOUT_S)
    if status in (200, 202):
        return payload
    raise _to_refusal(status, payload, f"resume {body.get('batch_id')}")


def stop_batch(clients: Clients, url: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """POST /stop; the coordinator's response, or CoordinatorRefused with its own reason."""
    status, payload = _request(clients, "POST", url, "/stop", body)
    if status == 202:
        return payload
    raise _to_refusal(status, payload, f"stop {body.get('batch_id')}")


def read_progress(clients: Clients, url: str, batch_id: str) -> BatchProgress | None:
    """GET /status of one batch, in either documented shape; None when the coordinator has no such batch."""
    status, payload = _request(clients, "GET", url, f"/status?batch_id={batch_id}")
    if status == 404 or payload.get("status") in ("no_active_batch", "not_found"):
        return None
    if status != 200 or "status" not in payload:
        raise UnexpectedResponse(f"The coordinator's /status returned HTTP {status} without a status.")
    return parse_progress(batch_id, payload)


def parse_progress(batch_id: str, payload: Mapping[str, Any]) -> BatchProgress:
    """Either shape of /status: the one with `progress` in it, or the flat one from the customer's Firestore."""
    progress = payload.get("progress")
    counts: Mapping[str, Any] = progress if isinstance(progress, Mapping) else {}
    outcomes = payload.get("outcomes")
    requested = _int_or_none(counts.get("expected", payload.get("expected_players")))
    completed = _int_or_none(counts.get("completed", payload.get("completed_players")))
    status = str(payload["status"])
    return BatchProgress(
        batch_id=str(payload.get("batch_id") or batch_id),
        status=status,
        requested=requested,
        completed=completed,
        failed=_int_or_none(counts.get("failed")),
        predictions=_int_or_none(counts.get("total_predictions")),
        per_second=_float_or_none(counts.get("completion_rate")),
        eta_s=_float_or_none(counts.get("eta_seconds")),
        stalled=bool(payload.get("is_stalled")) or status == "stalled",
        ended=bool(counts.get("is_complete"))
        or status in ("complete", "completed", "consolidated", "consolidation failed"),
        stopping=bool(payload.get("stopping")),
        outcomes={str(k): int(v) for k, v in outcomes.items()} if isinstance(outcomes, Mapping) else None,
        payload=payload,
    )


def _request(
    clients: Clients,
    method: str,
    url: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    timeout_s: float = READ_TIMEOUT_S,
) -> tuple[int, Mapping[str, Any]]:
    try:
        response = requests.request(
            method,
            f"{url}{path}",
            json=dict(body) if body is not None else None,
            headers=fetch_auth_headers(clients, url),
            timeout=timeout_s,
        )
    except requests.RequestException as error:
        raise SourceUnavailable(
            f"The coordinator at {url} does not respond ({type(error).__name__}).",
            "Check that it is running, then retry.",
        ) from error
    try:
        payload = response.json()
    except ValueError:
        payload = None
    if not isinstance(payload, Mapping):
        raise UnexpectedResponse(f"The coordinator at {url} returned HTTP {response.status_code} with non-JSON.")
    return response.status_code, payload


def _to_refusal(status: int, payload: Mapping[str, Any], operation: str) -> OnCallError:
    reason = next(
        (str(payload[key]) for key in ("message", "error", "detail", "status") if payload.get(key)), "no reason given"
    )
    batch = f" (batch {payload['batch_id']})" if payload.get("batch_id") else ""
    if status in (200, 202):
        return CoordinatorRefused(f"The coordinator did not {operation}: “{reason}”{batch}.")
    return CoordinatorRefused(f"The coordinator rejected “{operation}”: HTTP {status}, {reason}{batch}.")


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float_or_none(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
