"""Clients that we do not use ourselves, against the sandbox: where it differs from Google, they fail or read something else."""

from __future__ import annotations

import json
from pathlib import Path

import pandas_gbq
import pytest
import sqlalchemy
from google.cloud import bigquery

from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.sandbox.server import Sandbox
from tests.support.command_line_clients import run_bq, run_gcloud, run_node

NODE_SCRIPT = Path(__file__).with_name("google_clients.cjs")
SERVICE = ("prediction-worker", "--region=us-west2")
WIDTH = (
    "--format=value(spec.template.metadata.annotations.'autoscaling.knative.dev/maxScale',"
    " spec.template.spec.containerConcurrency)"
)


@pytest.fixture
def bq(module_clients: Clients) -> bigquery.Client:
    return module_clients.bigquery


def test_pandas_gbq_reads_a_frame(bq: bigquery.Client):
    query = (
        f"SELECT game_date, COUNT(DISTINCT player_lookup) AS players FROM {PREDICTIONS_TABLE}"
        " WHERE game_date = '2025-12-29' GROUP BY 1"
    )
    frame = pandas_gbq.read_gbq(query, bq.project, bigquery_client=bq, progress_bar_type=None)
    assert frame["players"].tolist() == [68]
    assert str(frame["game_date"].dtype) == "dbdate"


def test_sqlalchemy_selects_and_reflects(bq: bigquery.Client):
    engine = sqlalchemy.create_engine(f"bigquery://{bq.project}?user_supplied_client=True", connect_args={"client": bq})
    dataset, _, table = PREDICTIONS_TABLE.rpartition(".")
    with engine.connect() as connection:
        statement = sqlalchemy.text(
            f"SELECT COUNT(DISTINCT player_lookup) FROM {PREDICTIONS_TABLE} WHERE game_date = CAST(:night AS DATE)"
        )
        assert connection.execute(statement, {"night": "2025-12-29"}).scalar() == 68
        inspector = sqlalchemy.inspect(connection)
        assert PREDICTIONS_TABLE in inspector.get_table_names(dataset)
        types = {column["name"]: str(column["type"]) for column in inspector.get_columns(table, dataset)}
    assert (types["game_date"], types["player_lookup"]) == ("DATE", "VARCHAR")


def test_the_node_client_of_bigquery_loads_queries_copies_inserts_and_lists(module_sandbox: Sandbox):
    assert run_node(NODE_SCRIPT, "bigquery", module_sandbox) == {
        "load": "DONE",
        "rows": [{"player": "a", "line": 20.5, "night": "2025-12-29"}],
        "dry": "DONE",
        "tables": ["lines", "copied"],
        "listed": 2,
        "job": "DONE",
        "refusal": "Unrecognized name: nothing at [1:8]",
    }


def test_the_node_client_of_cloud_run_waits_for_a_changed_service(module_sandbox: Sandbox):
    assert run_node(NODE_SCRIPT, "run", module_sandbox) == {
        "services": ["prediction-coordinator", "prediction-worker"],
        "revisions": 2,
        "changed": True,
        "concurrency": 4,
    }


def test_the_node_client_of_logging_finds_what_it_wrote(module_sandbox: Sandbox):
    found = run_node(NODE_SCRIPT, "logging", module_sandbox)
    assert found == {"severity": "ERROR", "data": {"message": "from node"}}


def test_bq_runs_a_query(module_sandbox: Sandbox):
    query = f"SELECT COUNT(DISTINCT player_lookup) AS players FROM {PREDICTIONS_TABLE} WHERE game_date = '2025-12-29'"
    printed = run_bq(module_sandbox, "query", "--use_legacy_sql=false", "--format=json", query)
    assert json.loads(printed.strip().splitlines()[-1]) == [{"players": "68"}]


def test_gcloud_reads_the_log(module_sandbox: Sandbox):
    text = (
        'resource.type="cloud_run_revision" AND resource.labels.service_name="prediction-worker"'
        ' AND textPayload=~"Staging write" AND timestamp>="2025-12-01T00:00:00Z"'
    )
    printed = run_gcloud(module_sandbox, "logging", "read", text, "--limit=2", "--format=json")
    assert all("Staging write" in entry["textPayload"] for entry in json.loads(printed))
    assert len(json.loads(printed)) == 2


def test_gcloud_describes_a_service_and_narrows_it(module_sandbox: Sandbox):
    before = run_gcloud(module_sandbox, "run", "services", "describe", *SERVICE, WIDTH).split()
    run_gcloud(module_sandbox, "run", "services", "update", *SERVICE, "--max-instances=3", "--concurrency=2")
    after = run_gcloud(module_sandbox, "run", "services", "describe", *SERVICE, WIDTH).split()
    assert before != after == ["3", "2"]
