"""What the watchdog's own questions answer of the seeded fortnight."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from services.core.clock import FixedClock
from services.gcp import query_catalog as catalog
from services.telemetry.scheduler import read_schedule


def test_watch_slate_tells_the_first_tip_off_and_the_names_that_do_not_resolve(cloud):
    rows = catalog.run(cloud, "watch.slate", first_date=date(2025, 12, 24), last_date=date(2025, 12, 29)).rows
    told = {row["game_date"]: row for row in rows}
    assert date(2025, 12, 24) not in told
    names = told[date(2025, 12, 29)]
    assert (names["lined"], names["unresolved"], names["through_alias"]) == (176, 8, 7)
    assert told[date(2025, 12, 28)]["unresolved"] == 0
    assert told[date(2025, 12, 29)]["tip_off"] == datetime(2025, 12, 30, 0, 0, tzinfo=UTC)


def test_watch_duplicates_counts_keys_with_two_active_rows(fresh_cloud):
    def keys():
        return catalog.run(fresh_cloud, "watch.duplicates", game_date=date(2025, 12, 26)).rows[0]["duplicate_keys"]

    assert keys() == 0
    table = "nba_predictions.player_prop_predictions"
    fresh_cloud.bigquery.query(
        f"INSERT INTO {table} SELECT * FROM {table} WHERE game_date = '2025-12-26' AND is_active LIMIT 3"
    ).result()
    assert keys() == 3


def test_the_schedule_tells_when_each_run_is_next_and_what_is_missing(cloud, sandbox):
    schedule = read_schedule(cloud)
    assert schedule.troubles == ()
    assert schedule.jobs[0].next_at > cloud.now()
    following = next(job for job in schedule.jobs if job.name == "same-day-predictions")
    assert following.next_at == datetime(2025, 12, 30, 16, 30, tzinfo=UTC)
    late = replace(cloud, clock=FixedClock(following.next_at + timedelta(minutes=11)))
    assert "same-day-predictions was due at 11:30 ET and has not been tried" in read_schedule(late).troubles
    kept = list(sandbox.world.jobs)
    try:
        sandbox.world.jobs[:] = [job for job in kept if job["name"] != "same-day-predictions"]
        assert read_schedule(cloud).troubles == ("same-day-predictions is not in Cloud Scheduler",)
        sandbox.world.jobs[:] = [{**job, "state": "PAUSED"} for job in kept]
        assert "tomorrow-predictions is paused" in read_schedule(cloud).troubles
    finally:
        sandbox.world.jobs[:] = kept
