"""`make bench-cost`: what viewing costs, by the sandbox's meter: a cold tour, the same again, an hour of one viewer and of fifty, a change.

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
from services.sandbox.bigquery.billing_meter import MIB
from tests.tools.benchmarks import harness, write_speed
from tests.tools.benchmarks.viewers import Viewer, open_viewer

NIGHT = date(2025, 12, 29)
QUERY = f"date={NIGHT}"
MANY_VIEWERS, MAX_CACHE_AGE_S = 50, 130  # every cached answer is older than that many seconds then
MAX_TOUR_MIB, MAX_LOG_READS_PER_MIN = 40, 6
MAX_QUERIES_UNCHANGED = 1  # worker runs are streamed, so they are queried again every five minutes
FREE_METHODS = {
    "jobs": ("bigquery.JobService.listJobs", "bigquery.JobService.getJob"),
    "list": ("bigquery.TableService.listTables",),
    "get": ("bigquery.TableService.getTable",),
    "data": ("bigquery.TableDataService.list",),
    "run": ("run.services.get", "run.revisions.get"),
    "logs": ("logging.entries.list",),
}


@dataclass(frozen=True)
class UsageCost:
    """What the meter counted: queries, bytes billed, and calls by method."""

    queries: int
    bytes_billed: int
    calls: Mapping[str, int]

    def since(self, before: UsageCost) -> UsageCost:
        calls = {name: count - before.calls.get(name, 0) for name, count in self.calls.items()}
        return UsageCost(self.queries - before.queries, self.bytes_billed - before.bytes_billed, calls)

    def scaled(self, factor: float) -> UsageCost:
        calls = {name: round(count * factor) for name, count in self.calls.items()}
        return UsageCost(round(self.queries * factor), round(self.bytes_billed * factor), calls)

    def free_calls(self, kind: str) -> int:
        return sum(self.calls.get(name, 0) for name in FREE_METHODS[kind])

    def format_row(self, name: str) -> str:
        free_columns = "".join(f"{self.free_calls(kind):7,}" for kind in FREE_METHODS)
        return f"  {name:34}{self.queries:8,}{self.bytes_billed / MIB:12,.0f}   {free_columns}"


TABLE_HEADER = (
    f"  {'':34}{'queries':>8}{'MiB billed':>12}   " + "".join(f"{kind:>7}" for kind in FREE_METHODS) + "   (free calls)"
)


def read_meter(sandbox: str) -> UsageCost:
    meter = requests.get(f"{sandbox}/sandbox/meter", timeout=10).json()
    return UsageCost(meter["queries"], meter["bytesBilled"], meter["calls"])


async def wait_until_idle(sandbox: str, idle_s: float = 1.5) -> UsageCost:
    """The meter once nothing has been asked for a while: what is refreshed behind a page counts for that page."""
    while True:
        before = read_meter(sandbox)
        await asyncio.sleep(idle_s)
        if (after := read_meter(sandbox)) == before:
            return after


async def visit_every_page(sandbox: str, dashboard_url: str, since: UsageCost | None = None) -> dict[str, UsageCost]:
    """Each page once, as one who walks through all of them; the first page bears what was read `since` a reading before."""
    costs, before = {}, since or read_meter(sandbox)
    for page in harness.PAGES:
        viewer = await open_viewer(dashboard_url, "" if page == "overview" else page, QUERY)
        await viewer.wait_rendered()
        after = await wait_until_idle(sandbox)
        costs[page], before = after.since(before), after
        await viewer.close()
    return costs


async def measure_viewers(sandbox: str, dashboard_url: str, viewers: int, minutes: float) -> UsageCost:
    """What an hour of the overview costs, measured over some minutes after everybody has it open."""
    # One person may have 40 tabs; without a sign-in people are distinguished by the host name they used.
    hosts = (dashboard_url, dashboard_url.replace("127.0.0.1", "localhost"))
    tabs: list[Viewer] = [await open_viewer(hosts[i % 2], "", QUERY) for i in range(viewers)]
    for tab in tabs:
        await tab.wait_rendered()
    before = await wait_until_idle(sandbox, 0.5)
    await asyncio.sleep(60 * minutes)
    cost = read_meter(sandbox).since(before)
    for tab in tabs:
        await tab.close()
    return cost.scaled(60 / minutes)


def write_one_batch(sandbox: str) -> int:
    """One batch of the night as the write path writes it; its rows."""
    clients = connect(Settings.from_env({"SANDBOX_URL": sandbox}))
    rows_by_player = dict(sorted(write_speed.make_predictions(clients).items())[:3])
    write_speed.write_by_ours(clients, rows_by_player, unit_players=1)
    return sum(map(len, rows_by_player.values()))


def sum_costs(costs: Sequence[UsageCost]) -> UsageCost:
    names = {name for cost in costs for name in cost.calls}
    calls = {name: sum(cost.calls.get(name, 0) for cost in costs) for name in names}
    return UsageCost(sum(cost.queries for cost in costs), sum(cost.bytes_billed for cost in costs), calls)


def print_costs(title: str, costs: Mapping[str, UsageCost]) -> UsageCost:
    print(f"\n{title}\n{TABLE_HEADER}")
    for page, cost in costs.items():
        print(cost.format_row(page))
    total_cost = sum_costs(list(costs.values()))
    print(total_cost.format_row("all pages"), flush=True)
    return total_cost


def print_promise(is_met: bool, promise: str, numbers: str) -> None:
    print(f"  {'kept' if is_met else 'BROKEN':8}{promise:52}{numbers}")


async def measure(sandbox: str, dashboard_url: str, minutes: float, since: UsageCost) -> None:
    cold = print_costs(
        "A cold tour of all pages, the first with what a start reads ahead",
        await visit_every_page(sandbox, dashboard_url, since),
    )
    await asyncio.sleep(MAX_CACHE_AGE_S)
    repeated = print_costs(
        f"The same tour {MAX_CACHE_AGE_S} s later, nothing changed", await visit_every_page(sandbox, dashboard_url)
    )
    measured = f"{minutes:g} min measured, × {60 / minutes:g}; no watchdog"
    print(f"\nAn hour of the overview in which nothing changes ({measured})\n{TABLE_HEADER}", flush=True)
    single_viewer = await measure_viewers(sandbox, dashboard_url, 1, minutes)
    print(single_viewer.format_row("1 viewer"), flush=True)
    many_viewers = await measure_viewers(sandbox, dashboard_url, MANY_VIEWERS, minutes)
    print(many_viewers.format_row(f"{MANY_VIEWERS} viewers"), flush=True)
    rows = await asyncio.to_thread(partial(write_one_batch, sandbox))
    await wait_until_idle(sandbox)
    changed = print_costs(
        f"The tour after one batch of {rows} rows was written", await visit_every_page(sandbox, dashboard_url)
    )
    print("\nPromises")
    print_promise(
        cold.bytes_billed <= MAX_TOUR_MIB * MIB,
        f"a cold tour ≤ {MAX_TOUR_MIB} MiB",
        f"{cold.bytes_billed / MIB:,.0f} MiB",
    )
    print_promise(
        repeated.queries <= MAX_QUERIES_UNCHANGED,
        "what has not changed costs nothing but streamed rows",
        f"{repeated.queries} queries, {repeated.bytes_billed / MIB:,.0f} MiB",
    )
    ratio = (
        f"{many_viewers.queries} queries beside {single_viewer.queries}, "
        f"{many_viewers.bytes_billed / MIB:,.0f} MiB beside {single_viewer.bytes_billed / MIB:,.0f}"
    )
    print_promise(
        many_viewers.queries - single_viewer.queries <= MAX_QUERIES_UNCHANGED * 60 / minutes,
        f"{MANY_VIEWERS} viewers cost what one costs",
        ratio,
    )
    reads = max(single_viewer.free_calls("logs"), many_viewers.free_calls("logs")) / 60
    print_promise(
        reads <= MAX_LOG_READS_PER_MIN, f"log reads ≤ {MAX_LOG_READS_PER_MIN} a minute", f"{reads:.1f} a minute"
    )
    print_promise(
        changed.bytes_billed <= cold.bytes_billed,
        "a change costs no more than a cold tour",
        f"{changed.bytes_billed / MIB:,.0f} MiB\n",
    )


def main() -> None:
    minutes = float(os.environ.get("MINUTES") or 2)
    print(
        f"\nThe night of {NIGHT}; bytes by the sandbox's meter (10 MiB a table and query at least); dashboard by `app.server`."
    )
    with harness.start_sandbox_process() as sandbox:
        before = read_meter(sandbox)
        with harness.start_dashboard(sandbox) as (dashboard_url, _):
            asyncio.run(measure(sandbox, dashboard_url, minutes, before))


if __name__ == "__main__":
    main()
