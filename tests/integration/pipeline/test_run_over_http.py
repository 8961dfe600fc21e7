"""A run over HTTP, as the customer's scheduler and the dashboard start it: from 68 to 158, repeated, with answers lost."""

from __future__ import annotations

from services.batches.reader import read_batches
from services.core.tables import PREDICTIONS_TABLE
from services.runs.verification import read_run_verification
from services.sandbox.common.fault_injection import Fault
from tests.integration.pipeline.conftest import NIGHT
from tests.support.sandbox import as_developer


def test_29_december_goes_from_68_to_158_players(pipeline):
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


def test_30_december_runs_for_its_28_eligible_players_and_a_second_start_needs_force(pipeline):
    status = pipeline.run(game_date="2025-12-30")
    assert (status["sums"]["active_players"], status["sums"]["inserted"]) == (28, 700)
    code, response = pipeline.post("/start", {"game_date": "2025-12-30"})
    assert (code, response["status"]) == (409, "already_exists")
    before = pipeline.count_rows("game_date = '2025-12-30'")
    repeated = pipeline.run(game_date="2025-12-30", force=True)
    assert (repeated["sums"]["inserted"], repeated["sums"]["updated"], repeated["sums"]["unchanged"]) == (0, 0, 700)
    assert pipeline.count_rows("game_date = '2025-12-30'") == before, "a repeat changes no row"


def test_only_the_named_missing_players_are_run(pipeline):
    lost = ["garypaytonii"]
    status = pipeline.run(game_date="2025-12-29", force=True, players=lost)
    assert status["progress"]["expected"] == 1
    assert pipeline.count_rows("game_date = '2025-12-29' AND is_active")["players"] == 69


def test_lost_responses_lose_no_row_and_duplicate_no_key(pipeline):
    _, started = pipeline.post("/start", {"game_date": "2025-12-30"})
    pipeline.sandbox.state.faults.set(
        Fault("balancer", "drop_after", times=8), Fault("bigquery", "drop_after", method="insertJob", times=8)
    )
    status = pipeline.wait(started["batch_id"])
    if (
        status["sums"]["active_players"] != 28
    ):  # some deliveries ran out of tries: they are named, and resume asks again
        assert status["reason"] or status["state"] != "consolidated"
        pipeline.sandbox.state.faults.clear()
        pipeline.post("/resume", {"batch_id": status["batch_id"]})
        status = pipeline.wait(status["batch_id"])
    assert pipeline.count_rows("game_date = '2025-12-30' AND is_active") == {"n": 700, "active": 700, "players": 28}


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
