"""A leftover batch is consolidated as an action, with its coverage recorded."""

from __future__ import annotations

import pytest

from services.actions.executor import execute
from services.actions.log_reader import ActionState
from services.core.errors import InvalidInput
from services.staging.consolidate import CONSOLIDATE_BATCH
from tests.integration.staging.conftest import list_staging_tables
from tests.integration.staging.test_drop import LEFTOVER_BATCH
from tests.support.actors import OPERATOR


def test_nothing_is_consolidated_while_a_batch_of_the_date_has_just_begun(module_clients, start_batch):
    start_batch("batch_2025-12-25_1766690000000")
    plan = CONSOLIDATE_BATCH.plan(module_clients, {"batch_id": LEFTOVER_BATCH})
    assert [guard.message for guard in plan.failed_guards] == ["batch_2025-12-25_1766690000000 is running."]


def test_a_leftover_batch_is_consolidated_and_its_coverage_is_recorded(
    module_clients, plan_and_execute, unmerged_tables
):
    plan = CONSOLIDATE_BATCH.plan(module_clients, {"batch_id": LEFTOVER_BATCH})
    assert plan.title == f"Consolidate 225 rows of 9 staging tables · {LEFTOVER_BATCH}"
    assert plan.changes[1].after == "225 whose key has no active row"
    action = execute(module_clients, OPERATOR, CONSOLIDATE_BATCH, plan)
    assert action.state is ActionState.DONE, action.message
    assert (action.facts["inserted"], action.facts["updated"]) == (225, 0)
    assert action.coverage_before is not None
    assert action.coverage_after is not None
    assert (action.coverage_before.active, action.coverage_after.active, action.coverage_after.eligible) == (63, 72, 72)
    assert list_staging_tables(module_clients, "batch_2025_12_25") == []
    with pytest.raises(InvalidInput, match="no staging table"):
        CONSOLIDATE_BATCH.plan(module_clients, {"batch_id": LEFTOVER_BATCH})


@pytest.mark.parametrize("batch", ["", "batch_yesterday_1", "_staging_batch_2025_12_25_1766680200"])
def test_an_invalid_batch_id_is_refused_with_a_message(module_clients, batch):
    with pytest.raises(InvalidInput, match="is not a batch"):
        CONSOLIDATE_BATCH.plan(module_clients, {"batch_id": batch})
