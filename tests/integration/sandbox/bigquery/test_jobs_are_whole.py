"""A job is applied whole or not at all, however slow the emulator is and whoever goes away meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import httpx
import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.server import Sandbox

DATASET = "whole"
SCHEMA = [bigquery.SchemaField("player_lookup", "STRING", "REQUIRED"), bigquery.SchemaField("line", "FLOAT")]


@pytest.fixture
def client(blank_sandbox: Sandbox) -> bigquery.Client:
    client = connect(Settings.from_env({"SANDBOX_URL": blank_sandbox.url})).bigquery
    client.delete_dataset(DATASET, delete_contents=True, not_found_ok=True)
    client.create_dataset(DATASET)
    blank_sandbox.state.reset_limits()
    return client


@pytest.fixture
def hurried(blank_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox, its gateway with a time-out of 0.2 s for whatever it asks over a connection."""
    http = blank_sandbox.state.bigquery.http
    usual = http.timeout
    http.timeout = httpx.Timeout(0.2)
    yield blank_sandbox
    http.timeout = usual


def stage(client: bigquery.Client, table: str, rows: int = 2) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format="NEWLINE_DELIMITED_JSON")
    payload = [{"player_lookup": f"p{n}", "line": n + 0.5} for n in range(rows)]
    job = client.load_table_from_json(payload, f"{DATASET}.{table}", job_config=config)
    job.result()
    return job


def count_rows(client: bigquery.Client, table: str) -> int:
    return next(iter(client.query(f"SELECT COUNT(*) FROM {DATASET}.{table}").result()))[0]


def occupy(sandbox: Sandbox, seconds: float) -> None:
    """Keep the emulator from changing any table for so long."""

    async def hold() -> None:
        async with sandbox.emulator._server._engine.write_lock():
            await asyncio.sleep(seconds)

    asyncio.run(sandbox.emulator.run(hold()))


def test_a_job_that_the_emulator_takes_long_for_does_not_end_as_failed(client, hurried):
    with ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(occupy, hurried, 1.0)
        assert stage(client, "slow").output_rows == 2
        occupied.result()
    assert count_rows(client, "slow") == 2


def test_what_the_emulator_was_asked_is_done_although_the_caller_is_gone(client, blank_sandbox):
    stage(client, "target", 1)
    url = f"/bigquery/v2/projects/{client.project}/datasets/{DATASET}/tables/target"

    async def ask_and_leave() -> None:
        async with blank_sandbox.emulator.open_client() as http:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(http.delete(url), 0.2)

    with ThreadPoolExecutor(1) as pool:
        occupied = pool.submit(occupy, blank_sandbox, 0.8)
        while not blank_sandbox.emulator._server._engine._write_lock.locked():
            time.sleep(0.01)
        asyncio.run(ask_and_leave())
        occupied.result()
    assert list(client.list_tables(DATASET)) == []


def test_150_players_staged_at_once_all_arrive(client, blank_sandbox):
    with ThreadPoolExecutor(50) as pool:
        jobs = list(pool.map(lambda n: stage(client, f"s{n}"), range(150)))
    assert Counter((job.state, job.output_rows) for job in jobs) == {("DONE", 2): 150}
    sources = [f"{client.project}.{DATASET}.s{n}" for n in range(150)]
    client.copy_table(sources, f"{client.project}.{DATASET}.compact").result()
    assert client.get_table(f"{DATASET}.compact").num_rows == count_rows(client, "compact") == 300


def test_a_copy_that_duckdb_refuses_leaves_nothing_behind(client, monkeypatch, blank_sandbox):
    stage(client, "source", 2)

    async def refuse(*_: object) -> int:
        raise duckdb.ConstraintException("NOT NULL constraint failed")

    monkeypatch.setattr(blank_sandbox.emulator, "copy_rows", refuse)
    with pytest.raises(BadRequest, match="NOT NULL"):
        client.copy_table(f"{DATASET}.source", f"{DATASET}.copy").result()
    assert [table.table_id for table in client.list_tables(DATASET)] == ["source"]


def own_tables(sandbox: Sandbox) -> list[str]:
    """The tables of the dataset that are DuckDB tables of their own."""
    sql = f"SELECT table_name FROM duckdb_tables() WHERE schema_name LIKE '%__{DATASET}' ORDER BY 1"
    return [row["f"][0]["v"] for row in asyncio.run(sandbox.emulator.fetch_rows(sql))]


def test_staged_tables_share_their_memory_until_they_are_changed(client, blank_sandbox):
    for name in ("s0", "s1", "s2"):
        stage(client, name)
    assert own_tables(blank_sandbox) == []
    loaded = blank_sandbox.state.clock.now()
    client.query(f"DELETE FROM {DATASET}.s0 WHERE line < 1").result()
    assert own_tables(blank_sandbox) == ["s0"]
    assert [count_rows(client, name) for name in ("s0", "s1", "s2")] == [1, 2, 2]
    with pytest.raises(BadRequest, match=r"REQUIRED|null|NULL"):
        client.query(f"INSERT INTO {DATASET}.s0 (line) VALUES (1.5)", job_retry=None).result(job_retry=None)
    assert count_rows(client, f"s0 FOR SYSTEM_TIME AS OF TIMESTAMP '{loaded.isoformat()}'") == 2
    stage(client, "s1", 3)
    assert count_rows(client, "s1") == 5
    client.delete_dataset(DATASET, delete_contents=True)
    client.create_dataset(DATASET)
    stage(client, "s2", 4)
    assert count_rows(client, "s2") == 4


def test_a_staged_table_that_was_dropped_can_be_restored(client, blank_sandbox):
    stage(client, "s0", 4)
    ms = int(blank_sandbox.state.now_s() * 1000)
    client.delete_table(f"{DATASET}.s0")
    stage(client, "s0", 1)
    client.copy_table(f"{client.project}.{DATASET}.s0@{ms}", f"{client.project}.{DATASET}.again").result()
    assert (count_rows(client, "s0"), count_rows(client, "again")) == (1, 4)
