"""A run over HTTP, as the customer's scheduler and the dashboard start it: from 68 to 158, repeated, broken and resumed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import requests

from services.batches.ledger import Ledger
from services.batches.reader import read_batches
from services.core.errors import OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.coordinator.customer_endpoints import NOT_SUPPORTED
from services.pipeline.coordinator.run_request import Run, plan_run
from services.runs.verification import read_run_verification
from services.sandbox.common.fault_injection import Fault
from tests.support.concurrency import run_concurrently
from tests.support.sandbox import as_developer

NIGHT = date(2025, 12, 29)


def test_29_december_goes_from_68_to_158_players_and_a_repeat_changes_no_row(pipeline):
    status = pipeline.run(game_date="2025-12-29", force=True)
    assert (status["state"], status["conserved"]) == ("consolidated", True)
    assert (status["sums"]["active_players"], status["sums"]["active_rows"]) == (158, 3_950)
    assert pipeline.count_rows("game_date = '2025-12-29' AND is_active")["players"] == 158
    assert pipeline.staging_tables() == []
    assert not pipeline.sandbox.state.meter.calls["bigquery.TableDataService.insertAll"], (
        "what is read back is not streamed"
    )
    merges = [j for j in pipeline.clients.bigquery.list_jobs(all_users=True) if "on-call-merge" in j.job_id]
    assert [m.error_result for m in merges] == [None]

    batch = next(b for b in read_batches(pipeline.clients, NIGHT).batches if b.batch_id == status["batch_id"])
    assert [check.name for check in read_run_verification(pipeline.clients, batch) if check.ok is not True] == []
    before = pipeline.count_rows("game_date = '2025-12-29'")
    repeated = pipeline.run(game_date="2025-12-29", force=True)
    assert (repeated["sums"]["inserted"], repeated["sums"]["updated"], repeated["sums"]["unchanged"]) == (0, 0, 3_950)
    assert pipeline.count_rows("game_date = '2025-12-29'") == before


def test_30_december_runs_for_its_28_eligible_players_and_a_second_start_needs_force(pipeline):
    status = pipeline.run(game_date="2025-12-30")
    assert (status["sums"]["active_players"], status["sums"]["inserted"]) == (28, 700)
    code, response = pipeline.post("/start", {"game_date": "2025-12-30"})
    assert (code, response["status"]) == (409, "already_exists")


def test_only_the_named_missing_players_are_run(pipeline):
    lost = ["garypaytonii"]
    status = pipeline.run(game_date="2025-12-29", force=True, players=lost)
    assert status["progress"]["expected"] == 1
    assert pipeline.count_rows("game_date = '2025-12-29' AND is_active")["players"] == 69


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
def test_an_invalid_start_request_is_rejected_and_starts_nothing(pipeline, body, code, expected_text):
    actual_code, response = pipeline.post("/start", body)
    assert (actual_code, expected_text in response["message"]) == (code, True), response
    assert pipeline.staging_tables() == []


def test_a_start_may_lack_a_content_type_but_not_have_another(pipeline):
    """Their schedulers send none; a web page can send text/plain without asking."""
    body = b'{"game_date": "2025-12-24"}'
    for declared in ({}, {"Content-Type": "application/octet-stream"}):  # Cloud Scheduler's own default
        response = requests.post(f"{pipeline.address}/start", data=body, headers=declared, timeout=10)
        assert (response.status_code, response.json()["status"]) == (200, "no_games_scheduled")
    for content_type in ("text/plain", "text/plain; application/json", "application/jsonp"):
        refused = requests.post(f"{pipeline.address}/start", body, headers={"Content-Type": content_type}, timeout=10)
        assert refused.status_code == 415
    assert requests.post(f"{pipeline.address}/start", timeout=10).status_code == 400


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
def test_what_their_schedulers_call_answers_as_documented_and_deletes_nothing(pipeline, path, body, expected):
    tables = [t.table_id for t in pipeline.clients.bigquery.list_tables("nba_predictions")]
    code, response = pipeline.post(path, body)
    assert code == 200
    assert expected.items() <= response.items()
    assert response["message"]
    assert [t.table_id for t in pipeline.clients.bigquery.list_tables("nba_predictions")] == tables


def test_a_request_without_a_body_is_one_with_the_defaults(pipeline):
    response = requests.post(f"{pipeline.address}/cleanup-staging", timeout=30)
    assert (response.status_code, response.json()["tables_found"]) == (200, response.json()["tables_skipped"])
    assert response.json()["tables_found"] > 0
    deep = requests.get(f"{pipeline.address}/health/deep", timeout=30)
    assert (deep.status_code, deep.json()["checks"]) == (200, {"ledger": "ok", "staging tables": "ok"})
    pipeline.clients.bigquery.delete_table("prediction_on_call.batches")
    deep = requests.get(f"{pipeline.address}/health/deep", timeout=30)
    assert (deep.status_code, deep.json()["status"]) == (503, "unhealthy")


@pytest.mark.parametrize("path", NOT_SUPPORTED)
def test_what_this_coordinator_does_not_do_is_refused_with_what_does(pipeline, path):
    code, response = pipeline.post(path, {"game_date": "2025-12-29"})
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
def test_a_wrong_body_is_refused_with_a_sentence(pipeline, path, body):
    code, response = pipeline.post(path, body)
    assert code == 400
    assert response["message"].endswith("Nothing was changed.")


def test_an_unknown_batch_is_not_found(pipeline):
    assert pipeline.status("batch_2025-12-29_1")["status"] == "not_found"
    for path in ("/resume", "/stop"):
        assert pipeline.post(path, {"batch_id": "batch_2025-12-29_1767077100000"})[0] == 400


def test_of_two_starts_at_once_one_runs_and_the_other_is_told_its_id(pipeline):
    body = {"game_date": "2025-12-29", "force": True, "players": ["garypaytonii"]}
    answers = dict(run_concurrently(*[lambda: pipeline.post("/start", body)] * 2))
    assert answers.keys() == {202, 409}
    started, rejected = answers[202], answers[409]
    assert (rejected["status"], rejected["batch_id"]) == ("already_running", started["batch_id"])
    recorded = {batch.batch_id: batch for batch in read_batches(pipeline.clients, NIGHT).batches}[started["batch_id"]]
    assert recorded.record_source == "ledger", "its state is read at once, by the dashboard as well"
    pipeline.wait(started["batch_id"])
    batches = [b for b in read_batches(pipeline.clients, NIGHT).batches if b.record_source == "ledger"]
    assert [b.batch_id for b in batches] == [started["batch_id"]]


def test_a_coordinator_killed_after_dispatch_resumes_from_the_staged_rows(pipeline, monkeypatch):
    run = plan_run(pipeline.clients, NIGHT, started_by="test")
    assert run is not None
    activation = pipeline.coordinator.record_requested(run)
    partial_run = Run(run.batch_id, NIGHT, run.games, run.eligible, run.players[:80], "test")
    monkeypatch.setattr(Ledger, "append_outcomes", lambda *_: (_ for _ in ()).throw(OnCallError("killed")))
    pipeline.coordinator.run(replace(activation, run=partial_run))
    monkeypatch.undo()
    assert pipeline.status(run.batch_id)["state"] == "stalled"

    code, resumed = pipeline.post("/resume", {"batch_id": run.batch_id})
    assert (code, resumed["total_requests"]) == (202, 78)
    status = pipeline.wait(run.batch_id)
    assert (status["state"], status["sums"]["active_players"], status["conserved"]) == ("consolidated", 158, True)


def test_lost_responses_lose_no_row_and_duplicate_no_key(pipeline):
    _, started = pipeline.post("/start", {"game_date": "2025-12-29", "force": True})
    assert pipeline.post("/resume", {"batch_id": started["batch_id"]})[1]["status"] == "already_running"
    pipeline.sandbox.state.faults.set(
        Fault("balancer", "drop_after", times=8), Fault("bigquery", "drop_after", method="insertJob", times=8)
    )
    status = pipeline.wait(started["batch_id"])
    if (
        status["sums"]["active_players"] != 158
    ):  # some deliveries ran out of tries: they are named, and resume asks again
        assert status["reason"] or status["state"] != "consolidated"
        pipeline.sandbox.state.faults.clear()
        pipeline.post("/resume", {"batch_id": status["batch_id"]})
        status = pipeline.wait(status["batch_id"])
    assert pipeline.count_rows("game_date = '2025-12-29' AND is_active") == {
        "n": 3_950,
        "active": 3_950,
        "players": 158,
    }


def test_an_odds_line_under_another_name_reaches_the_prediction_through_the_alias(pipeline, caplog):
    """Herb Jones in the odds, Herbert Jones in the context, which therefore has no line for him."""
    player_condition = "game_date = '2025-12-29' AND player_lookup"
    eligible_columns = "avg_minutes_per_game_last_7 = 30, is_production_ready = TRUE, player_status = 'available'"
    for name in ("herbertjones", "kevinporter"):
        sql = f"UPDATE nba_analytics.upcoming_player_game_context SET {eligible_columns} WHERE {player_condition} = '{name}'"
        as_developer(pipeline.clients).bigquery.query(sql).result()
    odds = f"SELECT MAX(points_line) AS line FROM nba_raw.odds_api_player_points_props WHERE {player_condition} = 'herbjones'"
    (odds_row,) = pipeline.clients.bigquery.query(odds).result()
    with caplog.at_level("INFO", logger="coordinator"):
        status = pipeline.run(game_date="2025-12-29", players=["herbertjones", "kevinporter"], force=True)
    assert status["state"] == "consolidated"
    assert "Lines through an alias of the odds: 1 (herbertjones)" in caplog.text
    line_by_player = {
        row["player_lookup"]: (row["source"], float(row["middle"]))
        for row in pipeline.clients.bigquery.query(
            "SELECT player_lookup, ANY_VALUE(line_source) AS source, AVG(current_points_line) AS middle"
            f" FROM {PREDICTIONS_TABLE} WHERE {player_condition} IN ('herbertjones', 'kevinporter') AND is_active"
            " GROUP BY player_lookup"
        ).result()
    }
    assert line_by_player["herbertjones"] == ("ACTUAL_PROP", odds_row["line"])
    assert line_by_player["kevinporter"][0] == "ESTIMATED_AVG", "no alias leads kevinporterjr there"
