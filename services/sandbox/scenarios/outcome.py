"""What became of each eligible player's run on a past night: written, rejected, not generated, or left in staging."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.sandbox.bigquery.limits import DmlQueue
from services.sandbox.scenarios.slate import Entry, Slate

MERGE_S = 4.7


@dataclass(frozen=True)
class Outcome:
    """One player's run. `write_started` None: never written; `error` is a key of google_errors or a free reason."""

    entry: Entry
    generated: bool
    skip_reason: str
    message: str
    asked_at: datetime
    write_started: datetime | None
    write_ended: datetime | None
    error: str  # "" | dml_queue_full | schema
    staged_only: bool


def outcomes(slate: Slate) -> tuple[Outcome, ...]:
    """Deterministic fates; on a night of the DML limit the queue of the table decides who lands."""
    if slate.run_at is None:
        return ()
    rng = random.Random(f"outcome {slate.game_date}")
    entries = list(slate.eligible)
    rng.shuffle(entries)
    rejected = slate.plan.get("rejected") or {}
    if rejected.get("reason") == "dml_queue_full":
        return _burst(slate, entries, len(entries) - rejected["count"])
    return tuple(_calm(slate, entry, i, _fate(slate, i, len(entries))) for i, entry in enumerate(entries))


def _fate(slate: Slate, i: int, of: int) -> tuple[str, str, str]:
    """("", "", "") for a healthy run, else (kind, reason, message); troubles fall on the first players."""
    for told in slate.plan.get("not_generated") or []:
        if i < told["count"]:
            return "not generated", told["skip_reason"], told["message"]
    if (slate.plan.get("rejected") or {}).get("reason") == "schema" and i >= of - slate.plan["rejected"]["count"]:
        return "rejected", "schema", ""
    if i >= of - int(slate.plan.get("not_consolidated") or 0):
        return "staged", "", ""
    return "", "", ""


def _calm(slate: Slate, entry: Entry, i: int, fate: tuple[str, str, str]) -> Outcome:
    kind, reason, message = fate
    asked = slate.started + timedelta(seconds=4 + 2.6 * i)
    done = asked + timedelta(seconds=2.4)
    written = kind != "not generated" and kind != "staged"
    return Outcome(
        entry,
        generated=kind != "not generated",
        skip_reason=reason if kind == "not generated" else "",
        message=message,
        asked_at=asked,
        write_started=done if written else None,
        write_ended=done + timedelta(seconds=MERGE_S) if written else None,
        error=reason if kind == "rejected" else "",
        staged_only=kind == "staged",
    )


def _burst(slate: Slate, entries: list[Entry], landing: int) -> tuple[Outcome, ...]:
    """Direct MERGEs within two minutes against 2 + 20: the arrival window is the one in which `landing` get through."""
    spread = next(s / 10 for s in range(600, 1400) if _landed(_replay(len(entries), s / 10)) == landing)
    first = slate.started + timedelta(seconds=29)
    made = []
    for i, (entry, times) in enumerate(zip(entries, _replay(len(entries), spread), strict=True)):
        asked = first + timedelta(seconds=i * spread / len(entries))
        end = None if times is None else first + timedelta(seconds=times[1])
        made.append(Outcome(entry, True, "", "", asked, asked, end or asked, "" if times else "dml_queue_full", False))
    return tuple(made)


def _landed(times: list[tuple[float, float] | None]) -> int:
    return sum(t is not None for t in times)


def _replay(count: int, spread_s: float) -> list[tuple[float, float] | None]:
    """(start, end) of each statement that arrived in turn, None for the refused."""
    queue = DmlQueue()
    times: list[tuple[float, float] | None] = [None] * count
    events = [(i * spread_s / count, i, "arrive") for i in range(count)]
    heapq.heapify(events)
    while events:
        at, i, kind = heapq.heappop(events)
        run = (str(i) if queue.submit(str(i)) == "run" else None) if kind == "arrive" else queue.finish(str(i))
        if run is not None:
            times[int(run)] = (at, at + MERGE_S)
            heapq.heappush(events, (at + MERGE_S, int(run), "finish"))
    return times
