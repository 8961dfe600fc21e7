"""The in-memory BigQuery: it behaves as BigQuery does where the write path depends on it."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import bigquery

from services.batches.state import BatchState
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.run_request import plan_run
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import WORKER_HOST, SimulatedClock, in_memory, memory_clients, memory_worker
from tests.support.memory_rows import NIGHT, context_rows, prediction_row

CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"
TABLE = "nba_predictions.t"


@pytest.fixture
def project():
    project = MemoryProject(SimulatedClock())
    yield project
    project.close()


@pytest.fixture
def client(project):
    return memory_clients(project).bigquery


@pytest.fixture
def table(project):
    return project.create_table(
        TABLE,
        [
            bigquery.SchemaField("name", "STRING", "REQUIRED"),
            bigquery.SchemaField("n", "NUMERIC"),
            bigquery.SchemaField("tags", "STRING", "REPEATED"),
            bigquery.SchemaField("facts", "JSON"),
            bigquery.SchemaField("pair", "RECORD", fields=[bigquery.SchemaField("a", "INTEGER")]),
        ],
    )


def load(client, rows, job_id="load-1"):
    content = io.BytesIO("\n".join(map(json.dumps, rows)).encode())
    config = bigquery.LoadJobConfig(write_disposition="WRITE_TRUNCATE")
    return client.load_table_from_file(content, TABLE, job_id=job_id, job_config=config)


def test_a_batch_runs_from_request_to_consolidated(project):
    clock = project.clock
    clients = memory_clients(project)
    project.insert(CONTEXT_TABLE, context_rows(["ann", "bob"]))
    project.insert(PREDICTIONS_TABLE, [prediction_row("ann", current_points_line=Decimal("3.5"))])
    with in_memory(clock, {WORKER_HOST: memory_worker(clients, clock.retry_policy())}):
        runner = BatchRunner(clients, clock.retry_policy())
        run = plan_run(clients, NIGHT)
        assert run is not None
        entry = runner.run(runner.record_requested(run))
    assert (entry.state, entry.inserted, entry.deactivated) == (BatchState.CONSOLIDATED, 50, 1)
    assert sum(row["is_active"] for row in project.rows(PREDICTIONS_TABLE)) == 50


def test_a_job_id_is_accepted_once(client):
    client.query("SELECT 1", job_id="a").result()
    with pytest.raises(Conflict):
        client.query("SELECT 1", job_id="a")


def test_rows_keep_their_types_through_load_statement_and_listing(client, table):
    row = {"name": "ann", "n": "20.50", "tags": ["x"], "facts": {"a": [1]}, "pair": {"a": 1}}
    assert load(client, [row, {"name": "bob"}]).result() == []
    client.query(f"UPDATE `{TABLE}` SET n = n + 1 WHERE name = 'ann'").result()
    expected = {"name": "ann", "n": Decimal("21.5"), "tags": ["x"], "facts": {"a": [1]}, "pair": {"a": 1}}
    assert dict(client.list_rows(TABLE)[0]) == expected
    assert [dict(r) for r in client.query(f"SELECT * FROM `{TABLE}` WHERE n > 1").result()] == [expected]


def test_a_load_that_does_not_fit_the_table_fails_and_changes_nothing(client, table):
    with pytest.raises(BadRequest, match="No such field"):
        load(client, [{"name": "ann", "other": 1}]).result()
    assert client.get_table(TABLE).num_rows == 0


def test_a_merge_with_two_source_rows_for_one_target_row_fails(client, table):
    load(client, [{"name": "ann"}])
    source = "(SELECT 'ann' AS name, 1 AS n UNION ALL SELECT 'ann', 2)"
    job = client.query(
        f"MERGE `{TABLE}` AS T USING {source} AS S ON T.name = S.name WHEN MATCHED THEN UPDATE SET n = S.n"
    )
    with pytest.raises(BadRequest, match="at most one source row"):
        job.result()
    assert client.list_rows(TABLE)[0]["n"] is None


def _merge(client, name, update=""):
    source = f"(SELECT '{name}' AS name)"
    return client.query(
        f"MERGE `{TABLE}` AS T USING {source} AS S ON T.name = S.name {update} WHEN NOT MATCHED THEN INSERT (name) VALUES (S.name)"
    )


@pytest.mark.parametrize(("update", "rows"), [("", 2), ("WHEN MATCHED THEN UPDATE SET n = 1", 1)])
def test_only_merges_that_insert_only_race(project, client, table, update, rows):
    """The outer one begins, the inner one runs whole: an inserting MERGE does not see its row, one that may update is repeated."""
    project.insert(TABLE, [{"name": "ann"}] if update else [])
    inner = memory_clients(project).bigquery

    def hook(call, phase, _subject):
        if (call, phase) == ("MERGE", "inside"):
            client.hook = lambda *_: None
            _merge(inner, "ann", update)

    client.hook = hook
    _merge(client, "ann", update)
    assert len(project.rows(TABLE)) == rows
    assert project.overlaps == 1


def test_streamed_rows_are_queried_but_not_listed_and_cannot_be_changed(project, client, table):
    table.stream([{"name": "ann", "n": None, "tags": [], "facts": None, "pair": None}], project.clock.now())
    assert client.list_rows(TABLE) == []
    assert client.get_table(TABLE).streaming_buffer is not None
    assert len(client.query(f"SELECT * FROM `{TABLE}`").result()) == 1
    with pytest.raises(BadRequest, match="streaming buffer"):
        client.query(f"DELETE FROM `{TABLE}` WHERE TRUE").result()


def test_a_dropped_table_can_be_copied_as_it_was(project, client, table):
    load(client, [{"name": "ann"}])
    before_ms = int(project.clock.now().timestamp() * 1000)
    project.clock.sleep(5)
    client.delete_table(TABLE)
    with pytest.raises(NotFound):
        client.get_table(TABLE)
    client.copy_table(f"{TABLE}@{before_ms}", TABLE).result()
    assert client.list_rows(TABLE)[0]["name"] == "ann"


def test_a_killed_process_leaves_a_job_that_ends_by_itself(project, client, table):
    def die(call, phase, _subject):
        if (call, phase) == ("load", "job"):
            raise SystemExit

    client.hook = die
    with pytest.raises(SystemExit):
        load(client, [{"name": "ann"}])
    assert len(project.rows(TABLE)) == 1
    assert memory_clients(project).bigquery.get_job("load-1").state == "DONE"


def test_a_wildcard_reads_tables_by_prefix(client, project, table):
    project.create_table(f"{TABLE}_other", table.fields)
    project.insert(f"{TABLE}_other", [{"name": "ann"}])
    rows = client.query(
        f"SELECT _TABLE_SUFFIX AS suffix, name FROM `{TABLE}*` WHERE _TABLE_SUFFIX IN ('_other')"
    ).result()
    assert [tuple(row.values()) for row in rows] == [("_other", "ann")]
