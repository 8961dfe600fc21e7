"""Every query of queries/ run against the december scenario: a test gives the parameters and what the result must hold."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from services.core.tables import PREDICTIONS_TABLE, PREDICTIONS_TABLE_NAME
from services.gcp import query_catalog
from services.gcp.clients import connect
from services.names.registry import active_aliases
from services.nights.players import merge_context_and_odds
from services.policy.eligibility import eligibility_params
from tests.support.sandbox import settings_as

NIGHT, SCHEDULED, NO_GAMES = date(2025, 12, 29), date(2025, 12, 30), date(2025, 12, 24)
FORTNIGHT = {"first_date": date(2025, 12, 16), "last_date": SCHEDULED}
RUN_WINDOW = {"from_time": datetime(2025, 12, 1, tzinfo=UTC), "to_time": datetime(2026, 1, 10, tzinfo=UTC)}


@pytest.fixture
def run_query(sandbox):
    """Runs a query as the acting account, which may run those that change something as well."""
    clients = connect(settings_as(sandbox, "act"))
    return lambda name, tables=None, **params: query_catalog.run_query(clients, name, tables=tables, **params).rows


def test_nights_context_has_each_player_of_the_night_once(run_query):
    rows = run_query("nights.context", game_date=NIGHT)
    assert len({row["player_lookup"] for row in rows}) == 352


def test_nights_odds_have_each_name_as_often_as_books_offered_it(run_query):
    rows = run_query("nights.odds", game_date=NIGHT)
    assert len({row["player_lookup"] for row in rows}) == 176 < len(rows)
    assert run_query("nights.odds", game_date=NO_GAMES) == ()


def test_merged_context_and_odds_have_each_player_once(run_query):
    rows = merge_context_and_odds(
        run_query("nights.context", game_date=NIGHT), run_query("nights.odds", game_date=NIGHT), {}
    )
    assert len({row["player_lookup"] for row in rows}) == len(rows) == 352 + 15
    assert sum(bool(row["has_odds"]) for row in rows) == 176
    assert sum(bool(row["in_context"]) for row in rows) == 352


def test_merged_context_and_odds_name_an_alias_only_when_it_resolves_into_the_context(run_query):
    aliases = active_aliases(run_query("aliases.all"))
    merged = merge_context_and_odds(
        run_query("nights.context", game_date=NIGHT), run_query("nights.odds", game_date=NIGHT), aliases
    )
    rows = {row["player_lookup"]: row for row in merged}
    assert rows["herbjones"]["alias_canonical"] == "herbertjones"
    assert rows["robertwilliams"]["alias_canonical"] is None, "the stored alias points the other way"
    assert sum(row["alias_canonical"] is not None for row in rows.values()) == 7


def test_written_rows_have_every_row_of_the_predictions_table(run_query):
    rows = run_query("nights.written_rows", game_date=NIGHT)
    assert len({row["player_lookup"] for row in rows}) == 68
    assert sum(row["is_active"] for row in rows) == len(rows) == 1_700


def test_prediction_rows_have_every_row_of_a_date_with_its_version(run_query):
    rows = run_query("staging.prediction_rows", game_date=NIGHT)
    assert len({(row["prediction_id"], row["created_at"]) for row in rows}) == len(rows) == 1_700


def test_worker_runs_report_success_for_all_on_the_night_that_lost_90(run_query):
    rows = run_query("nights.worker_runs", game_date=NIGHT, **RUN_WINDOW)
    assert len(rows) == 158
    assert all(row["success"] and row["predictions_generated"] == 25 for row in rows)
    assert {row["batch_id"] for row in rows} == {"batch_2025-12-29_1767037620"}


def test_batches_player_outcomes_are_empty_before_our_coordinator_ran(run_query):
    assert run_query("batches.player_outcomes", game_date=NIGHT) == ()


def test_coverage_history_has_a_row_per_date_with_games(run_query):
    rows = {row["game_date"]: row for row in run_query("nights.coverage_history", **eligibility_params(), **FORTNIGHT)}
    assert NO_GAMES not in rows
    assert (rows[NIGHT]["active"], rows[NIGHT]["eligible"], rows[NIGHT]["in_context"], rows[NIGHT]["with_odds"]) == (
        68,
        158,
        352,
        176,
    )
    assert (rows[SCHEDULED]["games"], rows[SCHEDULED]["in_context"], rows[SCHEDULED]["active"]) == (2, 60, 0)


def test_coverage_history_reads_the_systems_from_the_data(run_query):
    rows = [
        row
        for row in run_query("nights.coverage_history", **eligibility_params(), **FORTNIGHT)
        if row["game_date"] == NIGHT
    ]
    assert len({row["system_id"] for row in rows}) == len(rows) == 5
    assert {(row["system_players"], row["system_rows"]) for row in rows} == {(68, 340)}


def test_player_history_has_each_date_with_games_and_how_far_the_player_came(run_query):
    lost = {
        row["player_lookup"] for row in run_query("pipeline.eligible_players", game_date=NIGHT, **eligibility_params())
    }
    written = {row["player_lookup"] for row in run_query("nights.written_rows", game_date=NIGHT)}
    for lookup, rows_active in ((min(lost - written), 0), (min(lost & written), 25)):
        rows = run_query("nights.player_history", player_lookup=lookup, **eligibility_params(), **FORTNIGHT)
        days = {row["game_date"]: row for row in rows}
        assert len(days) == 14
        assert NO_GAMES not in days
        night = days[NIGHT]
        assert (night["in_context"], night["eligible"], night["rows_active"], night["rows_written"]) == (
            True,
            True,
            rows_active,
            rows_active,
        )
    rows = run_query("nights.player_history", player_lookup="nobody", **eligibility_params(), **FORTNIGHT)
    assert {(row["in_context"], row["eligible"], row["rows_written"]) for row in rows} == {(False, False, 0)}


def test_batches_states_by_date_are_empty_before_our_coordinator_ran(run_query):
    assert run_query("batches.states_by_date", game_date=NIGHT) == ()


def test_pipeline_eligible_are_the_players_that_meet_minutes_status_and_readiness(run_query):
    assert len(run_query("pipeline.eligible_players", game_date=NIGHT, **eligibility_params())) == 158
    assert len(run_query("pipeline.eligible_players", game_date=SCHEDULED, **eligibility_params())) == 28
    assert run_query("pipeline.eligible_players", game_date=NIGHT, **eligibility_params(47)) == ()


def test_business_keys_are_those_of_the_date_and_of_no_other(run_query):
    rows = run_query("pipeline.business_keys", tables={"rows": PREDICTIONS_TABLE}, game_date=NIGHT)
    assert (len(rows), {row["game_date"] for row in rows}) == (1700, {NIGHT})


def test_pipeline_games_counts_the_slate(run_query):
    assert len(run_query("pipeline.games", game_date=NIGHT)) == 11
    assert run_query("pipeline.games", game_date=NO_GAMES) == ()


def test_batch_queries_by_id_return_nothing_for_an_unknown_batch(run_query):
    assert run_query("batches.states_by_id", batch_id="batch_2025-12-29_1", game_date=NIGHT) == ()
    assert run_query("batches.player_outcomes_by_id", batch_id="batch_2025-12-29_1", game_date=NIGHT) == ()


def test_first_night_is_the_first_with_context(run_query):
    assert list(run_query("nights.first_night")[0].values()) == [date(2025, 12, 16)]


def test_merge_proof_counts_the_rows_a_drop_would_lose(run_query, clients):
    prefix = "_staging_batch_2025_12_25_"
    days = {"first_date": date(2025, 12, 25), "last_date": date(2025, 12, 25)}
    tables = [
        f"nba_predictions.{table.table_id}"
        for table in clients.bigquery.list_tables("nba_predictions")
        if table.table_id.startswith(prefix)
    ]
    rows = run_query("staging.merge_proof", tables={"staging": tables}, **days)
    assert [row["our_table"] for row in rows] == sorted(tables)
    assert len(rows) == 9


# --- the catalog itself ---------------------------------------------------------------------------------------------------


def test_aliases_all_and_registry_all_return_every_row(run_query):
    aliases, registry = run_query("aliases.all"), run_query("registry.all")
    assert {"alias": "herbjones", "canonical": "herbertjones", "active": True}.items() <= next(
        row for row in aliases if row["alias"] == "herbjones"
    ).items()
    assert len(aliases) == 8
    assert {row["player_id"] for row in registry if row["player_lookup"].startswith("garytrent")} == {
        "garytrent_001",
        "garytrentjr_001",
    }


def test_aliases_unresolved_are_the_15_of_29_december_of_which_7_have_an_alias(run_query):
    rows = run_query("aliases.unresolved", first_date=NIGHT, last_date=NIGHT)
    assert len(rows) == 15
    assert sum(row["alias_canonical"] is not None for row in rows) == 7
    assert run_query("aliases.unresolved", first_date=NO_GAMES, last_date=NO_GAMES) == ()


def test_resolution_counts_count_names_by_date_and_resolution_method(run_query):
    *_, row = run_query("aliases.resolution_counts", first_date=NO_GAMES, last_date=NIGHT)
    assert row == {"game_date": NIGHT, "exact": 161, "by_alias": 7, "unresolved": 8}


def test_player_status_returns_the_newest_context_row(run_query):
    rows = run_query("aliases.player_status", lookups=["jimmybutleriii", "nobody"], first_date=NIGHT, last_date=NIGHT)
    assert [(row["player_lookup"], row["status"], row["production_ready"]) for row in rows] == [
        ("jimmybutleriii", "out", True)
    ]


def test_usage_counts_count_the_rows_of_other_tables(run_query):
    rows = {
        row["table_name"]: row["row_count"] for row in run_query("registry.usage_counts", player_ids=["nobody_001"])
    }
    assert rows == {PREDICTIONS_TABLE_NAME: 0, "upcoming_player_game_context": 0}


def test_upsert_and_reassign_player_id_change_nothing_when_nothing_is_as_expected(run_query, clients):
    """What they do when it is as expected is tested with the actions."""
    expected = {"expected_rows": 9, "expected_active": 9, "expected_latest": clients.now()}
    row = '{"alias": "x", "canonical": "herbertjones", "active": "true", "delete_row": "false"}'
    run_query("aliases.upsert", rows=[row], touched_names=["x"], **expected)
    run_query("registry.reassign_player_id", rows=["garytrent MIL 2025-26"], from_id="nobody_001", to_id="x_001")
    assert len(run_query("aliases.all")) == 8
    assert not [row for row in run_query("registry.all") if row["player_id"] == "x_001"]


def test_dml_jobs_are_the_statements_against_one_table_whatever_became_of_them(run_query):
    arguments = {
        "tables": {"jobs": "region-us.INFORMATION_SCHEMA.JOBS"},
        "start": datetime(2025, 12, 29, 11, tzinfo=UTC),
        "until": datetime(2025, 12, 30, 11, tzinfo=UTC),
        "dataset": "nba_predictions",
        "table_name": PREDICTIONS_TABLE_NAME,
    }
    rows = run_query("telemetry.dml_jobs", statements=["MERGE", "UPDATE", "DELETE"], **arguments)
    assert (len(rows), sum(row["reason"] is not None for row in rows)) == (158, 90)
    assert [row["creation_time"] for row in rows] == sorted(row["creation_time"] for row in rows)
    assert run_query("telemetry.dml_jobs", statements=["DELETE"], **arguments) == ()
