"""`make bench-scale`: the desk on a whole season beside the fortnight of December, twenty viewers at once, an hour's refreshes.

Pages are drawn for clients of Streamlit's own socket: the time is the server's, from the question to the end of the script.
RUNS (5) says how often each page is opened, REFRESHES (120, an hour's) how often each of the five of the soak looks.
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

from tests.benchmarks import standing
from tests.benchmarks.viewers import Viewer, open_viewer
from tests.benchmarks.viewing import QUERY, quiet

AT_ONCE, ROUNDS, SOAKING, WARM = 20, 3, 5, 20
MOST_TIMES, MOST_SPREAD = 2.0, 5.0


@dataclass(frozen=True)
class Desk:
    """A sandbox with a scenario, and a dashboard before it that tells what it holds."""

    name: str
    sandbox: str
    address: str
    pid: int
    told: Path

    def holds(self) -> dict[str, int]:
        """What the dashboard's process holds now: memory, threads, cached answers."""
        self.told.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR1)
        until = time.monotonic() + 60
        while not self.told.exists() and time.monotonic() < until:
            time.sleep(0.05)
        return {"RSS MB": self.rss_mb(), **json.loads(self.told.read_text())}

    def rss_mb(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024


def desk(stack: ExitStack, scenario: str) -> Desk:
    sandbox = stack.enter_context(standing.sandbox(SCENARIO=scenario))
    told = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "holds.json"
    address, pid = stack.enter_context(standing.dashboard(sandbox, "tests.benchmarks.counted", str(told)))
    return Desk(scenario, sandbox, address, pid, told)


async def drawn(of: Desk, page: str) -> Viewer:
    """One look at a page in a new tab, closed when it is drawn."""
    viewer = await open_viewer(of.address, "" if page == "overview" else page, QUERY)
    await viewer.drawn()
    await viewer.close()
    return viewer


async def side_by_side(desks: Sequence[Desk], runs: int) -> dict[str, dict[str, list[Viewer]]]:
    """Every page on every desk in turn: the first look reads everything, the others find it read."""
    seen: dict[str, dict[str, list[Viewer]]] = {page: {each.name: [] for each in desks} for page in standing.PAGES}
    for _ in range(runs + 1):
        for page in standing.PAGES:
            for each in desks:
                seen[page][each.name].append(await drawn(each, page))
                if len(seen[page][each.name]) == 1:
                    await quiet(each.sandbox)
    return seen


def beside(seen: Mapping[str, Mapping[str, Sequence[Viewer]]], small: str, large: str) -> None:
    print(f"\n{'ms':18}{'—— first look ——':>26}{'—— later looks, medians ——':>38}{'kB sent':>22}")
    print(
        f"{'':18}{small:>10}{large:>8}{'times':>8}{'verdict':>14}{small:>10}{large:>8}{'times':>8}{small:>12}{large:>8}{'times':>8}"
    )
    broken = []
    for page, looks in seen.items():
        first = [looks[name][0].drawn_ms[0] for name in (small, large)]
        later = [median(v.drawn_ms[0] for v in looks[name][1:]) for name in (small, large)]
        verdict = median(v.verdict_ms for v in looks[large][1:])
        sent = [median(v.heard for v in looks[name][1:]) / 1000 for name in (small, large)]
        times = [pair[1] / pair[0] for pair in (first, later, sent)]
        if times[1] > MOST_TIMES:
            broken.append(page)
        print(
            f"{page:18}{first[0]:10,.0f}{first[1]:8,.0f}{times[0]:8.2f}{verdict:14,.0f}"
            f"{later[0]:10,.0f}{later[1]:8,.0f}{times[1]:8.2f}{sent[0]:12,.0f}{sent[1]:8,.0f}{times[2]:8.2f}"
        )
    kept = len(seen) - len(broken)
    print(
        f"\n  later looks within {MOST_TIMES:g} times: {kept} of {len(seen)} pages"
        + (f"; not {', '.join(broken)}" if broken else "")
    )


async def at_once(of: Desk) -> None:
    """Twenty tabs opened in the same instant, all pages among them, three times; beside one tab alone."""
    alone = [(await drawn(of, page)).drawn_ms[0] for page in standing.PAGES]
    times: list[float] = []
    before = of.rss_mb()
    for _ in range(ROUNDS):
        viewers = await asyncio.gather(*(drawn(of, standing.PAGES[i % len(standing.PAGES)]) for i in range(AT_ONCE)))
        times += [viewer.drawn_ms[0] for viewer in viewers]
    cuts = quantiles(times, n=20)
    p50, p95 = median(times), cuts[18]
    print(
        f"\n{AT_ONCE} viewers at once on {of.name}, {ROUNDS} rounds: p50 {p50:,.0f} ms, p95 {p95:,.0f} ms, p95 ÷ p50 {p95 / p50:.2f}",
        end="",
    )
    print(f" (at most {MOST_SPREAD:g}); one alone {median(alone):,.0f} ms, p50 ÷ alone {p50 / median(alone):.1f}")
    print(f"  memory of the dashboard {before} MB before, {of.rss_mb()} MB after", flush=True)


async def soak(of: Desk, refreshes: int) -> None:
    """Five tabs of different pages that look again as often as in an hour, one look after the other."""
    tabs = [await open_viewer(of.address, page, QUERY) for page in ("", *standing.PAGES[1:SOAKING])]
    for tab in tabs:
        await tab.drawn()
    held: list[dict[str, int]] = []
    for turn in range(refreshes):
        if turn == min(WARM, refreshes // 2):
            held.append(of.holds())
        for tab in tabs:
            await tab.look()
            await tab.drawn()
    await quiet(of.sandbox)
    held.append(of.holds())
    for tab in tabs:
        await tab.close()
    print(
        f"\nSoak on {of.name}: {SOAKING} tabs × {refreshes} looks, after {min(WARM, refreshes // 2)} looks and at the end"
    )
    for name, before in held[0].items():
        print(f"  {name:22}{before:12,}{held[1][name]:12,}{held[1][name] / max(1, before):9.3f} times")


async def measure(desks: Sequence[Desk], runs: int, refreshes: int) -> None:
    beside(await side_by_side(desks, runs), desks[0].name, desks[-1].name)
    await at_once(desks[-1])
    await soak(desks[-1], refreshes)


def main() -> None:
    runs, refreshes = int(os.environ.get("RUNS") or 5), int(os.environ.get("REFRESHES") or 120)
    with ExitStack() as stack:
        desks = [desk(stack, scenario) for scenario in ("december", "season")]
        asyncio.run(measure(desks, runs, refreshes))


if __name__ == "__main__":
    main()
