"""The queries of the action log and of the merge proof, run against the emulator."""

from datetime import date, timedelta

from services.actions import log_writer
from services.actions.log_reader import ActionState
from services.auth.roles import Actor, Role
from services.gcp import query_catalog
from services.scaling.actions import SCALE_DOWN

LOG_COLUMNS = {"action_id", "event", "recorded_at", "actor", "role", "reason", "state", "sentence", "plan", "facts"}


def _with_json_read(row):
    """A listing brings JSON read, a query its text."""
    return {**row, **{column: query_catalog.parse_json_column(row[column]) for column in ("plan", "facts")}}


def test_append_writes_one_row_that_the_log_id_and_key_queries_find(module_clients):
    plan = SCALE_DOWN.plan(module_clients, {})
    row = log_writer.ActionRecord("an-action", Actor("nora", Role.OPERATOR), plan, 0, "why").row(
        module_clients.now(), "intent", ActionState.IN_PROGRESS, "begun", {"job": "j1"}
    )
    query_catalog.run_query(module_clients, "actions.append", **row)
    day = timedelta(days=1)
    log_rows = query_catalog.run_query(
        module_clients, "actions.between", start=module_clients.now() - day, until=module_clients.now() + day
    ).rows
    by_id_rows = query_catalog.run_query(module_clients, "actions.by_id", action_id="an-action").rows
    by_key_rows = query_catalog.run_query(module_clients, "actions.by_key", action_key=plan.key).rows
    assert by_id_rows == by_key_rows
    assert [_with_json_read(row) for row in log_rows] == [_with_json_read(row) for row in by_id_rows]
    assert set(by_id_rows[0]) >= LOG_COLUMNS
    assert by_id_rows[0]["facts"] == '{"job":"j1"}'
    assert not query_catalog.run_query(
        module_clients, "actions.between", start=module_clients.now() + day, until=module_clients.now() + 2 * day
    ).rows


def test_merge_proof_compares_keys_as_decimals_and_values_null_safely(module_clients):
    name = next(
        t.table_id for t in module_clients.bigquery.list_tables("nba_predictions") if "_2025_12_23_" in t.table_id
    )
    tables = {"staging": [f"nba_predictions.{name}"]}
    day = date(2025, 12, 23)

    def proof():
        return query_catalog.run_query(
            module_clients, "staging.merge_proof", tables=tables, first_date=day, last_date=day
        ).rows[0]

    before = proof()
    assert (before["staged_rows"], before["missing_rows"], before["changed_rows"]) == (25, 0, 0)
    module_clients.bigquery.query(
        f"UPDATE nba_predictions.{name} SET current_points_line = NULL WHERE system_id = 'xgboost_v1'"
    ).result()
    after = proof()
    assert (after["missing_rows"], after["changed_rows"]) == (5, 0), "a missing line is a key of its own"
    assert after["fingerprint"] != before["fingerprint"]
    dates = query_catalog.run_query(module_clients, "staging.date_range", tables=tables).rows[0]
    assert (dates["first_date"], dates["last_date"]) == (day, day)


def test_the_server_time_query_reads_no_table_and_bills_nothing(module_clients):
    query_result = query_catalog.run_query(module_clients, "actions.server_time")
    assert query_result.rows == ({"ping": 1},)
    assert query_result.source.bytes_billed == 0
