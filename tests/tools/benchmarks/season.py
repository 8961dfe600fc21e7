"""`make bench-scale`: the dashboard on a whole season beside the fortnight of December, twenty viewers at once, an hour's refreshes.

Pages are drawn for clients of Streamlit's own socket: the time is the server's, from the question to the end of the script.
RUNS (5) says how often each page is opened, REFRESHES (120, an hour's) how often each of the five tabs of the soak refreshes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from tests.tools.benchmarks import harness
from tests.tools.benchmarks.viewers import Viewer, open_viewer
from tests.tools.benchmarks.viewing_cost import QUERY, wait_until_idle

CONCURRENT_VIEWERS, ROUNDS, SOAK_TABS, WARMUP_REFRESHES = 20, 3, 5, 20
MAX_RATIO, MAX_P95_OVER_P50 = 2.0, 5.0


@dataclass(frozen=True)
class DashboardUnderTest:
    """A sandbox with a scenario, and a dashboard in front of it."""

    name: str
    sandbox: str
    address: str
    pid: int
    memory_report: Path

    def read_memory_report(self) -> dict[str, int]:
        """What the dashboard's process holds now: memory, threads, cached answers."""
        self.memory_report.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 60
        while not self.memory_report.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return {"RSS MB": self.rss_mb(), **json.loads(self.memory_report.read_text())}

    def rss_mb(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024


def start_dashboard(stack: ExitStack, scenario: str) -> DashboardUnderTest:
    sandbox = stack.enter_context(harness.start_sandbox_process(SCENARIO=scenario))
    memory_report = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "holds.json"
    address, pid = stack.enter_context(
        harness.start_dashboard(sandbox, "tests.tools.benchmarks.memory_probe", str(memory_report))
    )
    return DashboardUnderTest(scenario, sandbox, address, pid, memory_report)


async def visit_page(dashboard: DashboardUnderTest, page: str) -> Viewer:
    """Open a page in a new tab and close it when it is drawn."""
    viewer = await open_viewer(dashboard.address, "" if page == "overview" else page, QUERY)
    await viewer.wait_rendered()
    await viewer.close()
    return viewer


async def visit_all_pages(dashboards: Sequence[DashboardUnderTest], runs: int) -> dict[str, dict[str, list[Viewer]]]:
    """Every page on every dashboard in turn: the first visit reads everything, the later ones are served from the cache."""
    visits: dict[str, dict[str, list[Viewer]]] = {
        page: {dashboard.name: [] for dashboard in dashboards} for page in harness.PAGES
    }
    for _ in range(runs + 1):
        for page in harness.PAGES:
            for dashboard in dashboards:
                visits[page][dashboard.name].append(await visit_page(dashboard, page))
                if len(visits[page][dashboard.name]) == 1:
                    await wait_until_idle(dashboard.sandbox)
    return visits


def print_comparison(visits: Mapping[str, Mapping[str, Sequence[Viewer]]], small: str, large: str) -> None:
    print(f"\n{'ms':18}{'—— first visit ——':>26}{'—— later visits, medians ——':>38}{'kB sent':>22}")
    print(
        f"{'':18}{small:>10}{large:>8}{'times':>8}{'verdict':>14}{small:>10}{large:>8}{'times':>8}{small:>12}{large:>8}{'times':>8}"
    )
    slow_pages = []
    for page, visits_by_scenario in visits.items():
        first_visit_ms = [visits_by_scenario[name][0].render_ms[0] for name in (small, large)]
        revisit_ms = [median(v.render_ms[0] for v in visits_by_scenario[name][1:]) for name in (small, large)]
        verdict = median(v.verdict_ms for v in visits_by_scenario[large][1:])
        sent_kb = [median(v.bytes_received for v in visits_by_scenario[name][1:]) / 1000 for name in (small, large)]
        times = [pair[1] / pair[0] for pair in (first_visit_ms, revisit_ms, sent_kb)]
        if times[1] > MAX_RATIO:
            slow_pages.append(page)
        print(
            f"{page:18}{first_visit_ms[0]:10,.0f}{first_visit_ms[1]:8,.0f}{times[0]:8.2f}{verdict:14,.0f}"
            f"{revisit_ms[0]:10,.0f}{revisit_ms[1]:8,.0f}{times[1]:8.2f}{sent_kb[0]:12,.0f}{sent_kb[1]:8,.0f}{times[2]:8.2f}"
        )
    pages_within_limit = len(visits) - len(slow_pages)
    print(
        f"\n  later visits within {MAX_RATIO:g} times: {pages_within_limit} of {len(visits)} pages"
        + (f"; not {', '.join(slow_pages)}" if slow_pages else "")
    )


async def open_concurrently(dashboard: DashboardUnderTest) -> None:
    """Twenty tabs opened in the same instant, all pages among them, three times; beside one tab alone."""
    alone = [(await visit_page(dashboard, page)).render_ms[0] for page in harness.PAGES]
    times: list[float] = []
    before = dashboard.rss_mb()
    for _ in range(ROUNDS):
        viewers = await asyncio.gather(
            *(visit_page(dashboard, harness.PAGES[i % len(harness.PAGES)]) for i in range(CONCURRENT_VIEWERS))
        )
        times += [viewer.render_ms[0] for viewer in viewers]
    cuts = quantiles(times, n=20)
    p50, p95 = median(times), cuts[18]
    print(
        f"\n{CONCURRENT_VIEWERS} viewers at once on {dashboard.name}, {ROUNDS} rounds: "
        f"p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p95 ÷ p50 {p95 / p50:.2f}",
        end="",
    )
    print(f" (at most {MAX_P95_OVER_P50:g}); one alone {median(alone):,.0f} ms, p50 ÷ alone {p50 / median(alone):.1f}")
    print(f"  memory of the dashboard {before} MB before, {dashboard.rss_mb()} MB after", flush=True)


async def soak(dashboard: DashboardUnderTest, refreshes: int) -> None:
    """Five tabs of different pages that refresh as often as in an hour, one after the other."""
    tabs = [await open_viewer(dashboard.address, page, QUERY) for page in ("", *harness.PAGES[1:SOAK_TABS])]
    for tab in tabs:
        await tab.wait_rendered()
    memory_reports: list[dict[str, int]] = []
    for refresh in range(refreshes):
        if refresh == min(WARMUP_REFRESHES, refreshes // 2):
            memory_reports.append(dashboard.read_memory_report())
        for tab in tabs:
            await tab.request_rerun()
            await tab.wait_rendered()
    await wait_until_idle(dashboard.sandbox)
    memory_reports.append(dashboard.read_memory_report())
    for tab in tabs:
        await tab.close()
    print(
        f"\nSoak on {dashboard.name}: {SOAK_TABS} tabs × {refreshes} refreshes, "
        f"after {min(WARMUP_REFRESHES, refreshes // 2)} refreshes and at the end"
    )
    for name, before in memory_reports[0].items():
        print(
            f"  {name:22}{before:12,}{memory_reports[1][name]:12,}{memory_reports[1][name] / max(1, before):9.3f} times"
        )


async def measure(dashboards: Sequence[DashboardUnderTest], runs: int, refreshes: int) -> None:
    print_comparison(await visit_all_pages(dashboards, runs), dashboards[0].name, dashboards[-1].name)
    await open_concurrently(dashboards[-1])
    await soak(dashboards[-1], refreshes)


def main() -> None:
    runs, refreshes = int(os.environ.get("RUNS") or 5), int(os.environ.get("REFRESHES") or 120)
    with ExitStack() as stack:
        dashboards = [start_dashboard(stack, scenario) for scenario in ("december", "season")]
        asyncio.run(measure(dashboards, runs, refreshes))


if __name__ == "__main__":
    main()
