"""What staging tables hold is read free of charge, once while nothing changes, and never guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from services.batches import staged_rows as staging_contents
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.gcp.read_cache import Kept
from services.nights.player_stages import read_night
from services.sandbox.scenarios.build import build
from services.sandbox.server import Sandbox, start_sandbox
from services.staging.inventory import TableClass, read_inventory
from tests.conftest import FAST

WAITING_NIGHT = date(2025, 12, 25)


@pytest.fixture(autouse=True)
def forgotten():
    staging_contents._known.clear()


@pytest.fixture(scope="module")
def changing() -> Iterator[Cloud]:
    """A sandbox of this file's own: what its tests change does not meet."""
    sandbox = start_sandbox(build(), speed=FAST)
    yield connect(Settings.from_env({"SANDBOX_URL": sandbox.address}))
    sandbox.stop()


def asked(sandbox: Sandbox, *methods: str) -> int:
    return sum(sandbox.world.meter.calls[f"bigquery.{method}"] for method in methods)


def unmerged(inventory) -> int:
    return sum(table.unmerged_rows for table in inventory.tables)


def test_what_old_tables_hold_and_what_of_it_is_safe_costs_nothing(sandbox, cloud):
    before = sandbox.world.meter.queries, sandbox.world.meter.bytes_billed
    inventory = read_inventory(cloud)
    assert (len(inventory.tables), unmerged(inventory)) == (15, 9 * 25)
    assert (sandbox.world.meter.queries, sandbox.world.meter.bytes_billed) == before


def test_a_second_look_reads_no_table_again(sandbox, cloud):
    cloud = replace(cloud, kept=Kept())
    first = read_inventory(cloud)
    before = asked(sandbox, "TableDataService.list"), asked(sandbox, "TableService.getTable")
    assert read_inventory(cloud).tables == first.tables
    again = asked(sandbox, "TableDataService.list"), asked(sandbox, "TableService.getTable")
    assert (again[0] - before[0], again[1] - before[1]) == (0, 0), "and the predictions table was looked at just now"


def test_rows_that_arrive_in_the_predictions_are_seen_at_the_next_look(changing):
    before = unmerged(read_inventory(changing))
    table = next(t.table for t in read_inventory(changing).tables if t.unmerged_rows)
    changing.bigquery.query(f"INSERT INTO nba_predictions.player_prop_predictions SELECT * FROM {table}").result()
    assert unmerged(read_inventory(changing)) == before - 25


def test_rows_that_leave_the_predictions_are_no_longer_called_merged(changing):
    day = date(2025, 12, 23)
    assert {t.unmerged_rows for t in read_inventory(changing).tables if t.game_date == day} == {0}
    changing.bigquery.query(
        f"DELETE FROM nba_predictions.player_prop_predictions WHERE game_date = DATE '{day}'"
    ).result()
    left = [t for t in read_inventory(changing).tables if t.game_date == day]
    assert {t.unmerged_rows for t in left} == {25}
    assert TableClass.MERGED not in {t.table_class for t in left}


def test_a_dropped_table_is_forgotten(changing):
    name = read_inventory(changing).tables[0].table
    changing.bigquery.delete_table(name)
    assert name not in {t.table for t in read_inventory(changing).tables}
    assert name.rpartition(".")[2] not in staging_contents._known[changing.settings].contents


def test_what_one_look_could_not_read_is_unknown_and_said_so(cloud, monkeypatch):
    monkeypatch.setattr(staging_contents, "LOOK_S", -1.0)
    monkeypatch.setattr(staging_contents, "_go_on", lambda *_: None)
    inventory = read_inventory(cloud)
    assert {(batch.rows, batch.size_bytes, batch.unmerged_rows) for batch in inventory.batches} == {(None, None, None)}
    assert {table.table_class for table in inventory.tables} == {TableClass.UNKNOWN}
    assert "15 of 15 staging tables are not read yet" in inventory.problems[0].sentence
    night = read_night(cloud, WAITING_NIGHT)
    assert {player.staged_rows for player in night.players if player.eligible} == {None}
    monkeypatch.undo()
    assert read_inventory(cloud).problems == ()


def test_the_night_finds_its_staged_rows_by_player(cloud):
    night = read_night(cloud, WAITING_NIGHT)
    assert [player.staged_rows for player in night.players if player.staging_table] == [25] * 9


def test_a_table_without_a_key_column_is_unknown_and_spoils_no_other(changing):
    before = unmerged(read_inventory(changing))
    name = "nba_predictions._staging_batch_2025_12_25_99_worker_x"
    changing.bigquery.query(f"CREATE TABLE {name} AS SELECT 'who' AS player_lookup").result()
    found = {t.table: t for t in read_inventory(changing).tables}
    assert found[name].table_class is TableClass.UNKNOWN
    assert sum(t.unmerged_rows or 0 for t in found.values()) == before
    changing.bigquery.delete_table(name)


def test_what_a_look_had_no_time_for_is_read_behind_it(cloud, monkeypatch):
    monkeypatch.setattr(staging_contents, "LOOK_S", -1.0)
    read_inventory(cloud)
    known = staging_contents._known[cloud.settings]
    until = time.monotonic() + 60
    while known.going_on and time.monotonic() < until:
        time.sleep(0.02)
    assert len(known.contents) == 15
    assert read_inventory(cloud).problems == ()
