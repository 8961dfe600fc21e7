"""That a batch's states and its players' outcomes are stored as they were given, for nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from services.batches.reader import read_open_dates
from services.gcp import query_catalog

BATCH: dict[str, Any] = {"batch_id": "batch_2025-12-27_1766880000000", "game_date": date(2025, 12, 27)}


def test_a_state_is_stored_with_its_counts_and_its_details(module_clients):
    at = module_clients.now()
    counts = dict.fromkeys(query_catalog.load("batches.append_state").params)
    row = (
        counts | BATCH | {"sequence": 1, "state": "staged", "recorded_at": at, "staged_rows": 25, "reason": "it’s “ok”"}
    )
    row["details"] = json.dumps({"a": [1]})
    inserted = query_catalog.run_query(module_clients, "batches.append_state", **row)
    assert inserted.source.bytes_billed == 0
    (stored,) = query_catalog.run_query(module_clients, "batches.states_by_id", **BATCH).rows
    assert {**stored, "details": query_catalog.parse_json_column(stored["details"])} == row | {"details": {"a": [1]}}
    (listed,) = query_catalog.run_query(module_clients, "batches.states_by_date", game_date=BATCH["game_date"]).rows
    assert listed.items() <= stored.items()
    assert read_open_dates(module_clients, date(2025, 12, 20), BATCH["game_date"]) == {BATCH["game_date"]}
    assert read_open_dates(module_clients, date(2025, 12, 28), date(2025, 12, 29)) == frozenset()
    ended = counts | BATCH | {"sequence": 2, "state": "consolidated", "recorded_at": at, "details": "{}"}
    query_catalog.run_query(module_clients, "batches.append_state", **ended)
    assert read_open_dates(module_clients, date(2025, 12, 20), BATCH["game_date"]) == frozenset()
    days = {"first_date": BATCH["game_date"], "last_date": BATCH["game_date"]}
    states = query_catalog.run_query(module_clients, "batches.states_between", **days)
    assert (sorted(row["state"] for row in states.rows), states.source.bytes_billed) == (["consolidated", "staged"], 0)


def test_outcomes_are_stored_with_numbers_as_numbers_and_nothing_as_null(module_clients):
    outcome = {"player_lookup": "p", "unit": "p_p", "outcome": "staged", "recorded_at": "2025-12-28T05:00:00.123456Z"}
    items = [json.dumps(outcome | {"staged_rows": 25, "produced_rows": None, "message": 'a "b"\nc'})]
    inserted = query_catalog.run_query(module_clients, "batches.append_outcomes", **BATCH, rows=items)
    assert inserted.source.bytes_billed == 0
    (stored,) = query_catalog.run_query(module_clients, "batches.player_outcomes_by_id", **BATCH).rows
    assert (stored["staged_rows"], stored["produced_rows"], stored["message"]) == (25, None, 'a "b"\nc')
    assert stored["recorded_at"].isoformat() == "2025-12-28T05:00:00.123456+00:00"
