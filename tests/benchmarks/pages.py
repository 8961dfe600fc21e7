"""`make bench-pages`: every page of the desk beside a blank and a plain Streamlit page, in one run, in a real Chromium.

RUNS (5) says how often, PAGES=overview,coverage which. The candidates take turns, so that a slow minute hits all of them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks import standing
from tests.benchmarks.watching import Seen, click, open_page

NIGHT = "2025-12-29"
SIZE = {"width": 1440, "height": 1000}
BLANK, PLAIN = "blank Streamlit page", "plain Streamlit page"
MOST_MB, MOST_VERDICT, MOST_CLICK_MS = 4.7, 1.1, 300


@dataclass(frozen=True)
class Candidate:
    """A page: where it is opened, and the click in the sidebar that leads to it from another page."""

    name: str
    address: str
    click_from: str
    click_to: str


@dataclass
class Measured:
    """Every measurement of one candidate by what was done: cold, second, click."""

    seen: dict[str, list[Seen]]

    def ms(self, how: str, what: str) -> float:
        return median(getattr(each, what) for each in self.seen[how])

    @property
    def mb(self) -> float:
        return median(each.wire for each in self.seen["cold"]) / 1e6

    @property
    def socket_kb(self) -> float:
        return median(each.socket for each in self.seen["cold"]) / 1e3


def desk_pages(address: str, names: Sequence[str]) -> list[Candidate]:
    made = []
    for name in names:
        path = "/" if name == "overview" else f"/{name}"
        other = "/coverage" if name == "overview" else "/"
        made.append(Candidate(name, f"{address}{path}?date={NIGHT}", f"{address}{other}?date={NIGHT}", path))
    return made


def beside(stack: ExitStack) -> list[Candidate]:
    """The two pages that everything is measured beside, each alone on its server, and both on a third for the click."""
    blank, plain, two = (stack.enter_context(standing.streamlit(f"{name}.py")) for name in ("blank", "plain", "two"))
    return [Candidate(BLANK, blank, f"{two}/other", "/"), Candidate(PLAIN, plain, f"{two}/other", "/plain")]


def measure(browser: Any, candidate: Candidate, into: Measured) -> None:
    """Cold in a fresh context, once more in a new tab of it, and by a click from another page."""
    context = browser.new_context(viewport=SIZE)
    for how in ("cold", "second"):
        page, seen = open_page(context, candidate.address)
        into.seen[how].append(seen)
        page.close()
    page, _ = open_page(context, candidate.click_from)
    into.seen["click"].append(click(page, candidate.click_to))
    context.close()


def rounds(browser: Any, candidates: Sequence[Candidate], runs: int) -> dict[str, Measured]:
    """All candidates in turn, `runs` times; before that each once, so that every server is warm."""
    found = {each.name: Measured(defaultdict(list)) for each in candidates}
    for run in range(runs + 1):
        for candidate in candidates:
            measure(browser, candidate, found[candidate.name] if run else Measured(defaultdict(list)))
    return found


def table(found: Mapping[str, Measured]) -> str:
    blank, plain = found[BLANK], found[PLAIN]
    lines = [
        f"{'ms, medians':22}{'——— cold ———':>24}{'—— second ——':>16}{'—— click ——':>16}{'cold':>8}{'socket':>8}"
        f"   {'cold verdict':>12}{'cold full':>11}{'click verdict':>16}",
        f"{'':22}{'verdict':>12}{'full':>12}{'verdict':>8}{'full':>8}{'verdict':>8}{'full':>8}{'MB':>8}{'kB':>8}"
        f"   {'÷ blank':>12}{'÷ plain':>11}{'− blank':>16}",
    ]
    for name, one in found.items():
        times = [one.ms(how, what) for how in ("cold", "second", "click") for what in ("verdict_ms", "full_ms")]
        shown = "".join(f"{ms:{12 if i < 2 else 8},.0f}" for i, ms in enumerate(times))
        verdict = times[0] / blank.ms("cold", "verdict_ms")
        full = times[1] / plain.ms("cold", "full_ms")
        later = times[4] - blank.ms("click", "verdict_ms")
        lines.append(
            f"{name:22}{shown}{one.mb:8.2f}{one.socket_kb:8.0f}   {verdict:12.2f}{full:11.2f}{later:13,.0f} ms"
        )
    return "\n".join(lines)


def promises(found: Mapping[str, Measured]) -> str:
    """How many pages keep each promise, and which do not."""
    blank, plain = found[BLANK], found[PLAIN]
    desk = {name: one for name, one in found.items() if name not in (BLANK, PLAIN)}
    first, base = blank.ms("cold", "verdict_ms"), blank.ms("click", "verdict_ms")
    kept = {
        f"verdict cold ≤ {MOST_VERDICT} × blank": lambda one: one.ms("cold", "verdict_ms") <= MOST_VERDICT * first,
        f"click's verdict ≤ blank + {MOST_CLICK_MS} ms": lambda one: (
            one.ms("click", "verdict_ms") <= base + MOST_CLICK_MS
        ),
        "full cold ahead of plain": lambda one: one.ms("cold", "full_ms") < plain.ms("cold", "full_ms"),
        "full second ahead of plain": lambda one: one.ms("second", "full_ms") < plain.ms("second", "full_ms"),
        "full click ahead of plain": lambda one: one.ms("click", "full_ms") < plain.ms("click", "full_ms"),
        f"cold ≤ {MOST_MB} MB": lambda one: one.mb <= MOST_MB,
    }
    lines = []
    for promise, holds in kept.items():
        broken = [name for name, one in desk.items() if not holds(one)]
        lines.append(
            f"  {promise:34}{len(desk) - len(broken):3} of {len(desk)} pages"
            + (f"; not {', '.join(broken)}" if broken else "")
        )
    return "\n".join(lines)


def main() -> None:
    runs = int(os.environ.get("RUNS") or 5)
    names = [name for name in (os.environ.get("PAGES") or "").split(",") if name] or standing.PAGES
    with ExitStack() as stack:
        candidates = beside(stack)
        desk = stack.enter_context(standing.run())
        candidates += desk_pages(desk, names)
        browser = stack.enter_context(standing.chromium())
        found = rounds(browser, candidates, runs)
    print(
        f"\nMedians of {runs} runs in turn, headless Chromium, {os.cpu_count()} cores, night of {NIGHT}, servers warm."
    )
    print("verdict: the first line of the answer stands; full: charts and grids too. A click is one in the sidebar.\n")
    print(table(found) + "\n\n" + promises(found) + "\n")


if __name__ == "__main__":
    main()
