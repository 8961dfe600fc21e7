"""The sandbox's BigQuery through the real client: limits, errors, job history and billing."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound, TooManyRequests
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.limits import RateWindow
from services.sandbox.server import Sandbox
from tests.support.sandbox import statements_held

PROJECT = "nba-props-platform"
TABLE = "nba_predictions.target"
SCHEMA = [
    bigquery.SchemaField("player_lookup", "STRING", "REQUIRED"),
    bigquery.SchemaField("line", "FLOAT"),
    bigquery.SchemaField("points", "NUMERIC"),
]


@pytest.fixture
def bq(blank_sandbox: Sandbox, blank_clients: Clients) -> bigquery.Client:
    """A client of an emptied project with one small table."""
    client = blank_clients.bigquery
    client.delete_dataset("nba_predictions", delete_contents=True, not_found_ok=True)
    client.create_dataset("nba_predictions")
    client.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    blank_sandbox.state.reset_limits()
    return client


def load_rows(client: bigquery.Client, table: str, rows: int = 2, job_id: str | None = None) -> bigquery.LoadJob:
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format="NEWLINE_DELIMITED_JSON")
    payload = [{"player_lookup": f"p{n}", "line": n + 0.5, "points": "20.5"} for n in range(rows)]
    return client.load_table_from_json(payload, table, job_id=job_id, job_config=config)


def count_loaded_rows(client: bigquery.Client, table: str) -> int:
    job = load_rows(client, table)
    job.result()
    return job.output_rows


def merge_sql(number: int) -> str:
    return (
        f"MERGE {TABLE} T USING (SELECT 'p{number}' AS player_lookup, 1.5 AS line) S ON T.player_lookup = S.player_lookup"
        " WHEN MATCHED THEN UPDATE SET line = S.line"
        " WHEN NOT MATCHED THEN INSERT (player_lookup, line) VALUES (S.player_lookup, S.line)"
    )


def count_rows(client: bigquery.Client, table: str = TABLE) -> int:
    return next(iter(client.query(f"SELECT COUNT(*) FROM {table}").result()))[0]


def error_or_ok(call: Callable[[], object]) -> str:
    try:
        call()
    except GoogleAPICallError as error:
        return f"{error.code} {error.message}".split("; reason")[0]
    return "ok"


def test_of_40_concurrent_merges_22_succeed_and_18_are_rejected(bq, blank_sandbox):
    with ThreadPoolExecutor(40) as pool:
        with statements_held(blank_sandbox, until_refused=18):
            jobs = list(pool.map(lambda n: bq.query(merge_sql(n), job_id=f"m{n}", job_retry=None), range(40)))
        outcomes = Counter(pool.map(lambda job: error_or_ok(lambda: job.result(job_retry=None)), jobs))
    assert outcomes["ok"] == 22
    rejection = next(text for text in outcomes if text != "ok")
    assert outcomes[rejection] == 18
    assert rejection.startswith("400 ")
    assert f"Too many DML statements outstanding against table {PROJECT}:{TABLE}, limit is 20." in rejection
    assert count_rows(bq) == 22
    assert blank_sandbox.state.limits.dml_queues[TABLE].peak == 22
    listed_jobs = [job for job in bq.list_jobs(max_results=200) if job.job_id.startswith("m")]
    assert Counter(bool(job.error_result) for job in listed_jobs) == {False: 22, True: 18}


def test_the_other_form_of_a_full_queue_is_a_403(bq, blank_sandbox):
    warehouse = blank_sandbox.state.bigquery
    original_speed, warehouse.queue_full_error = warehouse.latency, "dml_queue_full_quota"
    # None of the first ends before the last arrives.
    warehouse.latency = replace(original_speed, merge_s=3 / original_speed.scale)
    try:
        jobs = [bq.query(merge_sql(n), job_retry=None) for n in range(24)]
        warehouse.latency = original_speed
        outcomes = [error_or_ok(partial(job.result, job_retry=None)) for job in jobs]
    finally:
        warehouse.latency, warehouse.queue_full_error = original_speed, "dml_queue_full"
    rejections = [text for text in outcomes if text != "ok"]
    assert rejections
    assert all(text.startswith("403 ") and "total number of dml jobs writing to a table" in text for text in rejections)


def test_pending_statements_appear_in_the_job_list(bq):
    jobs = [bq.query(merge_sql(n), job_retry=None) for n in range(12)]
    states = Counter(job.state for job in bq.list_jobs(all_users=True, state_filter="pending"))
    assert states["PENDING"] > 0
    for job in jobs:
        job.result()
    assert not list(bq.list_jobs(state_filter="pending"))


def test_a_pending_statement_can_be_cancelled(bq):
    jobs = [bq.query(merge_sql(n), job_retry=None) for n in range(12)]
    jobs[-1].cancel()
    for job in jobs[:-1]:
        job.result()
    assert bq.get_job(jobs[-1].job_id).error_result["reason"] == "stopped"
    assert count_rows(bq) == 11


def test_the_26th_dml_statement_in_ten_seconds_is_refused(bq):
    outcomes = [
        error_or_ok(bq.query(f"INSERT {TABLE} (player_lookup) VALUES ('p{n}')", job_retry=None).result)
        for n in range(25)
    ]
    assert outcomes == ["ok"] * 25
    extra_job = bq.query(f"INSERT {TABLE} (player_lookup) VALUES ('late')", job_retry=None)
    with pytest.raises(TooManyRequests, match="quota for table dml insert operations"):
        extra_job.result(job_retry=None)


def test_a_job_id_can_be_used_once(bq):
    bq.query("SELECT 1", job_id="once", job_retry=None).result()
    response = requests.post(
        f"{bq._connection.API_BASE_URL}/bigquery/v2/projects/{PROJECT}/jobs",
        json={
            "jobReference": {"projectId": PROJECT, "jobId": "once"},
            "configuration": {"query": {"query": "SELECT 2", "useLegacySql": False}},
        },
        timeout=10,
    )
    assert response.status_code == 409
    assert response.json()["error"]["errors"][0]["reason"] == "duplicate"
    with pytest.raises(Conflict, match="Already Exists: Job"):
        load_rows(bq, "nba_predictions.other", job_id="once")


def test_of_many_jobs_with_one_id_exactly_one_starts(bq):
    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(lambda _: error_or_ok(lambda: load_rows(bq, TABLE, job_id="lease-1")), range(16)))
    assert outcomes["ok"] == 1
    assert sum(outcomes.values()) == 16


def test_the_sixth_load_into_one_table_in_ten_seconds_is_refused(bq):
    for _ in range(5):
        assert count_loaded_rows(bq, TABLE) == 2
    with pytest.raises(TooManyRequests, match="too many table update operations for this table"):
        load_rows(bq, TABLE).result(retry=None)
    assert count_loaded_rows(bq, "nba_predictions.another") == 2
    assert count_rows(bq) == 10


def test_the_sixth_definition_of_one_table_in_ten_seconds_is_refused(bq):
    for n in range(5):
        bq.query(f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS c{n} STRING", job_retry=None).result()
    sixth = bq.query(f"ALTER TABLE {TABLE} ADD COLUMN IF NOT EXISTS c6 STRING", job_retry=None)
    with pytest.raises(TooManyRequests, match="too many table update operations"):
        sixth.result(job_retry=None)


def test_the_101st_insert_call_in_a_second_is_refused(bq, blank_sandbox):
    full = blank_sandbox.state.limits.api_calls["JobService.insertJob"] = RateWindow(100, 1)
    for _ in range(100):
        full.record(blank_sandbox.state.now_s() + 5)
    config = {"configuration": {"query": {"query": "SELECT 1", "useLegacySql": False}}}
    url = f"{blank_sandbox.url}/bigquery/v2/projects/{PROJECT}/jobs"
    response = requests.post(url, json=config, timeout=10)
    assert response.status_code == 403
    error = response.json()["error"]
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


def test_a_copy_job_copies_all_sources_or_none(bq):
    for n in range(3):
        load_rows(bq, f"nba_predictions.s{n}", rows=n + 1).result()
    sources = [f"{PROJECT}.nba_predictions.s{n}" for n in range(3)]
    bq.copy_table(sources, f"{PROJECT}.nba_predictions.all").result()
    assert (count_rows(bq, "nba_predictions.all"), bq.get_table("nba_predictions.all").num_rows) == (6, 6)
    append = bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
    with pytest.raises(NotFound):
        bq.copy_table([*sources, f"{PROJECT}.nba_predictions.gone"], "nba_predictions.all", job_config=append).result()
    assert count_rows(bq, "nba_predictions.all") == 6


def test_a_copy_job_honours_its_write_disposition(bq):
    load_rows(bq, "nba_predictions.s0").result()
    load_rows(bq, TABLE, rows=3).result()
    with pytest.raises(Conflict):
        bq.copy_table("nba_predictions.s0", TABLE).result()
    assert count_rows(bq) == 3
    bq.copy_table(
        "nba_predictions.s0", TABLE, job_config=bigquery.CopyJobConfig(write_disposition="WRITE_APPEND")
    ).result()
    assert count_rows(bq) == 5
    truncate = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
    bq.copy_table("nba_predictions.s0", TABLE, job_config=truncate).result()
    assert count_rows(bq) == 2


def test_a_copy_of_1201_sources_is_refused(bq):
    sources = [f"{PROJECT}.nba_predictions.s{n}" for n in range(1_201)]
    with pytest.raises(BadRequest, match="Too many source tables in copy job: 1201"):
        bq.copy_table(sources, TABLE).result()


def test_a_dropped_table_can_be_restored_by_a_copy(bq, blank_sandbox):
    load_rows(bq, "nba_predictions.s0", rows=4).result()
    ms = int(blank_sandbox.state.now_s() * 1000)
    bq.delete_table("nba_predictions.s0")
    with pytest.raises(NotFound):
        bq.get_table("nba_predictions.s0")
    bq.copy_table(f"{PROJECT}.nba_predictions.s0@{ms}", f"{PROJECT}.nba_predictions.s0").result()
    assert count_rows(bq, "nba_predictions.s0") == 4


def test_each_table_bills_10_mib_and_a_failed_query_nothing(bq, blank_sandbox):
    load_rows(bq, "nba_predictions.s0").result()
    requests.delete(f"{blank_sandbox.url}/sandbox/meter", timeout=5)
    job = bq.query(f"SELECT COUNT(*) FROM {TABLE}, nba_predictions.s0")
    job.result()
    assert job.total_bytes_billed == 20 * 2**20
    with pytest.raises(GoogleAPICallError):
        bq.query(f"SELECT nothing_of_it FROM {TABLE}", job_retry=None).result(job_retry=None)
    bq.query(f"SELECT 1 FROM {TABLE}", bigquery.QueryJobConfig(dry_run=True))
    meter = requests.get(f"{blank_sandbox.url}/sandbox/meter", timeout=5).json()
    assert (meter["bytesBilled"], meter["queries"]) == (20 * 2**20, 1)


def test_a_wildcard_bills_every_table_it_matches(bq):
    for n in range(3):
        load_rows(bq, f"nba_predictions._staging_b_{n}").result()
    job = bq.query("SELECT COUNT(*) FROM `nba_predictions._staging_b_*`")
    assert next(iter(job.result()))[0] == 6
    assert job.total_bytes_billed == 30 * 2**20


def test_a_query_over_its_bytes_limit_is_rejected_unbilled(bq, blank_sandbox):
    config = bigquery.QueryJobConfig(maximum_bytes_billed=5 * 2**20)
    with pytest.raises(GoogleAPICallError, match="exceeded limit for bytes billed"):
        bq.query(f"SELECT 1 FROM {TABLE}", config, job_retry=None).result(job_retry=None)


def test_the_handoffs_query_of_staging_tables_works(bq):
    load_rows(bq, "nba_predictions._staging_batch_w1", rows=3).result()
    sql = (
        f"SELECT table_id, creation_time, row_count FROM `{PROJECT}.nba_predictions.__TABLES__`"
        " WHERE table_id LIKE '_staging_%' ORDER BY creation_time DESC"
    )
    (row,) = bq.query(sql).result()
    assert (row.table_id, row.row_count) == ("_staging_batch_w1", 3)
    assert row.creation_time > 1_767_000_000_000


def test_a_large_upload_arrives_in_chunks_and_completely(bq):
    rows = "\n".join(json.dumps({"player_lookup": "p" * 1_000, "line": n}) for n in range(6_000)).encode()
    config = bigquery.LoadJobConfig(schema=SCHEMA, source_format="NEWLINE_DELIMITED_JSON")
    job = bq.load_table_from_file(io.BytesIO(rows), TABLE, job_id="big", job_config=config)
    assert job.result().output_rows == 6_000
    assert bq.get_job("big").output_rows == 6_000


def test_a_lost_response_leaves_the_job_behind(bq, blank_sandbox):
    fault = [{"api": "bigquery", "kind": "drop_after", "method": "insertJob", "times": 1}]
    requests.put(f"{blank_sandbox.url}/sandbox/faults", json=fault, timeout=5)
    config = {
        "jobReference": {"projectId": PROJECT, "jobId": "lost"},
        "configuration": {"query": {"query": merge_sql(1), "useLegacySql": False}},
    }
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{blank_sandbox.url}/bigquery/v2/projects/{PROJECT}/jobs", json=config, timeout=10)
    bq.get_job("lost").result()
    assert count_rows(bq) == 1


def test_the_same_request_id_is_the_same_job(bq, blank_sandbox):
    body = {"query": f"INSERT {TABLE} (player_lookup) VALUES ('p')", "useLegacySql": False, "requestId": "r1"}
    url = f"{blank_sandbox.url}/bigquery/v2/projects/{PROJECT}/queries"
    first, second = (requests.post(url, json=body, timeout=20).json() for _ in range(2))
    assert first["jobReference"] == second["jobReference"]
    assert count_rows(bq) == 1


def test_unknown_resources_are_a_404_in_json(blank_sandbox):
    for path in (
        f"/bigquery/v2/projects/{PROJECT}/jobs/none",
        f"/bigquery/v2/projects/{PROJECT}/datasets/none/tables/none",
        f"/v2/projects/{PROJECT}/locations/us-west2/services/none",
        "/nothing/here",
    ):
        response = requests.get(blank_sandbox.url + path, timeout=10)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("application/json")
        assert response.json()["error"]["code"] == 404


def test_a_past_job_is_listed_with_its_error_and_found_by_id(blank_sandbox, blank_clients):
    past_job = {
        "id": f"{PROJECT}:US.past",
        "jobReference": {"projectId": PROJECT, "jobId": "past", "location": "US"},
        "user_email": "worker@nba-props-platform.iam.gserviceaccount.com",
        "configuration": {"query": {"query": "MERGE", "useLegacySql": False}, "jobType": "QUERY"},
        "status": {"state": "DONE", "errorResult": {"reason": "resourcesExceeded", "message": "Too many DML"}},
        "statistics": {"creationTime": "1767037620000", "startTime": "1767037620000", "endTime": "1767037621000"},
    }
    blank_sandbox.state.bigquery.jobs.seed([past_job])
    url = f"{blank_sandbox.url}/bigquery/v2/projects/{PROJECT}/jobs"
    window = {"minCreationTime": "1767037000000", "maxCreationTime": "1767038000000", "projection": "full"}
    assert "jobs" not in requests.get(url, params=window, timeout=5).json()
    (listed_job,) = requests.get(url, params={**window, "allUsers": "true"}, timeout=5).json()["jobs"]
    assert listed_job["errorResult"]["message"] == "Too many DML"
    assert blank_clients.bigquery.get_job("past").error_result["reason"] == "resourcesExceeded"


def test_the_clients_connect_by_address_alone(blank_sandbox):
    clients = connect(Settings.from_env({"SANDBOX_URL": blank_sandbox.url}))
    assert abs((clients.now() - blank_sandbox.state.clock.now()).total_seconds()) < 1


def test_a_table_of_a_past_night_has_a_size(sandbox, clients):
    staging_table = next(
        t for t in clients.bigquery.list_tables("nba_predictions") if t.table_id.startswith("_staging_")
    )
    table = clients.bigquery.get_table(staging_table.reference)
    assert table.num_bytes >= table.num_rows > 0
