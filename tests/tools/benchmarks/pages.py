"""`make bench-pages`: every page of the dashboard beside a blank and two plain Streamlit pages, in one run, in a real Chromium.

The second plain page has its scripts compressed as ours are: what is left between it and ours is not the compression's.

RUNS (5) says how often, PAGES=overview,coverage which, LATENCY (0) how many ms each call of an API is delayed by. The candidates
take turns, so that a slow minute hits all of them. At the end the overview turns to nights that were not opened yet.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

from tests.tools.benchmarks import harness
from tests.tools.benchmarks.page_timer import PageTiming, click, open_page, turn_to_night_before

NIGHT = "2025-12-29"
LAST_UNOPENED_NIGHT = date(2025, 12, 28)
VIEWPORT = {"width": 1440, "height": 1000}
BLANK_PAGE, PLAIN_PAGE, COMPRESSED_PAGE = "blank Streamlit page", "plain Streamlit page", "plain, compressed"
MAX_MB, MAX_VERDICT_RATIO, MAX_CLICK_OVERHEAD_MS = 4.7, 1.1, 300


@dataclass(frozen=True)
class Candidate:
    """A page: where it is opened, the click that leads to it from another page, and how the stop-watch knows that it stands."""

    name: str
    address: str
    click_from: str
    click_to: str
    site_script: str = ""


@dataclass
class PageMeasurements:
    """Every measurement of one candidate by what was done: cold, second, click."""

    timings: dict[str, list[PageTiming]]

    def median_ms(self, visit: str, metric: str) -> float:
        return median(getattr(timing, metric) for timing in self.timings[visit])

    @property
    def wire_mb(self) -> float:
        return median(timing.wire for timing in self.timings["cold"]) / 1e6

    @property
    def socket_kb(self) -> float:
        return median(timing.socket for timing in self.timings["cold"]) / 1e3


def dashboard_candidates(address: str, names: Sequence[str]) -> list[Candidate]:
    candidates = []
    for name in names:
        path = "/" if name == "overview" else f"/{name}"
        click_source = "/coverage" if name == "overview" else "/"
        candidates.append(
            Candidate(name, f"{address}{path}?date={NIGHT}", f"{address}{click_source}?date={NIGHT}", path)
        )
    return candidates


def baseline_candidates(stack: ExitStack) -> list[Candidate]:
    """The pages that everything is measured beside, each alone on its server, and both on another for the click."""
    blank_url, plain_url, multipage_url = (
        stack.enter_context(harness.start_streamlit(f"{name}.py")) for name in ("blank", "plain", "two")
    )
    compressed_url, compressed_multipage_url = (
        stack.enter_context(harness.start_streamlit(f"{name}.py", compressed=True)) for name in ("plain", "two")
    )
    return [
        Candidate(BLANK_PAGE, blank_url, f"{multipage_url}/other", "/"),
        Candidate(PLAIN_PAGE, plain_url, f"{multipage_url}/other", "/plain"),
        Candidate(COMPRESSED_PAGE, compressed_url, f"{compressed_multipage_url}/other", "/plain"),
    ]


def measure(browser: Any, candidate: Candidate, measurements: PageMeasurements) -> None:
    """Cold in a fresh context, once more in a new tab of it, and by a click from another page."""
    context = browser.new_context(viewport=VIEWPORT)
    context.add_init_script(candidate.site_script)
    for visit in ("cold", "second"):
        page, timing = open_page(context, candidate.address)
        measurements.timings[visit].append(timing)
        page.close()
    page, _ = open_page(context, candidate.click_from)
    measurements.timings["click"].append(click(page, candidate.click_to))
    context.close()


def run_rounds(browser: Any, candidates: Sequence[Candidate], runs: int) -> dict[str, PageMeasurements]:
    """All candidates in turn, `runs` times; before that each once, so that every server is warm."""
    measurements = {entry.name: PageMeasurements(defaultdict(list)) for entry in candidates}
    for run in range(runs + 1):
        for candidate in candidates:
            measure(browser, candidate, measurements[candidate.name] if run else PageMeasurements(defaultdict(list)))
    return measurements


def turn_to_other_nights(browser: Any, address: str, runs: int) -> list[PageTiming]:
    """The chevron of the overview, `runs` times, each to a night that nobody has opened yet."""
    context = browser.new_context(viewport=VIEWPORT)
    page, _ = open_page(context, f"{address}/?date={LAST_UNOPENED_NIGHT + timedelta(days=1)}")
    timings = [turn_to_night_before(page) for _ in range(runs)]
    context.close()
    return timings


def format_table(measurements: Mapping[str, PageMeasurements]) -> str:
    blank, plain = measurements[BLANK_PAGE], measurements[PLAIN_PAGE]
    lines = [
        f"{'ms, medians':22}{'——— cold ———':>24}{'—— second ——':>16}{'—— click ——':>16}{'cold':>8}{'socket':>8}"
        f"   {'cold verdict':>12}{'cold full':>11}{'click verdict':>16}",
        f"{'':22}{'verdict':>12}{'full':>12}{'verdict':>8}{'full':>8}{'verdict':>8}{'full':>8}{'MB':>8}{'kB':>8}"
        f"   {'÷ blank':>12}{'÷ plain':>11}{'− blank':>16}",
    ]
    for name, measured in measurements.items():
        times = [
            measured.median_ms(visit, metric)
            for visit in ("cold", "second", "click")
            for metric in ("verdict_ms", "full_ms")
        ]
        columns = "".join(f"{ms:{12 if i < 2 else 8},.0f}" for i, ms in enumerate(times))
        verdict_ratio = times[0] / blank.median_ms("cold", "verdict_ms")
        full_ratio = times[1] / plain.median_ms("cold", "full_ms")
        click_overhead_ms = times[4] - blank.median_ms("click", "verdict_ms")
        lines.append(
            f"{name:22}{columns}{measured.wire_mb:8.2f}{measured.socket_kb:8.0f}   "
            f"{verdict_ratio:12.2f}{full_ratio:11.2f}{click_overhead_ms:13,.0f} ms"
        )
    return "\n".join(lines)


def format_promises(measurements: Mapping[str, PageMeasurements]) -> str:
    """How many pages keep each promise, and which do not."""
    blank, plain = measurements[BLANK_PAGE], measurements[PLAIN_PAGE]
    dashboard_pages = {
        name: measured
        for name, measured in measurements.items()
        if name not in (BLANK_PAGE, PLAIN_PAGE, COMPRESSED_PAGE)
    }
    first, base = blank.median_ms("cold", "verdict_ms"), blank.median_ms("click", "verdict_ms")
    promise_checks = {
        f"verdict cold ≤ {MAX_VERDICT_RATIO} × blank": lambda measured: (
            measured.median_ms("cold", "verdict_ms") <= MAX_VERDICT_RATIO * first
        ),
        f"click's verdict ≤ blank + {MAX_CLICK_OVERHEAD_MS} ms": lambda measured: (
            measured.median_ms("click", "verdict_ms") <= base + MAX_CLICK_OVERHEAD_MS
        ),
        "full cold ahead of plain": lambda measured: (
            measured.median_ms("cold", "full_ms") < plain.median_ms("cold", "full_ms")
        ),
        "full second ahead of plain": lambda measured: (
            measured.median_ms("second", "full_ms") < plain.median_ms("second", "full_ms")
        ),
        "full click ahead of plain": lambda measured: (
            measured.median_ms("click", "full_ms") < plain.median_ms("click", "full_ms")
        ),
        f"cold ≤ {MAX_MB} MB": lambda measured: measured.wire_mb <= MAX_MB,
    }
    lines = []
    for promise, holds in promise_checks.items():
        broken_pages = [name for name, measured in dashboard_pages.items() if not holds(measured)]
        lines.append(
            f"  {promise:34}{len(dashboard_pages) - len(broken_pages):3} of {len(dashboard_pages)} pages"
            + (f"; not {', '.join(broken_pages)}" if broken_pages else "")
        )
    return "\n".join(lines)


def main() -> None:
    runs, latency_ms = int(os.environ.get("RUNS") or 5), int(os.environ.get("LATENCY") or 0)
    names = [name for name in (os.environ.get("PAGES") or "").split(",") if name] or harness.PAGES
    with ExitStack() as stack:
        candidates = baseline_candidates(stack)
        dashboard_url = stack.enter_context(harness.start_stack(latency_ms))
        candidates += dashboard_candidates(dashboard_url, names)
        browser = stack.enter_context(harness.launch_chromium())
        measurements = run_rounds(browser, candidates, runs)
        turns = turn_to_other_nights(browser, dashboard_url, runs)
    print(
        f"\nMedians of {runs} runs in turn, headless Chromium, {os.cpu_count()} cores, night of {NIGHT}, servers warm;"
        f" API calls delayed by {latency_ms} ms."
    )
    print("verdict: the first line of the answer stands; full: charts and grids too. A click is one in the sidebar.\n")
    print(format_table(measurements) + "\n\n" + format_promises(measurements) + "\n")
    verdict_ms, full_ms = median(t.verdict_ms for t in turns), median(t.full_ms for t in turns)
    print(f"  a night that was not opened yet, by the chevron: verdict {verdict_ms:,.0f} ms, full {full_ms:,.0f} ms\n")


if __name__ == "__main__":
    main()
