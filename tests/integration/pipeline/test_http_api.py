"""What the coordinator refuses, and what the customer's schedulers call on it: nothing is changed."""

from __future__ import annotations

import pytest
import requests

from services.pipeline.coordinator.customer_endpoints import NOT_SUPPORTED


@pytest.mark.parametrize(
    ("body", "code", "expected_text"),
    [
        ({"game_date": "29 December"}, 400, "is no date"),
        ({"game_date": "2025-12-29", "nonsense": 1}, 400, "Unknown field: nonsense"),
        ({"game_date": "2025-12-29", "players": []}, 400, "never means everybody"),
        ({"game_date": "2025-12-29", "players": ["nobody"]}, 400, "Not eligible"),
        ({"game_date": "2025-12-29", "force": "yes"}, 400, "true or false"),
        ({"game_date": "2025-12-29", "min_minutes": 48}, 404, "No players found"),
        ({"game_date": "2025-12-24"}, 200, "No games"),
        ([], 400, "JSON object"),
    ],
)
def test_an_invalid_start_request_is_rejected_and_starts_nothing(shared_pipeline, body, code, expected_text):
    actual_code, response = shared_pipeline.post("/start", body)
    assert (actual_code, expected_text in response["message"]) == (code, True), response
    assert shared_pipeline.staging_tables() == []


def test_a_start_may_lack_a_content_type_but_not_have_another(shared_pipeline):
    """Their schedulers send none; a web page can send text/plain without asking."""
    body = b'{"game_date": "2025-12-24"}'
    for declared in ({}, {"Content-Type": "application/octet-stream"}):  # Cloud Scheduler's own default
        response = requests.post(f"{shared_pipeline.address}/start", data=body, headers=declared, timeout=10)
        assert (response.status_code, response.json()["status"]) == (200, "no_games_scheduled")
    for content_type in ("text/plain", "text/plain; application/json", "application/jsonp"):
        refused = requests.post(
            f"{shared_pipeline.address}/start", body, headers={"Content-Type": content_type}, timeout=10
        )
        assert refused.status_code == 415
    assert requests.post(f"{shared_pipeline.address}/start", timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/check-stalled", {}, {"status": "checked", "batches_checked": 0, "batches_completed": 0, "results": []}),
        ("/check-stalled", {"stall_threshold_minutes": 10, "min_completion_pct": 95}, {"status": "checked"}),
        ("/cleanup-staging", {"max_age_hours": 24, "dry_run": False}, {"tables_deleted": 0, "errors": []}),
        ("/cleanup-duplicates", {"game_date": "YESTERDAY"}, {"duplicates_found": 0, "duplicates_deactivated": 0}),
        ("/complete", {"message": {"data": "e30="}}, {"status": "ignored"}),
    ],
)
def test_what_their_schedulers_call_answers_as_documented_and_deletes_nothing(shared_pipeline, path, body, expected):
    tables = [t.table_id for t in shared_pipeline.clients.bigquery.list_tables("nba_predictions")]
    code, response = shared_pipeline.post(path, body)
    assert code == 200
    assert expected.items() <= response.items()
    assert response["message"]
    assert [t.table_id for t in shared_pipeline.clients.bigquery.list_tables("nba_predictions")] == tables


@pytest.mark.parametrize("path", NOT_SUPPORTED)
def test_what_this_coordinator_does_not_do_is_refused_with_what_does(shared_pipeline, path):
    code, response = shared_pipeline.post(path, {"game_date": "2025-12-29"})
    assert (code, response["message"]) == (501, NOT_SUPPORTED[path])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/check-stalled", []),
        ("/cleanup-staging", {"max_age_hours": "old"}),
        ("/cleanup-duplicates", {"game_date": "soon"}),
        ("/complete", {"message": {}}),
    ],
)
def test_a_wrong_body_is_refused_with_a_sentence(shared_pipeline, path, body):
    code, response = shared_pipeline.post(path, body)
    assert code == 400
    assert response["message"].endswith("Nothing was changed.")


def test_an_unknown_batch_is_not_found(shared_pipeline):
    assert shared_pipeline.status("batch_2025-12-29_1")["status"] == "not_found"
    assert shared_pipeline.post("/resume", {"batch_id": "batch_2025-12-29_1"})[0] == 400


def test_a_request_without_a_body_is_one_with_the_defaults(pipeline):
    response = requests.post(f"{pipeline.address}/cleanup-staging", timeout=30)
    assert (response.status_code, response.json()["tables_found"]) == (200, response.json()["tables_skipped"])
    assert response.json()["tables_found"] > 0
    deep = requests.get(f"{pipeline.address}/health/deep", timeout=30)
    assert (deep.status_code, deep.json()["checks"]) == (200, {"ledger": "ok", "staging tables": "ok"})
    pipeline.clients.bigquery.delete_table("prediction_on_call.batches")
    deep = requests.get(f"{pipeline.address}/health/deep", timeout=30)
    assert (deep.status_code, deep.json()["status"]) == (503, "unhealthy")
