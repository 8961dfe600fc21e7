"""The region's INFORMATION_SCHEMA views through the real client: Google's columns and types, in the datasets' region only."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core.exceptions import BadRequest, Forbidden
from google.cloud import bigquery

from services.gcp.clients import Clients
from services.sandbox.bigquery.billing_meter import MIN_BILLED_BYTES
from services.sandbox.server import Sandbox
from tests.support.job_history import make_query_job

PROJECT = "nba-props-platform"
JOBS = "`region-us`.INFORMATION_SCHEMA.JOBS"


@pytest.fixture
def bq(blank_sandbox: Sandbox, blank_clients: Clients) -> bigquery.Client:
    """A client of an empty project with one small table."""
    client = blank_clients.bigquery
    client.create_dataset("views", exists_ok=True)
    client.create_table(
        bigquery.Table(f"{PROJECT}.views.target", [bigquery.SchemaField("points", "INT64")]), exists_ok=True
    )
    return client


def run(bq: bigquery.Client, sql: str, **params: datetime) -> list[bigquery.Row]:
    parameters = [bigquery.ScalarQueryParameter(name, "TIMESTAMP", value) for name, value in params.items()]
    return list(bq.query(sql, bigquery.QueryJobConfig(query_parameters=parameters)).result())


def test_a_job_is_a_row_with_what_jobs_get_says(bq):
    config = bigquery.QueryJobConfig(labels={"team": "on-call"})
    job = bq.query(
        "INSERT INTO views.target (points) VALUES (1)", config, job_id=f"j{uuid.uuid4().hex}", job_retry=None
    )
    job.result()
    (row,) = run(bq, f"SELECT * FROM {JOBS} WHERE job_id = '{job.job_id}'")
    assert (row["job_type"], row["statement_type"], row["state"], row["error_result"]) == (
        "QUERY",
        "INSERT",
        "DONE",
        None,
    )
    assert row["destination_table"] == {"project_id": PROJECT, "dataset_id": "views", "table_id": "target"}
    assert row["creation_time"] == job.created
    assert row["end_time"] == job.ended
    assert row["labels"] == [{"key": "team", "value": "on-call"}]
    assert row["query"] == "INSERT INTO views.target (points) VALUES (1)"


def test_a_rejected_statement_is_a_row_with_its_error(bq):
    job = bq.query("SELECT nothing FROM views.target")
    with pytest.raises(BadRequest):
        job.result()
    (row,) = run(
        bq, f"SELECT error_result.reason AS reason, error_result.message FROM {JOBS} WHERE job_id = '{job.job_id}'"
    )
    assert row["reason"] == job.error_result["reason"]
    assert row["message"] == job.error_result["message"]


@pytest.mark.parametrize(
    "view",
    [
        "`region-us`.INFORMATION_SCHEMA.JOBS_BY_PROJECT",
        "`region-US`.`INFORMATION_SCHEMA`.`JOBS`",
        f"`{PROJECT}`.`region-us`.INFORMATION_SCHEMA.JOBS",
        f"`{PROJECT}.region-us.INFORMATION_SCHEMA.JOBS`",
        "region-us.INFORMATION_SCHEMA.JOBS_BY_USER",
    ],
)
def test_the_view_is_found_in_every_spelling_of_its_name(bq, view):
    job = bq.query("SELECT 1")
    job.result()
    assert [row["n"] for row in run(bq, f"SELECT COUNT(*) AS n FROM {view} AS j WHERE j.job_id = '{job.job_id}'")] == [
        1
    ]


@pytest.mark.parametrize(
    "view",
    [
        "`region-eu`.INFORMATION_SCHEMA.JOBS",
        "`region-us-west2`.INFORMATION_SCHEMA.TABLES",
        "`region-us`.INFORMATION_SCHEMA.JOBS_BY_ORGANIZATION",
        "`other-project`.`region-us`.INFORMATION_SCHEMA.JOBS",
    ],
)
def test_a_view_of_another_region_or_project_is_an_error_and_no_empty_answer(bq, view):
    with pytest.raises(Forbidden, match=r"or perhaps it does not exist in location US"):
        run(bq, f"SELECT COUNT(*) FROM {view}")


def test_a_job_that_ran_elsewhere_is_not_in_this_region(bq, blank_sandbox):
    job = make_query_job("elsewhere", datetime(2025, 12, 1, tzinfo=UTC), location="us-west2")
    blank_sandbox.state.bigquery.jobs.seed([job])
    assert run(bq, f"SELECT job_id FROM {JOBS} WHERE job_id = 'elsewhere'") == []


def test_all_jobs_need_the_permission_to_list_them_and_the_own_do_not(bq, blank_sandbox):
    blank_sandbox.state.identities.denied_permissions.add("bigquery.jobs.listAll")
    with pytest.raises(
        Forbidden, match=r"User does not have permission to query table nba-props-platform:region-us\.INFORM"
    ):
        run(bq, f"SELECT COUNT(*) FROM {JOBS}")
    assert run(bq, "SELECT COUNT(*) AS n FROM `region-us`.INFORMATION_SCHEMA.JOBS_BY_USER")[0]["n"] > 0


def test_a_dry_run_of_the_view_is_planned_and_its_rights_are_checked(bq, blank_sandbox):
    config = bigquery.QueryJobConfig(dry_run=True)
    assert bq.query(f"SELECT job_id FROM {JOBS}", config).state == "DONE"
    blank_sandbox.state.identities.denied_permissions.add("bigquery.jobs.listAll")
    with pytest.raises(Forbidden, match="does not have permission to query table"):
        bq.query(f"SELECT job_id FROM {JOBS}", config)


def test_a_column_that_google_does_not_have_is_an_error(bq):
    with pytest.raises(BadRequest):
        run(bq, f"SELECT created FROM {JOBS}")


def test_a_query_of_the_view_bills_ten_mebibytes_each_time(bq):
    jobs = [bq.query(f"SELECT COUNT(*) FROM {JOBS}") for _ in range(2)]
    for job in jobs:
        job.result()
    assert [job.total_bytes_billed for job in jobs] == [MIN_BILLED_BYTES] * 2


def test_tables_of_every_dataset_and_their_rows_are_listed(bq):
    tables = run(
        bq, "SELECT table_schema, table_type FROM `region-us`.INFORMATION_SCHEMA.TABLES WHERE table_name = 'target'"
    )
    assert ("views", "BASE TABLE") in [tuple(row) for row in tables]
    bq.query("INSERT INTO views.target (points) VALUES (1)").result()
    storage = "`region-us`.INFORMATION_SCHEMA.TABLE_STORAGE"
    (row,) = run(
        bq, f"SELECT total_rows, deleted FROM {storage} WHERE table_schema = 'views' AND table_name = 'target'"
    )
    assert row["total_rows"] == bq.get_table("views.target").num_rows > 0
    assert row["deleted"] is False
    columns = "`region-us`.INFORMATION_SCHEMA.COLUMNS"
    assert run(bq, f"SELECT data_type FROM {columns} WHERE table_schema = 'views'")[0]["data_type"] == "INT64"


def test_a_statement_that_joins_the_view_with_itself_leaves_nothing_behind(bq):
    sql = f"WITH j AS (SELECT job_id FROM {JOBS}) SELECT COUNT(*) AS n FROM j JOIN {JOBS} AS k USING (job_id)"
    assert run(bq, sql)[0]["n"] > 0
    assert "information_schema" not in str([d.dataset_id for d in bq.list_datasets()])


def test_25_000_jobs_are_filtered_by_the_time_that_is_asked_for(blank_sandbox, bq, record_property):
    night = datetime(2025, 11, 1, tzinfo=UTC)
    blank_sandbox.state.bigquery.jobs.seed(
        [make_query_job(f"many-{n}", night + timedelta(seconds=n)) for n in range(25_000)]
    )
    sql = f"SELECT COUNT(*) AS n FROM {JOBS} WHERE creation_time >= @first AND creation_time < @last AND state = 'DONE'"
    started_at = time.monotonic()
    assert run(bq, sql, first=night, last=night + timedelta(days=1))[0]["n"] == 25_000
    record_property("seconds for 25,000 jobs", time.monotonic() - started_at)
    started_at = time.monotonic()
    assert run(bq, sql, first=night, last=night + timedelta(seconds=100))[0]["n"] == 100
    record_property("seconds for 100 of them", time.monotonic() - started_at)
