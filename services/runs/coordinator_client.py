"""The coordinator, ours or the customer's: what it can do, starting and resuming a run, and how far one is, by its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from services.core.errors import OnCallError, SourceUnreadable
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.gcp.id_token import _identity

READ_S, START_S = 10, 120  # a customer's /start preloads histories before it answers


class CoordinatorRefused(OnCallError):
    """The coordinator answered, and refused."""


class NotUnderstood(OnCallError):
    """The coordinator answered something that is not documented."""


@dataclass(frozen=True)
class Coordinator:
    """What it says of itself. `supports` names what ours can do and the customer's cannot: players, resume."""

    url: str
    service: str
    supports: frozenset[str]


@dataclass(frozen=True)
class Progress:
    """How far a batch is, in its coordinator's words. Counts are None where it does not tell them."""

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
    told: Mapping[str, Any]


def address(cloud: Cloud) -> str:
    """Where the coordinator is: as configured, else as Cloud Run reports it."""
    if cloud.settings.coordinator_url:
        return cloud.settings.coordinator_url
    with reading_from("Cloud Run"):
        name = cloud.service_name(cloud.settings.coordinator_service)
        return cloud.run.get_service(name=name, timeout=READ_S).uri.rstrip("/")


def read_coordinator(cloud: Cloud) -> Coordinator:
    """Ask it who it is; raises SourceUnreadable when it is down, NotUnderstood when it answers something else."""
    url = address(cloud)
    status, told = _call(cloud, "GET", url, "/")
    if status != 200 or "service" not in told:
        raise NotUnderstood(f"{url} does not answer as a coordinator does (HTTP {status}).", "Check COORDINATOR_URL.")
    supports = told.get("supports") or ()
    return Coordinator(
        url, str(told["service"]), frozenset(map(str, supports)) if isinstance(supports, list) else frozenset()
    )


def start(cloud: Cloud, url: str, wish: Mapping[str, Any]) -> str:
    """POST /start; the batch id, or CoordinatorRefused with the coordinator's own reason."""
    status, told = _call(cloud, "POST", url, "/start", wish, START_S)
    if status == 202 and isinstance(told.get("batch_id"), str):
        return str(told["batch_id"])
    raise _refusal(status, told, f"run {wish.get('game_date')}")


def resume(cloud: Cloud, url: str, wish: Mapping[str, Any]) -> Mapping[str, Any]:
    """POST /resume; what the coordinator says it will do."""
    status, told = _call(cloud, "POST", url, "/resume", wish, START_S)
    if status in (200, 202):
        return told
    raise _refusal(status, told, f"resume {wish.get('batch_id')}")


def read_progress(cloud: Cloud, url: str, batch_id: str) -> Progress | None:
    """GET /status of one batch, in either documented shape; None when the coordinator knows no such batch."""
    status, told = _call(cloud, "GET", url, f"/status?batch_id={batch_id}")
    if status == 404 or told.get("status") in ("no_active_batch", "not_found"):
        return None
    if status != 200 or "status" not in told:
        raise NotUnderstood(f"The coordinator's /status answered HTTP {status} with no status in it.")
    return progress_of(batch_id, told)


def progress_of(batch_id: str, told: Mapping[str, Any]) -> Progress:
    """Either shape of /status: the one with `progress` in it, or the flat one from the customer's Firestore."""
    inner = told.get("progress")
    counts: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    requested = _count(counts.get("expected", told.get("expected_players")))
    completed = _count(counts.get("completed", told.get("completed_players")))
    status = str(told["status"])
    return Progress(
        batch_id=str(told.get("batch_id") or batch_id),
        status=status,
        requested=requested,
        completed=completed,
        failed=_count(counts.get("failed")),
        predictions=_count(counts.get("total_predictions")),
        per_second=_number(counts.get("completion_rate")),
        eta_s=_number(counts.get("eta_seconds")),
        stalled=bool(told.get("is_stalled")) or status == "stalled",
        ended=bool(counts.get("is_complete"))
        or status in ("complete", "completed", "consolidated", "consolidation failed"),
        told=told,
    )


def _call(
    cloud: Cloud, method: str, url: str, path: str, body: Mapping[str, Any] | None = None, limit_s: float = READ_S
) -> tuple[int, Mapping[str, Any]]:
    try:
        answer = requests.request(
            method,
            f"{url}{path}",
            json=dict(body) if body is not None else None,
            headers=_identity(cloud, url),
            timeout=limit_s,
        )
    except requests.RequestException as error:
        raise SourceUnreadable(
            f"The coordinator at {url} does not answer ({type(error).__name__}).", "See that it runs; then look again."
        ) from error
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, Mapping):
        raise NotUnderstood(
            f"The coordinator at {url} answered HTTP {answer.status_code} with something that is not JSON."
        )
    return answer.status_code, told


def _refusal(status: int, told: Mapping[str, Any], what: str) -> OnCallError:
    why = next((str(told[key]) for key in ("message", "error", "detail", "status") if told.get(key)), "no reason given")
    batch = f" (batch {told['batch_id']})" if told.get("batch_id") else ""
    if status in (200, 202):
        return CoordinatorRefused(f"The coordinator did not {what}: it answered “{why}”{batch}.")
    return CoordinatorRefused(f"The coordinator refused to {what}: HTTP {status}, {why}{batch}.")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
