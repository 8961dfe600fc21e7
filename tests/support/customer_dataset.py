"""A dataset shaped like the customer's live one: where it differs from what is declared, this one differs too.

Their predictions table is not partitioned and has columns that this project does not declare; what is declared as required may be NULL; the
odds carry the league's own game ids; some logs come as JSON, and the coordinator's warnings twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from google.cloud import bigquery

from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, load_seed, start_sandbox

CONTEXT = "nba_analytics.upcoming_player_game_context"
ODDS = "nba_raw.odds_api_player_points_props"
RUNS = "nba_predictions.prediction_worker_runs"
NIGHT = "2025-12-29"
FAST = JobLatency(scale=0.01)
# Half of the columns that theirs has beside ours, with one of every type.
EXTRA_COLUMNS = {
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
def customer_sandbox() -> Iterator[Sandbox]:
    """A cloud of theirs with December in it; our own tables are there, as deploy/apply.sh makes them."""
    sandbox, declared = start_sandbox(latency=FAST), start_sandbox(Seed(), latency=FAST)
    try:
        seed = to_customer_seed(build_seed())
        customer_bigquery = connect(Settings.from_env({"SANDBOX_URL": sandbox.url})).bigquery
        declared_bigquery = connect(Settings.from_env({"SANDBOX_URL": declared.url})).bigquery
        for dataset in ("nba_predictions", "nba_analytics", "nba_raw", "nba_reference"):
            customer_bigquery.create_dataset(dataset)
            for listed_table in declared_bigquery.list_tables(dataset):
                customer_bigquery.create_table(_with_nullable_columns(declared_bigquery.get_table(listed_table)))
        predictions = seed.tables[PREDICTIONS_TABLE]
        load_seed(sandbox, replace(seed, tables={n: rows for n, rows in seed.tables.items() if n != PREDICTIONS_TABLE}))
        _recreate_predictions_unpartitioned(customer_bigquery, predictions)
        yield sandbox
    finally:
        declared.stop()
        sandbox.stop()


def _with_nullable_columns(table: bigquery.Table) -> bigquery.Table:
    """The same table, with every column allowed to be NULL."""
    columns = [
        bigquery.SchemaField(f.name, f.field_type, "REPEATED" if f.mode == "REPEATED" else "NULLABLE")
        for f in table.schema
    ]
    copy = bigquery.Table(table.reference, columns)
    copy.time_partitioning = table.time_partitioning
    return copy


def _recreate_predictions_unpartitioned(client: bigquery.Client, rows: Sequence[Mapping[str, Any]]) -> None:
    """Their predictions table: made last, because the sandbox's own declaration would partition it."""
    columns = [
        *client.get_table(PREDICTIONS_TABLE).schema,
        *(bigquery.SchemaField(name, kind) for name, kind in EXTRA_COLUMNS.items()),
    ]
    client.delete_table(PREDICTIONS_TABLE)
    client.create_table(bigquery.Table(f"{client.project}.{PREDICTIONS_TABLE}", columns))
    client.load_table_from_json(
        map(dict, rows), PREDICTIONS_TABLE, job_config=bigquery.LoadJobConfig(schema=columns)
    ).result()


def to_customer_seed(seed: Seed) -> Seed:
    tables = {name: [dict(row) for row in rows] for name, rows in seed.tables.items()}
    for row in tables[ODDS]:
        row["game_id"] = f"00225{abs(hash(row['game_id'])) % 100_000:05d}"
    for table, rows in _rows_with_nulls().items():
        tables[table] += rows
    for number, row in enumerate(tables[PREDICTIONS_TABLE]):
        row["superseded"] = None
        row["filter_reason"] = "none" if number % 2 else None
    return replace(
        seed, tables=tables, log_entries=[*map(_as_structured_entry, range(len(seed.log_entries)), seed.log_entries)]
    )


def _rows_with_nulls() -> Mapping[str, list[dict[str, Any]]]:
    """Rows with NULL where the declaration says that there is always something."""
    return {
        CONTEXT: [{"game_date": NIGHT}, {"game_date": NIGHT, "player_lookup": "nobodyknown"}],
        ODDS: [{"game_date": NIGHT}, {"game_date": NIGHT, "player_lookup": "onlyodds"}],
        PREDICTIONS_TABLE: [
            {"game_date": NIGHT},
            {"game_date": NIGHT, "player_lookup": "nobodyknown", "system_id": "x"},
        ],
        RUNS: [
            {"game_date": NIGHT, "run_date": f"{NIGHT}T19:50:00Z"},
            {"game_date": NIGHT, "run_date": f"{NIGHT}T19:50:00Z", "player_lookup": "nobodyknown"},
        ],
        "nba_reference.player_aliases": [{"alias_lookup": "herb"}, {"nba_canonical_lookup": "jones"}],
        "nba_reference.nba_players_registry": [{"player_lookup": "nobodyknown"}, {"player_name": "No Body"}],
        "nba_reference.unresolved_player_names": [{"original_name": "No Body"}],
    }


def _as_structured_entry(index: int, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every third line as JSON, as their structured logging writes it."""
    if index % 3 or "textPayload" not in entry:
        return entry
    fields = {name: value for name, value in entry.items() if name != "textPayload"}
    return {**fields, "jsonPayload": {"message": entry["textPayload"], "event_type": "log"}}
