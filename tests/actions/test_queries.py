"""Each question of the actions against the emulator, by a case one can read."""

from datetime import date, timedelta

from services.actions import log_writer as record
from services.actions.log_reader import State
from services.auth.roles import Actor, Role
from services.gcp import query_catalog as catalog
from services.scaling.actions import NARROW

COLUMNS = {"action_id", "event", "recorded_at", "actor", "role", "reason", "state", "sentence", "plan", "facts"}


def test_append_writes_one_row_that_log_one_and_same_key_find(desk):
    plan = NARROW.plan(desk, {})
    row = record.Entry("an-action", Actor("nora", Role.OPERATOR), plan, 0, "why").row(
        desk.now(), "intent", State.UNDER_WAY, "begun", {"job": "j1"}
    )
    catalog.run(desk, "actions.append", **row)
    day = timedelta(days=1)
    log = catalog.run(desk, "actions.log", start=desk.now() - day, until=desk.now() + day).rows
    one = catalog.run(desk, "actions.one", action_id="an-action").rows
    same = catalog.run(desk, "actions.same_key", action_key=plan.key).rows
    assert log == one == same
    assert set(one[0]) >= COLUMNS
    assert one[0]["facts"] == '{"job":"j1"}'
    assert not catalog.run(desk, "actions.log", start=desk.now() + day, until=desk.now() + 2 * day).rows


def test_proof_compares_keys_as_decimals_and_values_null_safely(desk):
    name = next(t.table_id for t in desk.bigquery.list_tables("nba_predictions") if "_2025_12_23_" in t.table_id)
    tables, suffixes = {"staging": f"nba_predictions.{name[:-1]}*"}, [name[-1]]
    day = date(2025, 12, 23)

    def proof():
        return catalog.run(desk, "actions.proof", tables=tables, suffixes=suffixes, first_date=day, last_date=day).rows[
            0
        ]

    before = proof()
    assert (before["staged_rows"], before["absent_rows"], before["differing_rows"]) == (25, 0, 0)
    desk.bigquery.query(
        f"UPDATE nba_predictions.{name} SET current_points_line = NULL WHERE system_id = 'xgboost_v1'"
    ).result()
    after = proof()
    assert (after["absent_rows"], after["differing_rows"]) == (5, 0), "a missing line is a key of its own"
    assert after["fingerprint"] != before["fingerprint"]
    dates = catalog.run(desk, "actions.staged_dates", tables=tables, suffixes=suffixes).rows[0]
    assert (dates["first_date"], dates["last_date"]) == (day, day)


def test_nothing_asks_nothing_and_bills_nothing(desk):
    answer = catalog.run(desk, "actions.nothing")
    assert answer.rows == ({"nothing": 1},)
    assert answer.source.bytes_billed == 0
