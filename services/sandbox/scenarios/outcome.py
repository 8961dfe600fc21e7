"""What became of each eligible player's run on a past night: written, rejected, not generated, or left in staging."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.sandbox.bigquery.limits import DmlQueue
from services.sandbox.scenarios.slate import PlayerEntry, Slate

MERGE_DURATION_S = 4.7


@dataclass(frozen=True)
class SimulatedOutcome:
    """One player's run. `write_started` None: never written; `error` is a key of google_errors or a free reason."""

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
    """Deterministic fates; on a night of the DML limit the queue of the table decides who lands."""
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
    """("", "", "") for a healthy run, else (kind, reason, message); troubles fall on the first players."""
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
    """Direct MERGEs within two minutes against 2 + 20: the arrival window is the one in which `landing` get through."""
    spread_s = next(
        s / 10 for s in range(600, 1400) if _count_accepted(_simulate_dml_queue(len(entries), s / 10)) == accepted_count
    )
    first_request_at = slate.started_at + timedelta(seconds=29)
    outcomes_in_order = []
    for i, (entry, times) in enumerate(zip(entries, _simulate_dml_queue(len(entries), spread_s), strict=True)):
        requested_at = first_request_at + timedelta(seconds=i * spread_s / len(entries))
        ended_at = None if times is None else first_request_at + timedelta(seconds=times[1])
        outcomes_in_order.append(
            SimulatedOutcome(
                entry,
                True,
                "",
                "",
                requested_at,
                requested_at,
                ended_at or requested_at,
                "" if times else "dml_queue_full",
                False,
            )
        )
    return tuple(outcomes_in_order)


def _count_accepted(times: list[tuple[float, float] | None]) -> int:
    return sum(t is not None for t in times)


def _simulate_dml_queue(count: int, spread_s: float) -> list[tuple[float, float] | None]:
    """(start, end) of each statement that arrived in turn, None for the refused."""
    queue = DmlQueue()
    times: list[tuple[float, float] | None] = [None] * count
    events = [(i * spread_s / count, i, "arrive") for i in range(count)]
    heapq.heapify(events)
    while events:
        at, i, kind = heapq.heappop(events)
        started_index = (
            (str(i) if queue.submit(str(i)) == "run" else None) if kind == "arrive" else queue.finish(str(i))
        )
        if started_index is not None:
            times[int(started_index)] = (at, at + MERGE_DURATION_S)
            heapq.heappush(events, (at + MERGE_DURATION_S, int(started_index), "finish"))
    return times
