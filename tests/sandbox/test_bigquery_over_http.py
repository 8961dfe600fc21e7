"""The sandbox's BigQuery through the real client: what it admits, refuses, remembers and bills."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound, TooManyRequests
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.limits import Window
from services.sandbox.server import Sandbox

PROJECT = "nba-props-platform"
TABLE = "nba_predictions.target"
SCHEMA = [
    bigquery.SchemaField("player_lookup", "STRING", "REQUIRED"),
    bigquery.SchemaField("line", "FLOAT"),
    bigquery.SchemaField("points", "NUMERIC"),
]


@pytest.fixture
def bq(own_sandbox: Sandbox, own_cloud: Cloud) -> bigquery.Client:
    """A client of an emptied project with one small table."""
    client = own_cloud.bigquery
    client.delete_dataset("nba_predictions", delete_contents=True, not_found_ok=True)
    client.create_dataset("nba_predictions")
    client.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    own_sandbox.world.reset_limits()
    return client


def load(client: bigquery.Client, table: str, rows: int = 2, job_id: str | None = None) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format="NEWLINE_DELIMITED_JSON")
    told = [{"player_lookup": f"p{n}", "line": n + 0.5, "points": "20.5"} for n in range(rows)]
    return client.load_table_from_json(told, table, job_id=job_id, job_config=config)


def merge(n: int) -> str:
    return (
        f"MERGE {TABLE} T USING (SELECT 'p{n}' AS player_lookup, 1.5 AS line) S ON T.player_lookup = S.player_lookup"
        " WHEN MATCHED THEN UPDATE SET line = S.line"
        " WHEN NOT MATCHED THEN INSERT (player_lookup, line) VALUES (S.player_lookup, S.line)"
    )


def count(client: bigquery.Client, table: str = TABLE) -> int:
    return next(iter(client.query(f"SELECT COUNT(*) FROM {table}").result()))[0]


def outcome(work: Callable[[], object]) -> str:
    try:
        work()
    except GoogleAPICallError as error:
        return f"{error.code} {error.message}".split("; reason")[0]
    return "ok"


def test_of_a_hundred_simultaneous_merges_22_land_and_78_are_refused(bq, own_sandbox):
    warehouse, usual = own_sandbox.world.warehouse, own_sandbox.world.warehouse.speed
    warehouse.speed = replace(usual, merge_s=3 / usual.scale)  # none of the first ends before the last arrives
    with ThreadPoolExecutor(100) as pool:
        jobs = list(pool.map(lambda n: bq.query(merge(n), job_id=f"m{n}", job_retry=None), range(100)))
        warehouse.speed = usual
        told = Counter(pool.map(lambda job: outcome(lambda: job.result(job_retry=None)), jobs))
    assert told["ok"] == 22
    refusal = next(text for text in told if text != "ok")
    assert told[refusal] == 78
    assert refusal.startswith("400 ")
    assert f"Too many DML statements outstanding against table {PROJECT}:{TABLE}, limit is 20." in refusal
    assert count(bq) == 22
    assert own_sandbox.world.limits.dml[TABLE].peak == 22
    kept = [job for job in bq.list_jobs(max_results=200) if job.job_id.startswith("m")]
    assert Counter(bool(job.error_result) for job in kept) == {False: 22, True: 78}


def test_the_other_shape_of_a_full_queue_is_a_403(bq, own_sandbox):
    warehouse = own_sandbox.world.warehouse
    usual, warehouse.queue_full_as = warehouse.speed, "dml_queue_full_quota"
    warehouse.speed = replace(usual, merge_s=3 / usual.scale)  # none of the first ends before the last arrives
    try:
        jobs = [bq.query(merge(n), job_retry=None) for n in range(24)]
        warehouse.speed = usual
        told = [outcome(lambda job=job: job.result(job_retry=None)) for job in jobs]
    finally:
        warehouse.speed, warehouse.queue_full_as = usual, "dml_queue_full"
    refused = [text for text in told if text != "ok"]
    assert refused
    assert all(text.startswith("403 ") and "total number of dml jobs writing to a table" in text for text in refused)


def test_waiting_statements_are_seen_in_the_job_list(bq):
    jobs = [bq.query(merge(n), job_retry=None) for n in range(12)]
    states = Counter(job.state for job in bq.list_jobs(all_users=True, state_filter="pending"))
    assert states["PENDING"] > 0
    for job in jobs:
        job.result()
    assert not list(bq.list_jobs(state_filter="pending"))


def test_a_waiting_statement_can_be_cancelled(bq):
    jobs = [bq.query(merge(n), job_retry=None) for n in range(12)]
    jobs[-1].cancel()
    for job in jobs[:-1]:
        job.result()
    assert bq.get_job(jobs[-1].job_id).error_result["reason"] == "stopped"
    assert count(bq) == 11


def test_the_26th_dml_statement_in_ten_seconds_is_refused(bq):
    told = [
        outcome(bq.query(f"INSERT {TABLE} (player_lookup) VALUES ('p{n}')", job_retry=None).result) for n in range(25)
    ]
    assert told == ["ok"] * 25
    late = bq.query(f"INSERT {TABLE} (player_lookup) VALUES ('late')", job_retry=None)
    with pytest.raises(TooManyRequests, match="quota for table dml insert operations"):
        late.result(job_retry=None)


def test_a_job_id_serves_once(bq):
    bq.query("SELECT 1", job_id="once", job_retry=None).result()
    answer = requests.post(
        f"{bq._connection.API_BASE_URL}/bigquery/v2/projects/{PROJECT}/jobs",
        json={
            "jobReference": {"projectId": PROJECT, "jobId": "once"},
            "configuration": {"query": {"query": "SELECT 2", "useLegacySql": False}},
        },
        timeout=10,
    )
    assert answer.status_code == 409
    assert answer.json()["error"]["errors"][0]["reason"] == "duplicate"
    with pytest.raises(Conflict, match="Already Exists: Job"):
        load(bq, "nba_predictions.other", job_id="once")


def test_of_many_starters_of_one_job_id_exactly_one_wins(bq):
    with ThreadPoolExecutor(16) as pool:
        told = Counter(pool.map(lambda _: outcome(lambda: load(bq, TABLE, job_id="lease-1")), range(16)))
    assert told["ok"] == 1
    assert sum(told.values()) == 16


def test_the_sixth_load_into_one_table_in_ten_seconds_is_refused(bq):
    for _ in range(5):
        assert load(bq, TABLE).result().output_rows == 2
    with pytest.raises(TooManyRequests, match="too many table update operations for this table"):
        load(bq, TABLE).result(retry=None)
    assert load(bq, "nba_predictions.another").result().output_rows == 2
    assert count(bq) == 10


def test_the_sixth_definition_of_one_table_in_ten_seconds_is_refused(bq):
    for n in range(5):
        bq.query(f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS c{n} STRING", job_retry=None).result()
    sixth = bq.query(f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS c6 STRING", job_retry=None)
    with pytest.raises(TooManyRequests, match="too many table update operations"):
        sixth.result(job_retry=None)


def test_the_101st_insert_call_in_a_second_is_refused(bq, own_sandbox):
    full = own_sandbox.world.limits.methods["JobService.insertJob"] = Window(100, 1)
    for _ in range(100):
        full.note(own_sandbox.world.now_s() + 5)
    config = {"configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}}}
    url = f"{own_sandbox.address}/bigquery/v2/projects/{PROJECT}/jobs"
    answer = requests.post(url, json=config, timeout=10)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["errors"][0]["reason"] == "rateLimitExceeded"
    assert "too many api requests per user per method for this user_method (JobService.insertJob)" in error["message"]


def test_a_union_over_a_thousand_staging_tables_is_refused_for_the_merge(bq):
    union = " UNION ALL ".join(f"SELECT player_lookup FROM nba_predictions._staging_b_{n}" for n in range(1_000))
    sql = (
        f"MERGE {TABLE} T USING ({union}) S ON T.player_lookup = S.player_lookup"
        " WHEN NOT MATCHED THEN INSERT (player_lookup) VALUES (S.player_lookup)"
    )
    with pytest.raises(BadRequest, match="Too many tables"):
        bq.query(sql, job_retry=None).result(job_retry=None)


def test_a_statement_of_more_than_1024k_characters_is_refused(bq):
    with pytest.raises(BadRequest, match="The query is too large"):
        bq.query("SELECT 1 -- " + "x" * 1_024_000, job_retry=None).result(job_retry=None)


def test_a_window_cannot_be_partitioned_by_a_float_column(bq):
    sql = f"SELECT player_lookup,\n  ROW_NUMBER() OVER (PARTITION BY line) AS n FROM {TABLE}"
    with pytest.raises(BadRequest, match=r"type FLOAT64 is not allowed at \[2:35\]"):
        bq.query(sql, job_retry=None).result(job_retry=None)
    assert not list(bq.query(f"SELECT ROW_NUMBER() OVER (PARTITION BY points) AS n FROM {TABLE}").result())


def test_young_streamed_rows_cannot_be_updated(bq):
    assert bq.insert_rows_json(TABLE, [{"player_lookup": "p1", "line": 1.5}]) == []
    with pytest.raises(BadRequest, match="rows in the streaming buffer"):
        bq.query(f"DELETE FROM {TABLE} WHERE TRUE", job_retry=None).result(job_retry=None)
    assert count(bq) == 1


def test_a_copy_takes_every_source_or_none(bq):
    for n in range(3):
        load(bq, f"nba_predictions.s{n}", rows=n + 1).result()
    sources = [f"{PROJECT}.nba_predictions.s{n}" for n in range(3)]
    bq.copy_table(sources, f"{PROJECT}.nba_predictions.all").result()
    assert (count(bq, "nba_predictions.all"), bq.get_table("nba_predictions.all").num_rows) == (6, 6)
    append = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
    with pytest.raises(NotFound):
        bq.copy_table([*sources, f"{PROJECT}.nba_predictions.gone"], "nba_predictions.all", job_config=append).result()
    assert count(bq, "nba_predictions.all") == 6


def test_a_copy_keeps_its_write_disposition(bq):
    load(bq, "nba_predictions.s0").result()
    load(bq, TABLE, rows=3).result()
    with pytest.raises(Conflict):
        bq.copy_table("nba_predictions.s0", TABLE).result()
    assert count(bq) == 3
    bq.copy_table(
        "nba_predictions.s0", TABLE, job_config=bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
    ).result()
    assert count(bq) == 5
    truncate = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
    bq.copy_table("nba_predictions.s0", TABLE, job_config=truncate).result()
    assert count(bq) == 2


def test_a_copy_of_1201_sources_is_refused(bq):
    sources = [f"{PROJECT}.nba_predictions.s{n}" for n in range(1_201)]
    with pytest.raises(BadRequest, match="Too many source tables in copy job: 1201"):
        bq.copy_table(sources, TABLE).result()


def test_a_dropped_table_can_be_copied_back_as_it_was(bq, own_sandbox):
    load(bq, "nba_predictions.s0", rows=4).result()
    ms = int(own_sandbox.world.now_s() * 1000)
    bq.delete_table("nba_predictions.s0")
    with pytest.raises(NotFound):
        bq.get_table("nba_predictions.s0")
    bq.copy_table(f"{PROJECT}.nba_predictions.s0@{ms}", f"{PROJECT}.nba_predictions.s0").result()
    assert count(bq, "nba_predictions.s0") == 4


def test_each_table_bills_ten_mib_and_a_failed_question_nothing(bq, own_sandbox):
    load(bq, "nba_predictions.s0").result()
    requests.delete(f"{own_sandbox.address}/sandbox/meter", timeout=5)
    job = bq.query(f"SELECT COUNT(*) FROM {TABLE}, nba_predictions.s0")
    job.result()
    assert job.total_bytes_billed == 20 * 2**20
    with pytest.raises(GoogleAPICallError):
        bq.query(f"SELECT nothing_of_it FROM {TABLE}", job_retry=None).result(job_retry=None)
    bq.query(f"SELECT 1 FROM {TABLE}", bigquery.QueryJobConfig(dry_run=True))
    meter = requests.get(f"{own_sandbox.address}/sandbox/meter", timeout=5).json()
    assert (meter["bytesBilled"], meter["queries"]) == (20 * 2**20, 1)


def test_a_wildcard_bills_every_table_it_matches(bq):
    for n in range(3):
        load(bq, f"nba_predictions._staging_b_{n}").result()
    job = bq.query("SELECT COUNT(*) FROM `nba_predictions._staging_b_*`")
    assert next(iter(job.result()))[0] == 6
    assert job.total_bytes_billed == 30 * 2**20


def test_a_question_over_its_bytes_limit_is_refused_unbilled(bq, own_sandbox):
    config = bigquery.QueryJobConfig(maximum_bytes_billed=5 * 2**20)
    with pytest.raises(GoogleAPICallError, match="exceeded limit for bytes billed"):
        bq.query(f"SELECT 1 FROM {TABLE}", config, job_retry=None).result(job_retry=None)


def test_the_handoffs_question_about_staging_tables_is_answered(bq):
    load(bq, "nba_predictions._staging_batch_w1", rows=3).result()
    sql = (
        f"SELECT table_id, creation_time, row_count FROM `{PROJECT}.nba_predictions.__TABLES__`"
        " WHERE table_id LIKE '_staging_%' ORDER BY creation_time DESC"
    )
    (row,) = bq.query(sql).result()
    assert (row.table_id, row.row_count) == ("_staging_batch_w1", 3)
    assert row.creation_time > 1_767_000_000_000


def test_an_upload_of_many_megabytes_comes_in_chunks_and_lands_whole(bq):
    rows = "\n".join(json.dumps({"player_lookup": "p" * 1_000, "line": n}) for n in range(6_000)).encode()
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format="NEWLINE_DELIMITED_JSON")
    job = bq.load_table_from_file(io.BytesIO(rows), TABLE, job_id="big", job_config=config)
    assert job.result().output_rows == 6_000
    assert bq.get_job("big").output_rows == 6_000


def test_a_lost_answer_leaves_the_job_behind(bq, own_sandbox):
    fault = [{"api": "bigquery", "kind": "drop_after", "method": "insertJob", "times": 1}]
    requests.put(f"{own_sandbox.address}/sandbox/faults", json=fault, timeout=5)
    config = {
        "jobReference": {"projectId": PROJECT, "jobId": "lost"},
        "configuration": {"query": {"query": merge(1), "useLegacySql": False}},
    }
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{own_sandbox.address}/bigquery/v2/projects/{PROJECT}/jobs", json=config, timeout=10)
    bq.get_job("lost").result()
    assert count(bq) == 1


def test_the_same_request_id_is_the_same_job(bq, own_sandbox):
    told = {"query": f"INSERT {TABLE} (player_lookup) VALUES ('p')", "useLegacySql": False, "requestId": "r1"}
    url = f"{own_sandbox.address}/bigquery/v2/projects/{PROJECT}/queries"
    first, second = (requests.post(url, json=told, timeout=20).json() for _ in range(2))
    assert first["jobReference"] == second["jobReference"]
    assert count(bq) == 1


def test_what_is_not_there_is_a_404_in_json(own_sandbox):
    for path in (
        f"/bigquery/v2/projects/{PROJECT}/jobs/none",
        f"/bigquery/v2/projects/{PROJECT}/datasets/none/tables/none",
        f"/v2/projects/{PROJECT}/locations/us-west2/services/none",
        "/nothing/here",
    ):
        answer = requests.get(own_sandbox.address + path, timeout=10)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["error"]["code"] == 404


def test_a_past_job_is_listed_with_its_error_and_found_by_id(own_sandbox, own_cloud):
    past = {
        "id": f"{PROJECT}:US.past",
        "jobReference": {"projectId": PROJECT, "jobId": "past", "location": "US"},
        "user_email": "worker@nba-props-platform.iam.gserviceaccount.com",
        "configuration": {"query": {"query": "MERGE", "useLegacySql": False}, "jobType": "QUERY"},
        "status": {"state": "DONE", "errorResult": {"reason": "resourcesExceeded", "message": "Too many DML"}},
        "statistics": {"creationTime": "1767037620000", "startTime": "1767037620000", "endTime": "1767037621000"},
    }
    own_sandbox.world.warehouse.jobs.seed([past])
    url = f"{own_sandbox.address}/bigquery/v2/projects/{PROJECT}/jobs"
    window = {"minCreationTime": "1767037000000", "maxCreationTime": "1767038000000", "projection": "full"}
    assert "jobs" not in requests.get(url, params=window, timeout=5).json()
    (listed,) = requests.get(url, params={**window, "allUsers": "true"}, timeout=5).json()["jobs"]
    assert listed["errorResult"]["message"] == "Too many DML"
    assert own_cloud.bigquery.get_job("past").error_result["reason"] == "resourcesExceeded"


def test_the_clients_connect_by_address_alone(own_sandbox):
    cloud = connect(Settings.from_env({"SANDBOX_URL": own_sandbox.address}))
    assert abs((cloud.now() - own_sandbox.world.clock.now()).total_seconds()) < 1


def test_a_table_of_a_past_night_has_a_size(sandbox, cloud):
    left = next(t for t in cloud.bigquery.list_tables("nba_predictions") if t.table_id.startswith("_staging_"))
    table = cloud.bigquery.get_table(left.reference)
    assert table.num_bytes >= table.num_rows > 0
