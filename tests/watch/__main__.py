"""`make watching`: how soon a cause is told, and what an hour of watching asks, reads and bills, idle and busy."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.alerts.facts import Memory
from services.alerts.watchdog import look
from services.core.clock import FixedClock
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load
from services.sandbox.server import Sandbox, start_sandbox
from tests.watch.test_the_watchdog import FIFTH_REJECTION, RUN_ROWS, _Night

MIB = 2**20
CALM = datetime(2025, 12, 27, 1, 0, tzinfo=UTC)  # a healthy night, after its batch
COUNTED = ("bigquery.JobService.insertJob", "logging.entries.list", "bigquery.TableService.getTable")


def main() -> None:
    print("\nFrom the fifth rejection of 29 December to the message that tells it\n")
    for every_s in (60, 300):
        print(f"  {_until_told(every_s)}")
    print("\nAn hour of watching one night\n")
    print(f"  {'':34}{'queries':>9}{'log reads':>11}{'tables.get':>12}{'MiB billed':>12}{'s a look':>10}")
    for name, every_s, busy in (
        ("idle, every minute", 60, False),
        ("busy (rows come), every minute", 60, True),
        ("either, every 5 min, new process", 300, False),
    ):
        print(f"  {name:34}" + _hour(every_s, busy, kept=every_s == 60))
    print("\nThe quota is 60 log reads a minute in a project; a Cloud Run job is a new process at each look.\n")


def _until_told(every_s: int) -> str:
    """The night as it went, looked at in steps; the steps begin at each whole minute of the first 5 to find the slowest."""
    waits, looks = [], []
    for phase in range(0, every_s, 60):
        night = _Night()
        night.clock.advance(phase - every_s)
        while not night.messages:
            night.clock.advance(every_s)
            began = time.monotonic()
            night.look()
            looks.append(time.monotonic() - began)
        waits.append((night.clock.now() - FIFTH_REJECTION).total_seconds())
        night.sandbox.stop()
    return (
        f"looking every {every_s} s: told by the first look after it, {min(waits):.0f} to {max(waits):.0f} s later as the looks fell"
        f" ({every_s} s at worst), and a look takes {max(looks):.1f} s here"
    )


def _hour(every_s: int, busy: bool, kept: bool) -> str:
    seed = build()
    tables = {name: rows for name, rows in seed.tables.items() if "_staging_" not in name}
    clock = FixedClock(CALM)
    place = start_sandbox(
        Seed(tables, {}, seed.log_entries, seed.jobs, seed.services, seed.revisions),
        speed=Speed(scale=0.01),
        clock=clock,
    )
    env = {"SANDBOX_URL": place.address, "SLACK_WEBHOOK_URL": f"{place.address}/slack/webhook"}
    cloud = replace(connect(Settings.from_env(env)), clock=clock)
    try:
        return _looks(place, cloud, clock, every_s, busy, kept)
    finally:
        place.stop()


def _looks(place: Sandbox, cloud: Cloud, clock: FixedClock, every_s: int, busy: bool, kept: bool) -> str:
    memory, began = Memory(), time.monotonic()
    count = 3_600 // every_s
    for number in range(count):
        clock.advance(every_s)
        if busy:
            load(place.emulator.address, cloud.settings.project, Seed({RUN_ROWS: [_row(number, clock.now())]}))
        look(cloud, memory if kept else Memory(), SelfHealingConfig())
    told = place.world.meter.as_json()
    queries, reads, gets = (told["calls"].get(name, 0) for name in COUNTED)
    each = (time.monotonic() - began) / count
    return f"{queries:9,}{reads:11,}{gets:12,}{told['bytesBilled'] / MIB:12,.0f}{each:10.2f}"


def _row(number: int, now: datetime) -> dict[str, Any]:
    """A run row as workers add them while a batch is under way."""
    known = next(row for row in build().tables[RUN_ROWS] if str(row["game_date"]) == "2025-12-26")
    at = (now - timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**known, "request_id": f"watching-{number}", "created_at": at}


if __name__ == "__main__":
    main()
