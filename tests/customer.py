"""A dataset shaped like the customer's live one: where it differs from what is declared, this one differs too.

Their predictions table is not partitioned and has columns that nobody here knows; what is declared as required may be NULL; the
odds carry the league's own game ids; some logs come as JSON, and the coordinator's warnings twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, plant, start_sandbox

PREDICTIONS = "nba_predictions.player_prop_predictions"
CONTEXT = "nba_analytics.upcoming_player_game_context"
ODDS = "nba_raw.odds_api_player_points_props"
RUNS = "nba_predictions.prediction_worker_runs"
NIGHT = "2025-12-29"
FAST = Speed(scale=0.01)
# Half of the columns that theirs has beside ours, with one of every type.
MORE = {
    "filter_reason": "STRING",
    "invalidated_at": "TIMESTAMP",
    "default_feature_count": "INT64",
    "forced_prediction": "BOOL",
    "features_snapshot": "JSON",
    "superseded_metadata": "JSON",
    "line_minutes_before_game": "INT64",
    "build_commit_sha": "STRING",
}


@contextmanager
def customers_cloud() -> Iterator[Sandbox]:
    """A cloud of theirs with December in it; our own tables are there, as deploy/apply.sh makes them."""
    sandbox, declared = start_sandbox(speed=FAST), start_sandbox(Seed(), speed=FAST)
    try:
        seed = as_theirs(build())
        doors = connect(Settings.from_env({"SANDBOX_URL": sandbox.address})).bigquery
        original = connect(Settings.from_env({"SANDBOX_URL": declared.address})).bigquery
        for dataset in ("nba_predictions", "nba_analytics", "nba_raw", "nba_reference"):
            doors.create_dataset(dataset)
            for each in original.list_tables(dataset):
                doors.create_table(_loosely(original.get_table(each)))
        predictions = seed.tables[PREDICTIONS]
        plant(sandbox, replace(seed, tables={n: rows for n, rows in seed.tables.items() if n != PREDICTIONS}))
        _unpartitioned(doors, predictions)
        yield sandbox
    finally:
        declared.stop()
        sandbox.stop()


def _loosely(table: bigquery.Table) -> bigquery.Table:
    """The same table, with every column allowed to be NULL."""
    columns = [
        bigquery.SchemaField(f.name, f.field_type, "REPEATED" if f.mode == "REPEATED" else "NULLABLE")
        for f in table.schema
    ]
    made = bigquery.Table(table.reference, columns)
    made.time_partitioning = table.time_partitioning
    return made


def _unpartitioned(doors: bigquery.Client, rows: list[dict[str, Any]]) -> None:
    """Their predictions table: made last, because the sandbox's own declaration would partition it."""
    columns = [*doors.get_table(PREDICTIONS).schema, *(bigquery.SchemaField(name, kind) for name, kind in MORE.items())]
    doors.delete_table(PREDICTIONS)
    doors.create_table(bigquery.Table(f"{doors.project}.{PREDICTIONS}", columns))
    doors.load_table_from_json(rows, PREDICTIONS, job_config=bigquery.LoadJobConfig(schema=columns)).result()


def as_theirs(seed: Seed) -> Seed:
    tables = {name: [dict(row) for row in rows] for name, rows in seed.tables.items()}
    for row in tables[ODDS]:
        row["game_id"] = f"00225{abs(hash(row['game_id'])) % 100_000:05d}"
    for table, rows in _holes().items():
        tables[table] += rows
    for number, row in enumerate(tables[PREDICTIONS]):
        row["superseded"] = None
        row["filter_reason"] = "none" if number % 2 else None
    return replace(seed, tables=tables, log_entries=[*map(_as_logged, range(len(seed.log_entries)), seed.log_entries)])


def _holes() -> Mapping[str, list[dict[str, Any]]]:
    """Rows with NULL where the declaration says that there is always something."""
    return {
        CONTEXT: [{"game_date": NIGHT}, {"game_date": NIGHT, "player_lookup": "nobodyknown"}],
        ODDS: [{"game_date": NIGHT}, {"game_date": NIGHT, "player_lookup": "onlyodds"}],
        PREDICTIONS: [{"game_date": NIGHT}, {"game_date": NIGHT, "player_lookup": "nobodyknown", "system_id": "x"}],
        RUNS: [
            {"game_date": NIGHT, "run_date": f"{NIGHT}T19:50:00Z"},
            {"game_date": NIGHT, "run_date": f"{NIGHT}T19:50:00Z", "player_lookup": "nobodyknown"},
        ],
        "nba_reference.player_aliases": [{"alias_lookup": "herb"}, {"nba_canonical_lookup": "jones"}],
        "nba_reference.nba_players_registry": [{"player_lookup": "nobodyknown"}, {"player_name": "No Body"}],
        "nba_reference.unresolved_player_names": [{"original_name": "No Body"}],
    }


def _as_logged(number: int, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every third line as JSON, as their structured logging writes it."""
    if number % 3 or "textPayload" not in entry:
        return entry
    told = {name: value for name, value in entry.items() if name != "textPayload"}
    return {**told, "jsonPayload": {"message": entry["textPayload"], "event_type": "log"}}
