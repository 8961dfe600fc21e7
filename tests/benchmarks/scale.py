"""The write path at any size on the limit rules alone, no HTTP: DML statements per batch and the peak use of each quota."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from services.pipeline.consolidator import SOURCES_PER_COPY
from services.pipeline.rate_limiter import QUOTA_PER_S, SHARE
from services.sandbox.bigquery.limits import DAY_S, Limits, Window

LOAD_JOBS_A_DAY = 100_000


@dataclass(frozen=True)
class Scale:
    """One batch of `units`: mutating DML statements, seconds that pacing takes, peak use of each quota in percent, what refused it."""

    units: int
    mutating_dml: int
    seconds: float
    peak_pct: dict[str, float]
    refused: str


def staged(units: int) -> Scale:
    """Load per unit, copies of up to 1,200 tables, one MERGE; every call paced as the pipeline paces it."""
    limits, now = Limits(), 0.0
    inserts, daily = Window(int(QUOTA_PER_S["jobs.insert"]), 1), Window(LOAD_JOBS_A_DAY, DAY_S)
    copies_into = Window(5, 10)
    gap, refused = 1 / (QUOTA_PER_S["jobs.insert"] * SHARE), ""
    for _ in range(units):
        now += gap
        inserts.note(now)
        if not daily.take(now):
            refused = "100,000 load jobs a day"
            break
    for _ in range(ceil(units / SOURCES_PER_COPY) if not refused else 0):
        now += 1 / (QUOTA_PER_S["table.update"] * SHARE)  # the copies go into one table, and are paced by its own limit
        inserts.note(now)
        copies_into.note(now)
    statements = 0
    if not refused:
        statements = 1
        limits.dml["predictions"].submit("merge")
    peak = {
        "jobs.insert 100/s": 100 * inserts.peak / 100,
        "load jobs 100,000/day": 100 * daily.peak / LOAD_JOBS_A_DAY,
        "updates of one table 5/10 s": 100 * copies_into.peak / 5,
        "DML outstanding 22": 100 * limits.dml["predictions"].peak / 22,
    }
    return Scale(units, statements, now, peak, refused)


def by_objects(units: int) -> Scale:
    """The next backend behind the same door: an object per unit in a bucket, and one load job of up to 10,000 of them into the
    batch table. Designed, not built: it needs a bucket, which neither the customer's system nor the sandbox has.
    """
    loads = ceil(units / 10_000)
    peak = {"load jobs 100,000/day": 100 * loads / LOAD_JOBS_A_DAY, "DML outstanding 22": 100 / 22}
    return Scale(units, 1, units / 500, peak, "")


def table() -> str:
    lines = [f"{'units':>9}{'mutating DML':>14}{'paced s':>10}   peak use of quotas"]
    for units in (158, 1_580, 15_800, 158_000):
        for name, backend in (("copy jobs", staged), ("objects (design)", by_objects)):
            found = backend(units)
            peaks = ", ".join(f"{what} {pct:.0f} %" for what, pct in found.peak_pct.items())
            told = f"refused: {found.refused}" if found.refused else peaks
            lines.append(f"{units:9,}{found.mutating_dml:14}{found.seconds:10,.0f}   {name}: {told}")
    return "\n".join(lines)
