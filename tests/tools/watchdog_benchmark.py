"""`make watching`: how soon an incident is notified, and what an hour of checks queries, reads and bills, idle and busy."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load_tables
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.clock import FixedClock
from tests.support.incident_replay import FIFTH_REJECTION, RUN_TABLE, IncidentReplay

MIB = 2**20
HEALTHY_NIGHT = datetime(2025, 12, 27, 1, 0, tzinfo=UTC)  # a healthy night, after its batch
COUNTED_METHODS = ("bigquery.JobService.insertJob", "logging.entries.list", "bigquery.TableService.getTable")


def main() -> None:
    print("\nFrom the fifth rejection of 29 December to its notification\n")
    for every_s in (60, 300):
        print(f"  {_measure_detection(every_s)}")
    print("\nAn hour of watching one night\n")
    print(f"  {'':34}{'queries':>9}{'log reads':>11}{'tables.get':>12}{'MiB billed':>12}{'s a check':>10}")
    for name, every_s, busy in (
        ("idle, every minute", 60, False),
        ("busy (rows come), every minute", 60, True),
        ("either, every 5 min, new process", 300, False),
    ):
        print(f"  {name:34}" + _measure_hour(every_s, busy, keep_cache=every_s == 60))
    print("\nThe quota is 60 log reads a minute in a project; a Cloud Run job is a new process at each check.\n")


def _measure_detection(every_s: int) -> str:
    """The incident checked every `every_s` seconds, once for each minute at which the first check can fall."""
    detection_delays, check_durations = [], []
    for phase in range(0, every_s, 60):
        night = IncidentReplay()
        night.clock.advance(phase - every_s)
        while not night.messages:
            night.clock.advance(every_s)
            started = time.monotonic()
            night.run_check()
            check_durations.append(time.monotonic() - started)
        detection_delays.append((night.clock.now() - FIFTH_REJECTION).total_seconds())
        night.sandbox.stop()
    return (
        f"a check every {every_s} s: notified by the first check after it, {min(detection_delays):.0f} to "
        f"{max(detection_delays):.0f} s later ({every_s} s at worst), and a check takes {max(check_durations):.1f} s here"
    )


def _measure_hour(every_s: int, busy: bool, keep_cache: bool) -> str:
    seed = build_seed()
    tables = {name: rows for name, rows in seed.tables.items() if "_staging_" not in name}
    clock = FixedClock(HEALTHY_NIGHT)
    sandbox = start_sandbox(
        Seed(tables, {}, seed.log_entries, seed.jobs, seed.services, seed.revisions),
        latency=JobLatency(scale=0.01),
        clock=clock,
    )
    env = {"SANDBOX_URL": sandbox.url, "SLACK_WEBHOOK_URL": f"{sandbox.url}/slack/webhook"}
    clients = replace(connect(Settings.from_env(env)), clock=clock)
    try:
        return _run_checks(sandbox, clients, clock, every_s, busy, keep_cache)
    finally:
        sandbox.stop()


def _run_checks(
    sandbox: Sandbox, clients: Clients, clock: FixedClock, every_s: int, busy: bool, keep_cache: bool
) -> str:
    memory, started = CheckCache(), time.monotonic()
    count = 3_600 // every_s
    for number in range(count):
        clock.advance(every_s)
        if busy:
            load_tables(
                sandbox.emulator, clients.settings.project, Seed({RUN_TABLE: [_make_run_row(number, clock.now())]})
            )
        run_check(clients, memory if keep_cache else CheckCache(), SelfHealingConfig())
    meter: Any = sandbox.state.meter.to_json()
    queries, reads, gets = (meter["calls"].get(name, 0) for name in COUNTED_METHODS)
    seconds_per_check = (time.monotonic() - started) / count
    return f"{queries:9,}{reads:11,}{gets:12,}{meter['bytesBilled'] / MIB:12,.0f}{seconds_per_check:10.2f}"


def _make_run_row(number: int, now: datetime) -> dict[str, Any]:
    """A run row as workers add them while a batch is under way."""
    template_row = next(row for row in build_seed().tables[RUN_TABLE] if str(row["game_date"]) == "2025-12-26")
    created_at = (now - timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**template_row, "request_id": f"watching-{number}", "created_at": created_at}


if __name__ == "__main__":
    main()
