"""The outcome of each eligible player on a past night: written, rejected, not generated, or left in staging."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.sandbox.bigquery.limits import simulate_dml_queue
from services.sandbox.scenarios.slate import PlayerEntry, Slate

MERGE_DURATION_S = 4.7


@dataclass(frozen=True)
class SimulatedOutcome:
    """One player's outcome. `write_started_at` is None when nothing was written; `error` is empty unless the write was rejected."""

    entry: PlayerEntry
    generated: bool
    skip_reason: str
    message: str
    requested_at: datetime
    write_started_at: datetime | None
    write_ended_at: datetime | None
    error: str  # "" | dml_queue_full | schema
    staged_only: bool


def simulate_outcomes(slate: Slate) -> tuple[SimulatedOutcome, ...]:
    """Deterministic outcomes; on a night that hit the DML limit, a simulation of the table's DML queue decides who is written."""
    if slate.run_at is None:
        return ()
    rng = random.Random(f"outcome {slate.game_date}")
    entries = list(slate.eligible)
    rng.shuffle(entries)
    rejected = slate.plan.get("rejected") or {}
    if rejected.get("reason") == "dml_queue_full":
        return _burst_outcomes(slate, entries, len(entries) - rejected["count"])
    return tuple(
        _sequential_outcome(slate, entry, i, _failure_for(slate, i, len(entries))) for i, entry in enumerate(entries)
    )


def _failure_for(slate: Slate, index: int, total: int) -> tuple[str, str, str]:
    """(kind, reason, message), all empty when the player is written; `not generated` falls on the first players, the others on the last."""
    for failure in slate.plan.get("not_generated") or []:
        if index < failure["count"]:
            return "not generated", failure["skip_reason"], failure["message"]
    if (slate.plan.get("rejected") or {}).get("reason") == "schema" and index >= total - slate.plan["rejected"][
        "count"
    ]:
        return "rejected", "schema", ""
    if index >= total - int(slate.plan.get("not_consolidated") or 0):
        return "staged", "", ""
    return "", "", ""


def _sequential_outcome(
    slate: Slate, entry: PlayerEntry, index: int, failure: tuple[str, str, str]
) -> SimulatedOutcome:
    kind, reason, message = failure
    requested_at = slate.started_at + timedelta(seconds=4 + 2.6 * index)
    generated_at = requested_at + timedelta(seconds=2.4)
    written = kind != "not generated" and kind != "staged"
    return SimulatedOutcome(
        entry,
        generated=kind != "not generated",
        skip_reason=reason if kind == "not generated" else "",
        message=message,
        requested_at=requested_at,
        write_started_at=generated_at if written else None,
        write_ended_at=generated_at + timedelta(seconds=MERGE_DURATION_S) if written else None,
        error=reason if kind == "rejected" else "",
        staged_only=kind == "staged",
    )


def _burst_outcomes(slate: Slate, entries: list[PlayerEntry], accepted_count: int) -> tuple[SimulatedOutcome, ...]:
    """Direct MERGEs against the 2 + 20 DML limit, in the shortest arrival window in which `accepted_count` succeed."""
    arrivals_s, intervals = next(
        (arrivals, intervals)
        for arrivals, intervals in _spread_arrivals(len(entries))
        if sum(interval is not None for interval in intervals) == accepted_count
    )
    first_request_at = slate.started_at + timedelta(seconds=29)
    outcomes = []
    for entry, arrival_s, interval in zip(entries, arrivals_s, intervals, strict=True):
        requested_at = first_request_at + timedelta(seconds=arrival_s)
        ended_at = requested_at if interval is None else first_request_at + timedelta(seconds=interval[1])
        outcomes.append(
            SimulatedOutcome(
                entry,
                generated=True,
                skip_reason="",
                message="",
                requested_at=requested_at,
                write_started_at=requested_at,
                write_ended_at=ended_at,
                error="" if interval else "dml_queue_full",
                staged_only=False,
            )
        )
    return tuple(outcomes)


def _spread_arrivals(count: int) -> Iterator[tuple[list[float], list[tuple[float, float] | None]]]:
    """Evenly spread arrivals over ever longer windows (60 to 140 s), with what the DML queue makes of them."""
    for tenths in range(600, 1400):
        arrivals_s = [i * (tenths / 10) / count for i in range(count)]
        yield arrivals_s, simulate_dml_queue(arrivals_s, MERGE_DURATION_S)
