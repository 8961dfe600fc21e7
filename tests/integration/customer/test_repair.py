"""Their leftovers consolidated from our dashboard, while their own services may take the tables at any moment."""

from __future__ import annotations

from datetime import date

import pytest
from google.cloud import bigquery

from services.actions.executor import execute
from services.actions.log_reader import ActionState
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.nights.balance import balance
from services.nights.player_stages import read_night
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.inventory import read_inventory
from tests.support.actors import OPERATOR

EVENING_BATCH = "batch_2025-12-31_1767132000"


def find_batch(clients, prefix):
    return next(total for total in read_inventory(clients).batches if total.batch_id.startswith(prefix))


def state_of(clients, batch_id, game_date):
    batches = read_batches(clients, date.fromisoformat(game_date)).batches
    return next(batch.state for batch in batches if batch.batch_id == batch_id)


@pytest.mark.parametrize(("prefix", "game_date"), [("fallback_", "2025-12-28"), ("20251230_", "2025-12-31")])
def test_a_batch_without_a_date_in_its_id_is_consolidated_into_the_date_of_its_rows(
    customer_clients, prefix, game_date
):
    batch_id = find_batch(customer_clients, prefix).batch_id
    active = balance(read_night(customer_clients, date.fromisoformat(game_date))).active
    assert state_of(customer_clients, batch_id, game_date) is BatchState.CONSOLIDATION_FAILED
    plan = CONSOLIDATE_BATCH.plan(customer_clients, {"batch_id": batch_id})
    assert (plan.args["game_date"], plan.failed_guards) == (game_date, ())
    assert plan.changes[1].after == "25 whose key has no active row"
    action = execute(customer_clients, OPERATOR, CONSOLIDATE_BATCH, plan)
    assert action.state is ActionState.DONE, action.message
    assert action.facts["inserted"] == 25
    assert balance(read_night(customer_clients, date.fromisoformat(game_date))).active == active + 1


def test_a_batch_with_rows_of_two_dates_is_planned_by_date(customer_clients):
    source = find_batch(customer_clients, EVENING_BATCH).batch_id.replace("-", "_")
    client = customer_clients.bigquery
    table = next(t for t in client.list_tables("nba_predictions") if t.table_id.startswith(f"_staging_{source}"))
    target = "nba_predictions._staging_fallback_1767132000999_prediction_worker_00011_zw5_0a49f283"
    client.query(f"CREATE TABLE {target} AS SELECT * FROM nba_predictions.{table.table_id}").result()
    client.query(
        f"INSERT INTO {target} SELECT * REPLACE (DATE '2025-12-30' AS game_date) FROM nba_predictions.{table.table_id}"
    ).result()
    plan = CONSOLIDATE_BATCH.plan(customer_clients, {"batch_id": "fallback_1767132000999"})
    assert plan.changes[0].before == "2025-12-30: 25; 2025-12-31: 25"
    client.delete_table(target)


def test_a_table_that_their_services_drop_is_gone_at_the_next_look(customer_clients):
    client = customer_clients.bigquery
    table = "nba_predictions._staging_fallback_1767132000888_prediction_worker_00011_zw5_0a49f283"
    client.create_table(bigquery.Table(f"{client.project}.{table}", [bigquery.SchemaField("game_date", "DATE")]))
    assert find_batch(customer_clients, "fallback_1767132000888").tables == 1
    client.delete_table(table)
    assert not any(t.batch_id == "fallback_1767132000888" for t in read_inventory(customer_clients).tables)


def test_the_outcome_says_when_their_consolidator_took_the_tables_during_our_action(customer_clients, monkeypatch):
    copy = BigQueryWarehouse.copy

    def lose_all_then_copy(warehouse, sources, target, job_id):
        for table in sources:
            customer_clients.bigquery.delete_table(table, not_found_ok=True)
        return copy(warehouse, sources, target, job_id)

    plan = CONSOLIDATE_BATCH.plan(customer_clients, {"batch_id": EVENING_BATCH})
    monkeypatch.setattr(BigQueryWarehouse, "copy", lose_all_then_copy)
    action = execute(customer_clients, OPERATOR, CONSOLIDATE_BATCH, plan)
    assert action.state is ActionState.UNVERIFIED
    assert (
        "Another process consolidated or dropped 36 staging tables meanwhile. No merge by this action" in action.message
    )
