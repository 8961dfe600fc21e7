"""Who is eligible: the coordinator's query, the coverage history and the night in Python give one answer for every case."""

from __future__ import annotations

from datetime import date
from itertools import product

from services.gcp import query_catalog
from services.nights.player_stages import read_night
from services.policy.eligibility import check_eligibility, eligibility_params
from tests.support.sandbox import as_developer

EMPTY_NIGHT = date(2026, 2, 11)
MINUTES = (None, 0, 14.99, 15, 15.01, 36)
STATUSES = (None, "", "available", "OUT", "out", "Out", "DOUBTFUL", "doubtful", "Questionable", "outstanding")
READY = (None, False, True)
CASES = {f"player{i}": case for i, case in enumerate(product(MINUTES, STATUSES, READY))}


def insert_cases(clients):
    """A context row per case, on a date that has no other."""
    columns = (
        "player_lookup, game_id, game_date, avg_minutes_per_game_last_7, player_status, is_production_ready, created_at"
    )
    rows = ", ".join(
        f"('{name}', 'g1', '{EMPTY_NIGHT}', {_literal(minutes)}, {_literal(status)}, {_literal(ready)}, TIMESTAMP '2026-02-11')"
        for name, (minutes, status, ready) in CASES.items()
    )
    sql = f"INSERT nba_analytics.upcoming_player_game_context ({columns}) VALUES {rows}"
    as_developer(clients).bigquery.query(sql).result()


def _literal(value):
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value).upper()


def test_sql_and_python_agree_on_every_case_of_minutes_status_and_readiness(fresh_clients):
    insert_cases(fresh_clients)
    expected = {
        name
        for name, (minutes, status, ready) in CASES.items()
        if check_eligibility({"in_context": True, "minutes": minutes, "status": status, "ready": ready})[0]
    }
    assert {CASES[name] for name in expected} == {
        (minutes, status, True)
        for minutes, status in product((15, 15.01, 36), (None, "", "available", "Questionable", "outstanding"))
    }
    params = eligibility_params()
    requested = query_catalog.run_query(fresh_clients, "pipeline.eligible_players", game_date=EMPTY_NIGHT, **params)
    assert {row["player_lookup"] for row in requested.rows} == expected
    history = query_catalog.run_query(
        fresh_clients, "nights.coverage_history", first_date=EMPTY_NIGHT, last_date=EMPTY_NIGHT, **params
    )
    assert [(row["in_context"], row["eligible"]) for row in history.rows] == [(len(CASES), len(expected))]
    night = read_night(fresh_clients, EMPTY_NIGHT)
    assert {player.player_lookup for player in night.players if player.eligible} == expected


def test_unknown_minutes_are_not_enough_even_where_none_are_needed(fresh_clients):
    insert_cases(fresh_clients)
    rows = query_catalog.run_query(
        fresh_clients, "pipeline.eligible_players", game_date=EMPTY_NIGHT, **eligibility_params(0)
    ).rows
    assert {CASES[row["player_lookup"]][0] for row in rows} == set(MINUTES) - {None}
