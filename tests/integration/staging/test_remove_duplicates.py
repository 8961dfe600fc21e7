"""Duplicates of a game date are removed by one statement, which can be undone exactly."""

from __future__ import annotations

from datetime import date

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.gcp.clients import connect
from services.staging.active_rows import read_active_rows
from services.staging.remove_duplicates import REMOVE_DUPLICATES, removal_reason
from services.staging.restore_duplicates import RESTORE_DUPLICATES
from tests.integration.staging.conftest import run_sql
from tests.support.actors import OPERATOR

NIGHT = date(2025, 12, 22)
WHOLE_ROW = (
    "prediction_id, game_id, player_lookup, system_id, current_points_line, predicted_points, created_at, is_active"
)


def read_night(clients):
    rows = clients.bigquery.query(f"SELECT {WHOLE_ROW} FROM {PREDICTIONS_TABLE} WHERE game_date = '{NIGHT}'").result()
    return sorted(tuple(map(str, row.values())) for row in rows)


@pytest.fixture(scope="module")
def doubled(module_sandbox):
    """A player's rows again and newer, one's lines all gone, one's rows as exact twins, one's as newer superseded rows."""
    developer = connect(Settings.from_env({"SANDBOX_URL": module_sandbox.url}))
    newer, no_line, twins, stale = sorted({key.player_lookup for key in read_active_rows(developer, NIGHT).versions})[
        :4
    ]
    of_night = f"FROM {PREDICTIONS_TABLE} WHERE game_date = '{NIGHT}' AND is_active AND player_lookup"
    later = "TIMESTAMP_ADD(created_at, INTERVAL 1 HOUR) AS created_at"
    for statement in (
        f"UPDATE {PREDICTIONS_TABLE} SET current_points_line = NULL WHERE game_date = '{NIGHT}' AND player_lookup = '{no_line}'",
        f"INSERT INTO {PREDICTIONS_TABLE} SELECT * REPLACE (CONCAT(prediction_id, 'n') AS prediction_id, {later}) {of_night} = '{newer}'",
        f"INSERT INTO {PREDICTIONS_TABLE} SELECT * {of_night} = '{twins}'",
        f"INSERT INTO {PREDICTIONS_TABLE} SELECT * REPLACE (FALSE AS is_active, {later}) {of_night} = '{stale}'",
    ):
        run_sql(developer, statement)
    return {"newer": newer, "no line": no_line, "twins": twins, "stale": stale}


def test_of_the_active_rows_of_a_key_the_newest_stays_and_the_removal_can_be_undone(
    module_clients, plan_and_execute, doubled
):
    before, active_before = read_night(module_clients), read_active_rows(module_clients, NIGHT)
    count = {name: sum(k.player_lookup == p for k in active_before.duplicates) for name, p in doubled.items()}
    assert count == {"newer": 25, "no line": 5, "twins": 25, "stale": 0}
    plan = REMOVE_DUPLICATES.plan(module_clients, {"game_date": f"{NIGHT}"})
    assert plan.title == f"Remove 70 duplicates of 55 keys · {NIGHT}"
    removed = execute(module_clients, OPERATOR, REMOVE_DUPLICATES, plan)
    assert removed.state is ActionState.DONE, removed.message
    active, after = read_active_rows(module_clients, NIGHT), read_night(module_clients)
    assert active.versions == {key: versions[:1] for key, versions in active_before.versions.items()}
    assert len(after) == len(before) + count["twins"], "no row is deleted"
    assert active.superseded[removal_reason(removed.action_id)] == 25 + 20 + 50
    with pytest.raises(ActionRefused, match="0 keys have more than one active row"):
        plan_and_execute(REMOVE_DUPLICATES, game_date=f"{NIGHT}")

    restored = plan_and_execute(RESTORE_DUPLICATES, action_id=removed.action_id)
    assert restored.state is ActionState.DONE, restored.message
    assert read_night(module_clients) == before
    with pytest.raises(ActionRefused, match="have changed since"):
        plan_and_execute(RESTORE_DUPLICATES, action_id=removed.action_id)


def test_a_restore_changes_no_row_that_was_superseded_for_another_reason(module_clients, doubled):
    before = read_night(module_clients)
    query_catalog.run_query(
        module_clients, "staging.restore_duplicates", game_date=NIGHT, removal="of no action", at=module_clients.now()
    )
    assert read_night(module_clients) == before
