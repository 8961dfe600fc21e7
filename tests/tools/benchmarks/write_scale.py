"""The write path at any size on the limit rules alone, no HTTP: DML statements per batch and the peak use of each quota."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from services.pipeline.consolidator import SOURCES_PER_COPY
from services.pipeline.rate_limiter import QUOTA_FRACTION, QUOTA_PER_S
from services.sandbox.bigquery.limits import DAY_S, Limits, RateWindow

LOAD_JOBS_A_DAY = 100_000


@dataclass(frozen=True)
class ScaleResult:
    """One batch of `units`: mutating DML statements, seconds that pacing takes, peak use of each quota in percent, what refused it."""

    units: int
    mutating_dml: int
    seconds: float
    peak_pct: dict[str, float]
    refused: str


def simulate_staged_writes(units: int) -> ScaleResult:
    """Load per unit, copies of up to 1,200 tables, one MERGE; every call paced as the pipeline paces it."""
    limits, now = Limits(), 0.0
    inserts, daily = RateWindow(int(QUOTA_PER_S["jobs.insert"]), 1), RateWindow(LOAD_JOBS_A_DAY, DAY_S)
    copies_into = RateWindow(5, 10)
    gap, refused = 1 / (QUOTA_PER_S["jobs.insert"] * QUOTA_FRACTION), ""
    for _ in range(units):
        now += gap
        inserts.record(now)
        if not daily.try_acquire(now):
            refused = "100,000 load jobs a day"
            break
    for _ in range(ceil(units / SOURCES_PER_COPY) if not refused else 0):
        # The copies go into one table, and are paced by its own limit.
        now += 1 / (QUOTA_PER_S["table.update"] * QUOTA_FRACTION)
        inserts.record(now)
        copies_into.record(now)
    statements = 0
    if not refused:
        statements = 1
        limits.dml_queues["predictions"].submit("merge")
    peak = {
        "jobs.insert 100/s": 100 * inserts.peak / 100,
        "load jobs 100,000/day": 100 * daily.peak / LOAD_JOBS_A_DAY,
        "updates of one table 5/10 s": 100 * copies_into.peak / 5,
        "DML outstanding 22": 100 * limits.dml_queues["predictions"].peak / 22,
    }
    return ScaleResult(units, statements, now, peak, refused)


def simulate_object_writes(units: int) -> ScaleResult:
    """The next implementation of `Warehouse`: an object per unit in a bucket, and one load job of up to 10,000 of them into the
    batch table. Designed, not built: it needs a bucket, which neither the customer's system nor the sandbox has.
    """
    loads = ceil(units / 10_000)
    peak = {"load jobs 100,000/day": 100 * loads / LOAD_JOBS_A_DAY, "DML outstanding 22": 100 / 22}
    return ScaleResult(units, 1, units / 500, peak, "")


def format_table() -> str:
    lines = [f"{'units':>9}{'mutating DML':>14}{'paced s':>10}   peak use of quotas"]
    for units in (158, 1_580, 15_800, 158_000):
        for name, backend in (("copy jobs", simulate_staged_writes), ("objects (design)", simulate_object_writes)):
            simulated = backend(units)
            peaks = ", ".join(f"{quota} {pct:.0f} %" for quota, pct in simulated.peak_pct.items())
            summary = f"refused: {simulated.refused}" if simulated.refused else peaks
            lines.append(f"{units:9,}{simulated.mutating_dml:14}{simulated.seconds:10,.0f}   {name}: {summary}")
    return "\n".join(lines)
