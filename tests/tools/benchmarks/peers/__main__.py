"""`make bench-peers`: our pages beside Dagster, Prefect and Airflow, each with 170 nights of which 10 failed, in one run.

RUNS (5) says how often, PEERS=Dagster,Airflow which. Each peer has its nights executed by itself, serves them on this machine, and is
measured on the page that lists them; all take turns in one Chromium. PEERS_DIR keeps the installations.
"""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.tools.benchmarks import harness
from tests.tools.benchmarks.pages import Candidate, PageMeasurements, dashboard_candidates, measure, run_rounds
from tests.tools.benchmarks.peers.catalog import PEERS
from tests.tools.benchmarks.peers.comparison import format_ratios, format_times
from tests.tools.benchmarks.peers.environment import PeerUnavailable
from tests.tools.benchmarks.peers.servers import NIGHTS, start_peer
from tests.tools.benchmarks.peers.stopwatch import QUIET_SCRIPT

PAGES = ("overview", "coverage", "runs", "staging_tables")
MAX_LOAD = 2.0


def start_peers(stack: ExitStack, browser: Any, names: set[str]) -> tuple[list[Candidate], dict[str, str]]:
    """The page of each peer that can be measured, and the reason for each that cannot."""
    candidates, skipped = [], {}
    for peer in PEERS:
        if names and peer.name not in names:
            skipped[peer.name] = "PEERS does not name it"
            continue
        try:
            candidate = peer.candidate(start_peer(stack, peer))
            check_page(browser, candidate)
            candidates.append(candidate)
        except PeerUnavailable as problem:
            skipped[peer.name] = str(problem)
            print(f"{peer.name} is skipped: {problem}", flush=True)
    return candidates, skipped


def check_page(browser: Any, candidate: Candidate) -> None:
    """Measure the page once; raises PeerUnavailable when it never shows its nights or never comes to rest."""
    from playwright.sync_api import Error

    try:
        measure(browser, candidate, PageMeasurements(defaultdict(list)))
    except (RuntimeError, Error) as error:
        raise PeerUnavailable(f"not measured: {str(error).splitlines()[0]}") from None


def describe_run(runs: int, load: float) -> str:
    """What the figures below are, and on what machine."""
    return (
        f"\nMedians of {runs} runs in turn, headless Chromium, {platform.machine()}, {os.cpu_count()} cores,"
        f" {datetime.now().astimezone():%-d %B %Y}, load {load:.1f} before"
        + (f" (above {MAX_LOAD:g}: other work disturbs these times)" if load > MAX_LOAD else "")
        + f". {NIGHTS} nights each, servers warm.\n"
        "answer: the headline, or the peer's first nights, is visible; full: after it, the first of 400 ms in which no request is under way"
        " and\nneither document nor layout changes, on every page alike. click: from another page of the same product.\n"
    )


def main() -> None:
    runs, names = int(os.environ.get("RUNS") or 5), set(filter(None, (os.environ.get("PEERS") or "").split(",")))
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        browser = stack.enter_context(harness.launch_chromium())
        peers, skipped = start_peers(stack, browser, names)
        address = stack.enter_context(harness.start_stack(SCENARIO="season"))
        ours = [replace(entry, site_script=QUIET_SCRIPT) for entry in dashboard_candidates(address, PAGES)]
        measurements = run_rounds(browser, [*peers, *ours], runs)
    print(describe_run(runs, load))
    print(format_times(measurements) + "\n")
    print(format_ratios(measurements, [peer.name for peer in peers], skipped) + "\n")


if __name__ == "__main__":
    main()
