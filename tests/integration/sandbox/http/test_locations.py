"""Where datasets and jobs are: one location each, and a 404 for whoever asks elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.sandbox import FAST

PROJECT = "nba-props-platform"
WORKER_RUN_COUNT = "SELECT COUNT(*) FROM nba_predictions.prediction_worker_runs"


@pytest.fixture(scope="module")
def western_sandbox() -> Iterator[Sandbox]:
    """A sandbox whose datasets are in us-west2."""
    sandbox = start_sandbox(Seed(location="us-west2"), latency=FAST)
    yield sandbox
    sandbox.stop()


def connect_in(sandbox: Sandbox, location: str) -> bigquery.Client:
    return connect(Settings.from_env({"SANDBOX_URL": sandbox.url, "BIGQUERY_LOCATION": location})).bigquery


def test_a_seed_says_where_its_datasets_are(western_sandbox):
    client = connect_in(western_sandbox, "us-west2")
    assert client.get_dataset("nba_predictions").location == "us-west2"
    job = client.query(WORKER_RUN_COUNT)
    assert next(iter(job.result()))[0] == 0
    assert job.location == "us-west2"
    assert client.get_job(job.job_id).location == "us-west2"
    assert client.get_job(job.job_id, location="US-WEST2").job_id == job.job_id


def test_a_query_in_another_location_does_not_find_the_dataset(western_sandbox):
    client = connect_in(western_sandbox, "EU")
    with pytest.raises(NotFound, match=f"Not found: Dataset {PROJECT}:nba_predictions was not found in location EU"):
        client.query(WORKER_RUN_COUNT, job_retry=None).result(job_retry=None)
    with pytest.raises(NotFound, match="was not found in location EU"):
        client.query_and_wait(WORKER_RUN_COUNT)
    assert next(iter(client.query("SELECT 1").result()))[0] == 1


def test_a_load_or_copy_in_another_location_does_not_find_the_dataset(western_sandbox):
    client = connect_in(western_sandbox, "US")
    config = bigquery.LoadJobConfig(schema=[bigquery.SchemaField("a", "STRING")])
    with pytest.raises(NotFound, match="was not found in location US"):
        client.load_table_from_json([{"a": "b"}], "nba_predictions.elsewhere", job_config=config).result()
    with pytest.raises(NotFound, match="was not found in location US"):
        client.copy_table("nba_predictions.prediction_worker_runs", "nba_predictions.elsewhere").result()
    with pytest.raises(NotFound):
        client.get_table("nba_predictions.elsewhere")


def test_without_a_location_a_job_runs_where_its_dataset_is(western_sandbox):
    client = bigquery.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": western_sandbox.url})
    job = client.query(WORKER_RUN_COUNT)
    assert job.location == "us-west2"
    with pytest.raises(NotFound, match=f"Not found: Job {PROJECT}:{job.job_id}"):
        client.get_job(job.job_id)


def test_a_job_is_not_found_in_another_location(blank_clients):
    client = blank_clients.bigquery
    job = client.query("SELECT 1")
    job.result()
    assert client.get_job(job.job_id, location="US").job_id == job.job_id
    with pytest.raises(NotFound, match=f"Not found: Job {PROJECT}:EU.{job.job_id}"):
        client.get_job(job.job_id, location="EU")
    with pytest.raises(NotFound, match=f"Not found: Job {PROJECT}:EU.{job.job_id}"):
        client.cancel_job(job.job_id, location="EU")


def test_a_dataset_made_anew_elsewhere_is_there(blank_clients):
    client = blank_clients.bigquery
    for location in ("US", "EU"):
        dataset = bigquery.Dataset(f"{PROJECT}.moving")
        dataset.location = location
        client.create_dataset(dataset)
        client.create_table(bigquery.Table(f"{PROJECT}.moving.t", [bigquery.SchemaField("a", "STRING")]))
        assert client.query("SELECT * FROM moving.t", location=location).result().total_rows == 0
        client.delete_dataset("moving", delete_contents=True)
