"""`make bench-cost`: what looking costs, by the sandbox's meter: a cold tour, the same again, an hour of one viewer and of fifty, a change.

MINUTES (2) says how long the viewers are really watched; an hour is that, multiplied. Pages run on a real server, over real HTTP.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import requests

from services.core.settings import Settings
from services.gcp.clients import connect
from services.gcp.retry import Policy
from services.pipeline.consolidator import Consolidator
from services.pipeline.warehouse import BigQueryDoor
from services.sandbox.bigquery.billing_meter import MIB
from tests.benchmarks import speed, standing
from tests.benchmarks.viewers import Viewer, open_viewer

NIGHT = date(2025, 12, 29)
QUERY = f"date={NIGHT}"
FIFTY, LONGEST_FRESH_S = 50, 130  # every cached answer is older than that many seconds then
MOST_TOUR_MIB, MOST_LOG_READS = 40, 6
FREE = {
    "jobs": ("bigquery.JobService.listJobs", "bigquery.JobService.getJob"),
    "list": ("bigquery.TableService.listTables",),
    "get": ("bigquery.TableService.getTable",),
    "data": ("bigquery.TableDataService.list",),
    "run": ("run.run",),
    "logs": ("logging.entries.list",),
}


@dataclass(frozen=True)
class Cost:
    """What the meter counted: queries, bytes billed, and calls by method."""

    queries: int
    billed: int
    calls: Mapping[str, int]

    def since(self, before: Cost) -> Cost:
        calls = {name: count - before.calls.get(name, 0) for name, count in self.calls.items()}
        return Cost(self.queries - before.queries, self.billed - before.billed, calls)

    def times(self, factor: float) -> Cost:
        calls = {name: round(count * factor) for name, count in self.calls.items()}
        return Cost(round(self.queries * factor), round(self.billed * factor), calls)

    def free(self, kind: str) -> int:
        return sum(self.calls.get(name, 0) for name in FREE[kind])

    @property
    def dear(self) -> tuple[int, int]:
        return self.queries, self.billed

    def row(self, name: str) -> str:
        shown = "".join(f"{self.free(kind):7,}" for kind in FREE)
        return f"  {name:34}{self.queries:8,}{self.billed / MIB:12,.0f}   {shown}"


HEAD = f"  {'':34}{'queries':>8}{'MiB billed':>12}   " + "".join(f"{kind:>7}" for kind in FREE) + "   (free calls)"


def read(sandbox: str) -> Cost:
    told = requests.get(f"{sandbox}/sandbox/meter", timeout=10).json()
    return Cost(told["queries"], told["bytesBilled"], told["calls"])


async def quiet(sandbox: str, for_s: float = 1.5) -> Cost:
    """The meter once nothing has been asked for a while: what is refreshed behind a page counts for that page."""
    while True:
        before = read(sandbox)
        await asyncio.sleep(for_s)
        if (after := read(sandbox)) == before:
            return after


async def tour(sandbox: str, desk: str, since: Cost | None = None) -> dict[str, Cost]:
    """Each page once, as one who walks through all of them; the first page bears what was read `since` a reading before."""
    costs, before = {}, since or read(sandbox)
    for page in standing.PAGES:
        viewer = await open_viewer(desk, "" if page == "overview" else page, QUERY)
        await viewer.drawn()
        after = await quiet(sandbox)
        costs[page], before = after.since(before), after
        await viewer.close()
    return costs


async def watched(sandbox: str, desk: str, viewers: int, minutes: float) -> Cost:
    """What an hour of the overview costs, measured over some minutes after everybody has it open."""
    # The gate lets one person have 40 tabs; who nobody signs in is told apart by the name they came under.
    doors = (desk, desk.replace("127.0.0.1", "localhost"))
    tabs: list[Viewer] = [await open_viewer(doors[i % 2], "", QUERY) for i in range(viewers)]
    for tab in tabs:
        await tab.drawn()
    before = await quiet(sandbox, 0.5)
    await asyncio.sleep(60 * minutes)
    cost = read(sandbox).since(before)
    for tab in tabs:
        await tab.close()
    return cost.times(60 / minutes)


def change(sandbox: str) -> int:
    """One batch of the night as the write path writes it; its rows."""
    cloud = connect(Settings.from_env({"SANDBOX_URL": sandbox}))
    made = dict(sorted(speed.predictions(cloud).items())[:3])
    batch = f"batch_{NIGHT}_555555"
    speed.stage(cloud, batch, made, Policy(base_s=0.5))
    Consolidator(BigQueryDoor(cloud), "bench").consolidate(batch, NIGHT)
    return sum(map(len, made.values()))


def total(costs: Sequence[Cost]) -> Cost:
    names = {name for cost in costs for name in cost.calls}
    calls = {name: sum(cost.calls.get(name, 0) for cost in costs) for name in names}
    return Cost(sum(cost.queries for cost in costs), sum(cost.billed for cost in costs), calls)


def show(title: str, costs: Mapping[str, Cost]) -> Cost:
    print(f"\n{title}\n{HEAD}")
    for page, cost in costs.items():
        print(cost.row(page))
    summed = total(list(costs.values()))
    print(summed.row("all pages"), flush=True)
    return summed


def verdict(kept: bool, promise: str, numbers: str) -> None:
    print(f"  {'kept' if kept else 'BROKEN':8}{promise:52}{numbers}")


async def measure(sandbox: str, desk: str, minutes: float, since: Cost) -> None:
    cold = show("A cold tour of all pages, the first with what a start reads ahead", await tour(sandbox, desk, since))
    await asyncio.sleep(LONGEST_FRESH_S)
    again = show(f"The same tour {LONGEST_FRESH_S} s later, nothing changed", await tour(sandbox, desk))
    print(f"\nAn hour of the overview ({minutes:g} min measured, × {60 / minutes:g})\n{HEAD}", flush=True)
    one = await watched(sandbox, desk, 1, minutes)
    print(one.row("1 viewer"), flush=True)
    many = await watched(sandbox, desk, FIFTY, minutes)
    print(many.row(f"{FIFTY} viewers"), flush=True)
    rows = await asyncio.to_thread(partial(change, sandbox))
    await quiet(sandbox)
    changed = show(f"The tour after one batch of {rows} rows was written", await tour(sandbox, desk))
    print("\nPromises")
    verdict(cold.billed <= MOST_TOUR_MIB * MIB, f"a cold tour ≤ {MOST_TOUR_MIB} MiB", f"{cold.billed / MIB:,.0f} MiB")
    verdict(
        again.dear == (0, 0),
        "what has not changed costs nothing",
        f"{again.queries} queries, {again.billed / MIB:,.0f} MiB",
    )
    ratio = f"{many.queries} queries beside {one.queries}, {many.billed / MIB:,.0f} MiB beside {one.billed / MIB:,.0f}"
    verdict(many.dear == one.dear, f"{FIFTY} viewers cost what one costs", ratio)
    reads = max(one.free("logs"), many.free("logs")) / 60
    verdict(reads <= MOST_LOG_READS, f"log reads ≤ {MOST_LOG_READS} a minute", f"{reads:.1f} a minute")
    verdict(
        changed.billed <= cold.billed, "a change costs no more than a cold tour", f"{changed.billed / MIB:,.0f} MiB\n"
    )


def main() -> None:
    minutes = float(os.environ.get("MINUTES") or 2)
    print(
        f"\nThe night of {NIGHT}; bytes by the sandbox's meter (10 MiB a table and query at least); dashboard by `app.server`."
    )
    with standing.sandbox() as sandbox:
        before = read(sandbox)
        with standing.dashboard(sandbox) as (desk, _):
            asyncio.run(measure(sandbox, desk, minutes, before))


if __name__ == "__main__":
    main()
