"""The customer scenario through Google's clients: what their nights left in BigQuery and Cloud Logging, and that every page opens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import streamlit as st
from google.cloud.bigquery import Client
from streamlit.testing.v1 import AppTest

from app.state import background_cache, session
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients, connect
from services.sandbox.scenarios.catalog import get_scenario
from services.sandbox.server import Sandbox
from tests.integration.pages.helpers import MAIN
from tests.support.paths import ROOT
from tests.support.sandbox import running_scenario

SCENARIO = get_scenario("customer")
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
PAGES_OF_BATCHES = {"overview", "runs"}
NIGHTS = [f"2025-12-{day}" for day in (24, 28, 31)]  # no games; several kinds of id; failed the evening before


@pytest.fixture(scope="module")
def customer_sandbox() -> Iterator[Sandbox]:
    with running_scenario("customer") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def customer_clients(customer_sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({**SCENARIO.settings, "SANDBOX_URL": customer_sandbox.url}))


@pytest.fixture(scope="module")
def bigquery(customer_clients: Clients) -> Client:
    return customer_clients.bigquery


def test_every_night_has_the_active_players_and_rows_of_history(bigquery):
    rows = bigquery.query(
        "SELECT CAST(game_date AS STRING) AS day, COUNT(DISTINCT player_lookup) AS players, COUNT(*) AS row_count,"
        f" COUNTIF(is_active) AS active FROM {PREDICTIONS_TABLE} GROUP BY 1"
    ).result()
    assert {row.day[-2:]: (row.players, row.row_count, row.active) for row in rows} == {
        "23": (87, 2175, 2175),
        "25": (72, 1800, 1800),
        "26": (128, 3200, 3200),
        "27": (111, 2775, 2775),
        "28": (94, 2350, 1550),  # 40 players regenerated: 1,000 rows staged, 200 left active
        "29": (68, 1700, 1700),
        "30": (28, 700, 700),
    }


def test_their_datasets_are_in_another_location_and_their_table_is_not_partitioned(bigquery):
    table = bigquery.get_table(PREDICTIONS_TABLE)
    assert bigquery.get_dataset("nba_predictions").location == "us-west2"
    assert (len(table.schema), table.time_partitioning, table.num_rows) == (106, None, 14_700)
    assert {field.name for field in table.schema if field.field_type == "JSON"} >= {"features_snapshot", "key_factors"}


def test_no_run_row_has_a_batch_id_and_some_are_absent(bigquery):
    rows = bigquery.query(
        "SELECT CAST(game_date AS STRING) AS day, COUNT(*) AS runs, COUNTIF(success) AS ok, COUNT(batch_id) AS named"
        " FROM nba_predictions.prediction_worker_runs WHERE run_date > '2025-12-20' GROUP BY 1"
    ).result()
    counts = {row.day[-2:]: (row.runs, row.ok, row.named) for row in rows}
    assert "25" not in counts
    assert counts["29"] == (158, 158, 0)  # a refused write is a success there
    assert counts["31"] == (38, 38, 0)


def test_the_failed_and_the_nameless_batches_left_their_staging_tables(bigquery):
    names = [table.table_id for table in bigquery.list_tables("nba_predictions") if table.table_id.startswith("_")]
    assert sum(name.startswith("_staging_batch_2025_12_31_") for name in names) == 36
    assert sum(name.startswith(("_staging_fallback_", "_staging_20251230_231502_481920_")) for name in names) == 2
    assert len(names) == 38
    assert {bigquery.get_table(f"nba_predictions.{name}").num_rows for name in names[:3]} == {25}


def test_our_own_tables_are_there_and_empty_as_deploy_leaves_them(bigquery):
    tables = {
        table.table_id: bigquery.get_table(table).num_rows for table in bigquery.list_tables("prediction_on_call")
    }
    assert tables == {"actions": 0, "alerts": 0, "batch_players": 0, "batches": 0}


def test_the_merges_of_29_december_are_refused_as_their_log_says(customer_clients):
    jobs = [job for job in customer_clients.bigquery.list_jobs(all_users=True) if job.error_result]
    assert sum("Too many DML statements" in job.error_result["message"] for job in jobs) == 90
    lines = customer_clients.logging.list_entries(
        filter_='timestamp>="2025-12-29T00:00:00Z" AND textPayload:"Error writing to BigQuery: 400 Resources exceeded"'
    )
    assert len(list(lines)) == 90


def test_a_scenario_that_is_not_there_is_refused_in_one_sentence():
    with pytest.raises(SystemExit, match=r"^SCENARIO='spring' is not known: december, season or customer\.$"):
        get_scenario("spring")


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_on_every_night_of_theirs(customer_sandbox, monkeypatch, page):
    for name, value in {**SCENARIO.settings, "SANDBOX_URL": customer_sandbox.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session, "FIRST_PAINT_DELAY_S", 0.0)
    st.cache_resource.clear()
    background_cache.clear()
    for night in NIGHTS if page in PAGES_OF_BATCHES else NIGHTS[-1:]:
        app = AppTest.from_file(str(MAIN), default_timeout=90)
        app.query_params["date"] = night
        if page != "overview":
            app.switch_page(f"../pages/{page}.py")
        app.run()
        assert not app.exception, (night, app.exception)
    background_cache.clear()
