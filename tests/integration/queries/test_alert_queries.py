"""What the watchdog's own queries return from the seeded fortnight, and that an alert event is stored whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.alerts.source_times import find_stale_sources, read_source_times
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog


def test_duplicate_keys_counts_keys_with_two_active_rows(fresh_clients):
    def count_duplicates():
        rows = query_catalog.run_query(
            fresh_clients, "alerts.duplicate_keys", first_date=date(2025, 12, 22), last_date=date(2025, 12, 31)
        ).rows
        return {row["game_date"]: row["duplicate_keys"] for row in rows}

    assert count_duplicates() == {}
    table = PREDICTIONS_TABLE
    fresh_clients.bigquery.query(
        f"INSERT INTO {table} SELECT * FROM {table} WHERE game_date = '2025-12-26' AND is_active LIMIT 3"
    ).result()
    assert count_duplicates() == {date(2025, 12, 26): 3}


def test_source_times_are_the_newest_rows_at_all_and_by_the_deadline(clients):
    rows = query_catalog.run_query(
        clients, "alerts.source_times", first_date=date(2025, 12, 28), last_date=date(2025, 12, 29), deadline_min=90
    ).rows
    assert [(row["game_date"].day, row["source"]) for row in rows] == [
        (28, "context"), (28, "odds"), (29, "context"), (29, "odds"),
    ]  # fmt: skip
    context, odds = rows[2:]
    deadline = datetime(2025, 12, 29, 22, 30, tzinfo=UTC)
    assert context["deadline"] == odds["deadline"] == deadline
    assert context["newest"] == context["newest_at_deadline"] == datetime(2025, 12, 29, 15, 40, tzinfo=UTC)
    assert (odds["newest"], odds["newest_at_deadline"]) == (deadline + timedelta(hours=1.5), deadline)


def test_no_source_of_the_fortnight_is_stale(clients):
    """Any night of it, checked at its deadline and later: no false alarm."""
    days = [date(2025, 12, 16) + timedelta(days=n) for n in range(15)]
    behind = {
        (day, stale.source): stale.behind
        for day in days
        for stale in find_stale_sources(read_source_times(clients, day), day)
    }
    assert len(behind) > 15, "most nights have usual ones before them"
    assert max(behind.values()) <= timedelta(hours=1), behind


def test_an_appended_alert_event_is_read_back_as_it_was_written(fresh_clients):
    event: dict[str, Any] = {
        "alert_id": "an-alert",
        "sequence": 1,
        "event": "opened",
        "recorded_at": datetime(2025, 12, 30, 1, 45, tzinfo=UTC),
        "recorded_by": "host:1",
        "actor": "watchdog",
        "cause": "rejected-writes",
        "game_date": date(2025, 12, 29),
        "severity": "critical",
        "rule": "rejected writes",
        "sentence": "90 players were rejected.",
        "reason": "",
        "silent_until": None,
        "message_id": "",
        "facts": '{"players": 90}',
    }
    query_catalog.run_query(fresh_clients, "alerts.append", **event)
    at, hour = event["recorded_at"], timedelta(hours=1)
    for query, params in (
        ("alerts.events", {"start": at}),
        ("alerts.open_before", {"first": at, "until": at + hour}),
    ):
        [row] = query_catalog.run_query(fresh_clients, query, **params).rows
        assert {**row, "facts": query_catalog.parse_json_column(row["facts"])} == {**event, "facts": {"players": 90}}
    assert query_catalog.run_query(fresh_clients, "alerts.events", start=at + hour).rows == ()
    assert query_catalog.run_query(fresh_clients, "alerts.open_before", first=at - hour, until=at).rows == ()
    ended = {**event, "sequence": 2, "event": "resolved", "recorded_at": at + hour}
    query_catalog.run_query(fresh_clients, "alerts.append", **ended)
    before, after = ({"first": at, "until": at + hours * hour} for hours in (1, 2))
    assert len(query_catalog.run_query(fresh_clients, "alerts.open_before", **before).rows) == 1
    assert query_catalog.run_query(fresh_clients, "alerts.open_before", **after).rows == ()
