"""The lease of a game date between the account that acts and the pipeline's: each reads and awaits the other's jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.errors import AccessDenied
from services.pipeline import lease
from services.pipeline.warehouse import BigQueryWarehouse
from services.sandbox.common.identities import Binding, account_address
from tests.integration.pipeline.conftest import NIGHT

UPDATE = "UPDATE nba_reference.player_aliases SET notes = notes WHERE alias_lookup = 'nobody'"


def test_the_pipeline_takes_a_date_that_the_dashboard_has_released(fresh_clients, warehouse):
    dashboard = BigQueryWarehouse(fresh_clients)
    first = lease.acquire(dashboard, NIGHT, "dashboard")
    with pytest.raises(lease.LeaseHeld, match="dashboard consolidates 2025-12-29"):
        lease.acquire(warehouse, NIGHT, "coordinator")
    lease.release(dashboard, first)
    assert lease.acquire(warehouse, NIGHT, "coordinator").fence == 2


def test_a_running_statement_of_another_account_is_waited_for(fresh_sandbox, fresh_clients, warehouse):
    bigquery = fresh_sandbox.state.bigquery
    bigquery.latency = replace(bigquery.latency, merge_s=1.5 / bigquery.latency.scale)
    fresh_clients.bigquery.query(UPDATE, job_id="merge-of-the-dashboard", job_retry=None)
    warehouse.wait_for_job("merge-of-the-dashboard")
    assert bigquery.jobs.get("merge-of-the-dashboard").state == "DONE"


def test_without_resource_viewer_the_pipeline_cannot_read_the_dashboards_lease(fresh_sandbox, fresh_clients, warehouse):
    lease.acquire(BigQueryWarehouse(fresh_clients), NIGHT, "dashboard")
    pipeline = account_address("pipeline", fresh_sandbox.state.project)
    fresh_sandbox.state.identities.bindings.remove(Binding(pipeline, "roles/bigquery.resourceViewer"))
    with pytest.raises(AccessDenied, match=r"may not read the job .* Grant it roles/bigquery\.resourceViewer"):
        lease.acquire(warehouse, NIGHT, "coordinator")
