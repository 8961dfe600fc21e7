"""The customer's other endpoints: what they count is right, what they leave alone stays, and what is unreadable is not healthy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.batches.ledger import Ledger
from services.batches.state import STALL_TIMEOUT, BatchState
from services.core.clock import eastern_day
from services.core.errors import InvalidInput
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.coordinator import customer_endpoints as endpoints
from tests.support.memory_rows import NIGHT, prediction_row

UNKNOWN = "batch_2025-12-29_1"


def fail(call, phase, _subject):
    if (call, phase) == ("tables.list", "before"):
        raise ConnectionError("down")


def test_deep_health_reads_the_ledger_and_the_staging_tables(night):
    assert endpoints.deep_health(night.clients(), {}) == (
        200,
        {"status": "healthy", "checks": {"ledger": "ok", "staging tables": "ok"}},
    )
    code, body = endpoints.deep_health(night.clients(fail), {})
    assert (code, body["status"], body["checks"]["ledger"]) == (503, "unhealthy", "ok")
    assert body["checks"]["staging tables"].startswith("BigQuery tables.list unavailable: down")


def test_the_batches_in_progress_of_three_days_are_checked(night):
    batch_id = night.requested().entry.batch_id
    running = {
        "batch_id": batch_id,
        "was_stalled": False,
        "progress": {"expected": 3, "completed": None, "state": "requested"},
        "action": "none",
    }
    start = night.clock.at
    assert endpoints.check_stalled(night.clients(), {"anything": "else"})[1] == {
        "status": "checked",
        "batches_checked": 1,
        "batches_completed": 0,
        "results": [running],
        "message": "A stalled batch is not completed here: POST /resume requests the rest of it.",
    }
    distance = (NIGHT - eastern_day(start)).days
    for days, found in ((-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)):
        night.clock.at = start + timedelta(days=distance + days)
        assert endpoints.check_stalled(night.clients(), {})[1]["batches_checked"] == found
    night.clock.at = start + STALL_TIMEOUT + timedelta(seconds=1)
    (stalled,) = endpoints.check_stalled(night.clients(), {})[1]["results"]
    assert (stalled["was_stalled"], stalled["action"], stalled["progress"]["state"]) == (
        True,
        "POST /resume",
        "stalled",
    )


def test_a_batch_that_is_done_is_checked_only_by_its_id(night):
    entry = night.requested().entry
    batch_id = entry.batch_id
    Ledger(night.clients()).append_state(replace(entry, state=BatchState.CONSOLIDATED, sequence=2, generated=3))
    assert endpoints.check_stalled(night.clients(), {})[1]["results"] == []
    (done,) = endpoints.check_stalled(night.clients(), {"batch_id": batch_id})[1]["results"]
    assert done["progress"] == {"expected": 3, "completed": 3, "state": "consolidated"}
    assert endpoints.check_stalled(night.clients(), {"batch_id": UNKNOWN})[1]["results"] == []


def test_old_staging_tables_are_counted_and_none_is_dropped(night):
    fields = night.project.tables[PREDICTIONS_TABLE].fields
    for hours in (30, 24, 0):
        night.clock.at += timedelta(hours=30 - hours)
        night.project.create_table(f"nba_predictions._staging_batch_2025_12_29_1_p_{hours}", fields)
        night.clock.at -= timedelta(hours=30 - hours)
    night.clock.at += timedelta(hours=30)
    tables = night.staging_tables()
    for body, found in (({}, 1), ({"max_age_hours": 23.9, "dry_run": False}, 2), ({"max_age_hours": 0}, 2)):
        code, answer = endpoints.cleanup_staging(night.clients(), body)
        assert (code, answer["tables_found"], answer["tables_skipped"]) == (200, found, found)
        assert (answer["tables_deleted"], answer["errors"]) == (0, [])
    assert night.staging_tables() == tables


@pytest.mark.parametrize(
    ("body", "days", "game_date"),
    [
        ({}, 0, None),
        ({"game_date": "today"}, 0, None),
        ({"game_date": "YESTERDAY"}, 1, None),
        ({"game_date": "2025-12-29"}, 0, NIGHT),
    ],
)
def test_keys_with_several_active_rows_are_counted_and_stay(night, body, days, game_date):
    day = game_date or eastern_day(night.clock.now()) - timedelta(days=days)
    twins = [prediction_row("brunson", prediction_id=str(n), game_date=day) for n in range(3)]
    night.project.insert(PREDICTIONS_TABLE, [*twins, prediction_row("hart", game_date=day)])
    before = night.project.rows(PREDICTIONS_TABLE)
    code, answer = endpoints.cleanup_duplicates(night.clients(), body)
    assert (code, answer["game_date"], answer["duplicates_found"]) == (200, str(day), 1)
    assert answer["duplicates_deactivated"] == 0
    assert night.project.rows(PREDICTIONS_TABLE) == before
    other = endpoints.cleanup_duplicates(night.clients(), {"game_date": str(date(2025, 12, 1))})[1]
    assert other["duplicates_found"] == 0


def test_a_completion_message_is_acknowledged_and_anything_else_is_not(night):
    code, answer = endpoints.complete(night.clients(), {"message": {"data": "e30="}, "subscription": "s"})
    assert (code, answer["status"]) == (200, "ignored")


@pytest.mark.parametrize(
    ("endpoint", "body", "sentence"),
    [
        (endpoints.complete, {}, "message: Field required. Nothing was changed."),
        (endpoints.complete, {"message": {}}, "message.data: Field required. Nothing was changed."),
        (
            endpoints.cleanup_staging,
            {"max_age_hours": -1},
            "max_age_hours: Input should be greater than or equal to 0. Nothing was changed.",
        ),
        (
            endpoints.check_stalled,
            {"batch_id": 5},
            "batch_id: Input should be a valid string. Nothing was changed.",
        ),
    ],
)
def test_a_body_that_cannot_be_read_changes_nothing(night, endpoint, body, sentence):
    with pytest.raises(InvalidInput) as refusal:
        endpoint(night.clients(), body)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize("endpoint", [endpoints.check_stalled, endpoints.cleanup_staging, endpoints.cleanup_duplicates])
def test_a_body_that_is_no_object_is_named_as_the_body(night, endpoint):
    with pytest.raises(InvalidInput, match=r"^The body: Input should be a valid dictionary"):
        endpoint(night.clients(), [])


def test_a_date_that_is_none_is_refused(night):
    with pytest.raises(InvalidInput, match=r"^game_date"):
        endpoints.cleanup_duplicates(night.clients(), {"game_date": "tomorrow"})
