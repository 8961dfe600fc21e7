"""What staging tables hold is read free of charge, once while nothing changes, and never guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from services.batches import staged_rows
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import table_listing
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache
from services.nights.player_stages import read_night
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import Sandbox, start_sandbox
from services.staging.inventory import StagingTableState, read_inventory
from tests.support.sandbox import FAST, settings_as

LEFTOVER_NIGHT = date(2025, 12, 25)


@pytest.fixture(scope="module")
def mutable_clients() -> Iterator[Clients]:
    """A sandbox of this file's own: what its tests change does not meet."""
    sandbox = start_sandbox(build_seed(), latency=FAST)
    yield connect(settings_as(sandbox, "act"))
    sandbox.stop()


def count_calls(sandbox: Sandbox, *methods: str) -> int:
    return sum(sandbox.state.meter.calls[f"bigquery.{method}"] for method in methods)


def count_unmerged(inventory) -> int:
    return sum(table.unmerged_rows for table in inventory.tables)


def test_reading_the_contents_of_old_tables_is_free(sandbox, clients):
    before = sandbox.state.meter.queries, sandbox.state.meter.bytes_billed
    inventory = read_inventory(clients)
    assert (len(inventory.tables), count_unmerged(inventory)) == (15, 9 * 25)
    assert (sandbox.state.meter.queries, sandbox.state.meter.bytes_billed) == before


def test_a_second_read_fetches_no_table_again(sandbox, clients):
    clients = replace(clients, cache=ReadCache(lambda: 0.0))  # on a slow machine the first read takes longer than 3 s
    first = read_inventory(clients)
    calls_before = count_calls(sandbox, "TableDataService.list"), count_calls(sandbox, "TableService.getTable")
    assert read_inventory(clients).tables == first.tables
    calls_after = count_calls(sandbox, "TableDataService.list"), count_calls(sandbox, "TableService.getTable")
    assert (calls_after[0] - calls_before[0], calls_after[1] - calls_before[1]) == (0, 0), (
        "and the predictions table was looked at just now"
    )


def test_newly_merged_rows_are_seen_at_the_next_read(mutable_clients):
    before = count_unmerged(read_inventory(mutable_clients))
    table = next(t.table for t in read_inventory(mutable_clients).tables if t.unmerged_rows)
    mutable_clients.bigquery.query(f"INSERT INTO {PREDICTIONS_TABLE} SELECT * FROM {table}").result()
    assert count_unmerged(read_inventory(mutable_clients)) == before - 25


def test_rows_deleted_from_the_predictions_are_no_longer_merged(mutable_clients):
    day = date(2025, 12, 23)
    assert {t.unmerged_rows for t in read_inventory(mutable_clients).tables if t.game_date == day} == {0}
    mutable_clients.bigquery.query(f"DELETE FROM {PREDICTIONS_TABLE} WHERE game_date = DATE '{day}'").result()
    tables = [t for t in read_inventory(mutable_clients).tables if t.game_date == day]
    assert {t.unmerged_rows for t in tables} == {25}
    assert StagingTableState.MERGED not in {t.state for t in tables}


def test_a_dropped_table_is_evicted(mutable_clients):
    name = read_inventory(mutable_clients).tables[0].table
    mutable_clients.bigquery.delete_table(name)
    assert name not in {t.table for t in read_inventory(mutable_clients).tables}
    assert name.rpartition(".")[2] not in mutable_clients.cache.tables.table_names()


def test_tables_not_read_in_time_are_unknown_and_reported(clients, monkeypatch):
    monkeypatch.setattr(staged_rows, "READ_BUDGET_S", -1.0)
    monkeypatch.setattr(staged_rows, "_continue_in_background", lambda *_: None)
    inventory = read_inventory(clients)
    assert {(batch.rows, batch.size_bytes, batch.unmerged_rows) for batch in inventory.batches} == {(None, None, None)}
    assert {table.state for table in inventory.tables} == {StagingTableState.UNKNOWN}
    assert "15 of 15 staging tables are not read yet" in inventory.problems[0].message
    night = read_night(clients, LEFTOVER_NIGHT)
    assert {player.staged_rows for player in night.players if player.eligible} == {None}
    monkeypatch.undo()
    assert read_inventory(clients).problems == ()


def test_the_night_has_its_staged_rows_by_player(clients):
    night = read_night(clients, LEFTOVER_NIGHT)
    assert [player.staged_rows for player in night.players if player.staging_table] == [25] * 9


def test_a_table_without_a_key_column_is_unknown_and_affects_no_other(mutable_clients):
    before = count_unmerged(read_inventory(mutable_clients))
    name = "nba_predictions._staging_batch_2025_12_25_99_worker_x"
    mutable_clients.bigquery.query(f"CREATE TABLE {name} AS SELECT 'who' AS player_lookup").result()
    table_by_name = {t.table: t for t in read_inventory(mutable_clients).tables}
    assert table_by_name[name].state is StagingTableState.UNKNOWN
    assert sum(t.unmerged_rows or 0 for t in table_by_name.values()) == before
    mutable_clients.bigquery.delete_table(name)


def test_reading_continues_in_the_background_after_the_time_budget(clients, monkeypatch):
    monkeypatch.setattr(staged_rows, "READ_BUDGET_S", -1.0)
    read_inventory(clients)
    table_cache = clients.cache.tables
    deadline = time.monotonic() + 60
    while table_cache.background_threads and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(table_cache.table_names()) == 15
    assert read_inventory(clients).problems == ()


def test_a_plan_repeats_every_query_but_reads_no_old_staging_table_again(clients, monkeypatch):
    caching_clients = replace(clients, cache=ReadCache())
    first = read_inventory(caching_clients)
    fetched_names, listed_tables = [], []
    monkeypatch.setattr(staged_rows, "_fetch", lambda _clients, name, _cached: fetched_names.append(name))
    list_matching_rows = table_listing.list_matching_rows

    def recorded_listing(*args):
        listed_tables.append(args[1])
        return list_matching_rows(*args)

    monkeypatch.setattr(table_listing, "list_matching_rows", recorded_listing)
    plan_clients = replace(clients, cache=caching_clients.cache.without_answers())
    assert read_inventory(plan_clients).tables == first.tables
    assert fetched_names == []
    assert listed_tables, "the predictions are read anew"
