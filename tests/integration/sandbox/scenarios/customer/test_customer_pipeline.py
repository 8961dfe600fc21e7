"""The customer's writer and consolidator behave against the sandbox as they did in history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from google.cloud import bigquery

from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.customer.nights import CustomerNight, Run, build_nights
from services.sandbox.scenarios.customer.seed import SETTINGS
from services.sandbox.scenarios.customer.table_rows import staged_rows
from services.sandbox.scenarios.customer.tables import table_resources
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, start_sandbox
from services.staging.inventory import read_inventory
from tests.support.customer_pipeline import (
    MergeKey,
    consolidate,
    deactivate_older,
    find_staging_tables,
    load_for_merge,
    merge_directly,
    write_to_staging,
)
from tests.support.sandbox import statements_held

QUICK = JobLatency(scale=0.001)
NIGHT: CustomerNight = next(night for night in build_nights() if str(night.slate.game_date) == "2025-12-30")
ONE_LINE, FIVE_LINES = NIGHT.runs
Rows = Sequence[dict[str, Any]]


@pytest.fixture(scope="module")
def customer_cloud() -> Iterator[Sandbox]:
    """Their tables, empty."""
    sandbox = start_sandbox(Seed(table_resources=table_resources(), location="us-west2"), latency=QUICK)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def clients(customer_cloud: Sandbox) -> Iterator[Clients]:
    clients = connect(Settings.from_env({**SETTINGS, "SANDBOX_URL": customer_cloud.url}))
    yield clients
    clients.bigquery.query(f"DELETE FROM {PREDICTIONS_TABLE} WHERE TRUE").result()
    for table in clients.bigquery.list_tables("nba_predictions"):
        if table.table_id.startswith("_staging_"):
            clients.bigquery.delete_table(table)


@pytest.fixture
def client(clients: Clients) -> bigquery.Client:
    return clients.bigquery


def rows_of(run: Run, index: int) -> list[dict[str, Any]]:
    return staged_rows(NIGHT.slate, run, run.players[index])


def stage(client: bigquery.Client, run: Run, players: int) -> None:
    """Stage the first players of a run, as many workers did at once."""
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda i: write_to_staging(client, rows_of(run, i), run.batch_id, f"w_{i:08x}"), range(players))
        )
    assert [result.error for result in results] == [""] * players


def count(client: bigquery.Client, condition: str = "TRUE") -> int:
    return int(next(iter(client.query(f"SELECT COUNT(*) AS n FROM {PREDICTIONS_TABLE} WHERE {condition}").result())).n)


def test_28_players_with_one_line_collapse_from_700_staged_rows_to_140(client):
    stage(client, ONE_LINE, 28)
    staged = [
        client.get_table(f"nba_predictions.{name}").num_rows for name in find_staging_tables(client, ONE_LINE.batch_id)
    ]
    assert (len(staged), sum(staged)) == (28, 700)
    result = consolidate(client, ONE_LINE.batch_id)
    assert (result.error, result.rows_affected, result.merged_tables, result.dropped_tables) == ("", 140, 28, 28)
    assert count(client) == 140
    assert find_staging_tables(client, ONE_LINE.batch_id) == []


def test_a_second_batch_updates_the_keys_that_are_there_and_keeps_their_creation_time(client):
    stage(client, ONE_LINE, 3)
    consolidate(client, ONE_LINE.batch_id)
    stage(client, FIVE_LINES, 3)
    assert consolidate(client, FIVE_LINES.batch_id).rows_affected == 75
    assert count(client) == 75
    assert count(client, "updated_at IS NOT NULL") == 15
    assert count(client, "updated_at IS NOT NULL AND created_at < '2025-12-30 06:00:00'") == 15


def test_rows_without_a_line_are_inserted_again_by_every_run(client):
    for batch_id in ("batch_2025-12-30_1", "batch_2025-12-30_2"):
        rows = [
            {**row, "prediction_id": f"{batch_id}/{i}", "current_points_line": None, "line_margin": None}
            for i, row in enumerate(rows_of(ONE_LINE, 0))
        ]
        write_to_staging(client, rows, batch_id, "w_00000000")
        assert consolidate(client, batch_id).rows_affected == 5
    assert count(client) == 10
    assert deactivate_older(client, "2025-12-30") == 5
    assert count(client, "is_active") == 5


def test_a_float64_key_is_refused_and_leaves_the_tables(client):
    stage(client, FIVE_LINES, 2)
    result = consolidate(client, FIVE_LINES.batch_id, MergeKey.FLOAT)
    assert "400 Partitioning by expressions of type FLOAT64 is not allowed" in result.error
    assert len(find_staging_tables(client, FIVE_LINES.batch_id)) == 2
    assert count(client) == 0


def test_an_integer_key_takes_two_lines_half_a_point_apart_for_one(client):
    rows = [
        {**row, "current_points_line": line} for row, line in zip(rows_of(FIVE_LINES, 0)[:2], (20.5, 21.0), strict=True)
    ]
    write_to_staging(client, rows, "batch_2025-12-30_3", "w_00000000")
    assert consolidate(client, "batch_2025-12-30_3", MergeKey.INTEGER).rows_affected == 1


def test_a_table_that_comes_after_the_merge_is_dropped_with_its_rows_unmerged(client):
    stage(client, FIVE_LINES, 2)
    late = rows_of(FIVE_LINES, 2)
    result = consolidate(
        client,
        FIVE_LINES.batch_id,
        before_cleanup=lambda: write_to_staging(client, late, FIVE_LINES.batch_id, "w_1a7e1a7e"),
    )
    assert (result.merged_tables, result.dropped_tables) == (2, 3)
    assert count(client, f"player_lookup = '{late[0]['player_lookup']}'") == 0
    assert find_staging_tables(client, FIVE_LINES.batch_id) == []


def test_a_batch_takes_the_tables_of_another_whose_id_begins_with_its_own(client):
    write_to_staging(client, rows_of(FIVE_LINES, 0), "20251230_231502_481920", "w_00000000")
    result = consolidate(client, "20251230_231502")
    assert (result.rows_affected, result.dropped_tables) == (25, 1)


def test_a_second_direct_write_of_a_player_is_refused_because_his_rows_match_by_player_and_date(client):
    rows = rows_of(FIVE_LINES, 0)
    first = merge_directly(client, load_for_merge(client, rows, 1))
    assert (first.rows, first.error) == (25, "")
    assert "must match at most one source row" in merge_directly(client, load_for_merge(client, rows, 2)).error
    assert count(client) == 25


def test_of_34_direct_writes_at_once_22_are_taken_and_12_refused_in_their_words(client, customer_cloud):
    """2 run, 20 wait; the others are refused as long as the first two take."""
    player = rows_of(FIVE_LINES, 0)[:1]
    messages = [[{**row, "player_lookup": f"player{i}"} for row in player] for i in range(34)]
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda item: load_for_merge(client, item[1], item[0]), enumerate(messages)))
    with ThreadPoolExecutor(34) as pool, statements_held(customer_cloud, until_refused=12):
        answers = [pool.submit(merge_directly, client, result) for result in loaded]
    refused = [answer.result().error for answer in answers if answer.result().error]
    assert len(refused) == 12
    words = "400 Resources exceeded during query execution: Too many DML statements outstanding against table"
    assert all(f"{words} nba-props-platform:nba_predictions." in error for error in refused)
    assert count(client) == 22
    assert find_staging_tables(client, "predictions") == []  # they go even when the write was lost


def test_their_staging_tables_come_and_go_in_our_inventory(clients):
    stage(clients.bigquery, FIVE_LINES, 2)
    inventory = read_inventory(clients)
    assert {table.rows for table in inventory.tables} == {25}
    assert len(inventory.tables) == 2
    consolidate(clients.bigquery, FIVE_LINES.batch_id)
    assert read_inventory(connect(clients.settings)).tables == ()
