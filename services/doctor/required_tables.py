"""The tables that the dashboard needs: the columns its queries name, and what is lost without each table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.cloud import bigquery

from services.core.commands import bq_query_command
from services.core.errors import OnCallError, TableNotFound
from services.core.result import Health
from services.core.tables import PREDICTIONS_TABLE
from services.doctor.check_result import TIMEOUT_S, CheckResult, deploy_command, from_error
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

STANDARD_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
NUMERIC_TYPES = {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"}  # every query casts them, so any of them will do


@dataclass(frozen=True)
class RequiredTable:
    """One table. `consequence` ends the sentence "… is not there: "."""

    name: str
    columns: Mapping[str, str]
    consequence: str
    required: bool = True
    partitioned_by: str = ""
    clustered_by: str = ""

    @property
    def is_own(self) -> bool:
        return self.name.startswith("prediction_on_call.")


def _parse_columns(spec: str) -> dict[str, str]:
    """`name TYPE, name TYPE` as a mapping."""
    return {column.split()[0]: column.split()[1] for column in spec.split(",")}


REQUIRED_TABLES = (
    RequiredTable(
        PREDICTIONS_TABLE,
        _parse_columns(
            "prediction_id STRING, system_id STRING, player_lookup STRING, game_date DATE, game_id STRING,"
            " current_points_line NUMERIC, is_active BOOL, superseded BOOL, created_at TIMESTAMP"
        ),
        "coverage, missing players and every proof need it",
        partitioned_by="game_date",
        clustered_by="system_id, player_lookup",
    ),
    RequiredTable(
        "nba_analytics.upcoming_player_game_context",
        _parse_columns(
            "player_lookup STRING, game_id STRING, game_date DATE, team_abbr STRING,"
            " opponent_team_abbr STRING, avg_minutes_per_game_last_7 NUMERIC, player_status STRING,"
            " is_production_ready BOOL, current_points_line NUMERIC, created_at TIMESTAMP"
        ),
        "eligible players are unknown, so nothing can be called missing",
        partitioned_by="game_date",
        clustered_by="player_lookup",
    ),
    RequiredTable(
        "nba_raw.odds_api_player_points_props",
        _parse_columns(
            "player_lookup STRING, player_name STRING, game_id STRING, game_date DATE, home_team_abbr STRING,"
            " away_team_abbr STRING, game_start_time TIMESTAMP, snapshot_timestamp TIMESTAMP, bookmaker STRING,"
            " points_line FLOAT64"
        ),
        "players with odds but without context stay unseen",
        partitioned_by="game_date",
        clustered_by="player_lookup",
    ),
    RequiredTable(
        "nba_reference.player_aliases",
        _parse_columns("alias_lookup STRING, nba_canonical_lookup STRING, is_active BOOL"),
        "whether an alias would match a name is unknown",
    ),
    RequiredTable(
        "nba_predictions.prediction_worker_runs",
        _parse_columns(
            "player_lookup STRING, game_date DATE, run_date TIMESTAMP, success BOOL, batch_id STRING,"
            " predictions_generated INT64, skip_reason STRING, error_message STRING"
        ),
        "why a player was not generated is then known from the logs alone",
        required=False,
    ),
    RequiredTable(
        "nba_reference.nba_players_registry",
        _parse_columns(
            "universal_player_id STRING, player_name STRING, player_lookup STRING, team_abbr STRING, season STRING"
        ),
        "an alias cannot be checked against the registry",
        required=False,
    ),
    RequiredTable(
        "nba_reference.unresolved_player_names",
        _parse_columns("normalized_lookup STRING, original_name STRING, status STRING"),
        "names that did not resolve are found in the odds alone",
        required=False,
    ),
    RequiredTable(
        "prediction_on_call.actions",
        _parse_columns(
            "action_id STRING, event STRING, recorded_at TIMESTAMP, action_key STRING, attempt INT64, state STRING"
        ),
        "nothing can be recorded, so no action is carried out",
    ),
    RequiredTable(
        "prediction_on_call.batches",
        _parse_columns("batch_id STRING, game_date DATE, sequence INT64, state STRING, recorded_at TIMESTAMP"),
        "runs of our coordinator are not known, and it cannot start one",
    ),
    RequiredTable(
        "prediction_on_call.batch_players",
        _parse_columns("batch_id STRING, game_date DATE, player_lookup STRING, outcome STRING, staging_table STRING"),
        "a stopped batch cannot be resumed",
    ),
)


def read_tables(clients: Clients) -> Iterator[CheckResult]:
    """Checks of every required table: present, with the columns and types that the queries name, and partitioned."""
    for required_table in REQUIRED_TABLES:
        try:
            yield _check_table(clients, required_table)
        except TableNotFound:
            yield _missing_table(clients, required_table)
        except OnCallError as error:
            yield from_error(clients, required_table.name, error)


def _missing_table(clients: Clients, required_table: RequiredTable) -> CheckResult:
    project = clients.settings.project
    repair_command = deploy_command(clients) if required_table.is_own else f"bq show {project}:{required_table.name}"
    health = Health.CRITICAL if required_table.required else Health.WARNING
    return CheckResult(required_table.name, health, f"Table missing: {required_table.consequence}.", repair_command)


def _check_table(clients: Clients, required_table: RequiredTable) -> CheckResult:
    with translate_errors("BigQuery tables.get"):
        table = clients.bigquery.get_table(required_table.name, timeout=TIMEOUT_S)
    name = f"{clients.settings.project}.{required_table.name}"
    actual_types = {field.name: STANDARD_TYPES.get(field.field_type, field.field_type) for field in table.schema}
    if missing_columns := sorted(set(required_table.columns) - set(actual_types)):
        health = Health.CRITICAL if required_table.required else Health.WARNING
        columns = ", ".join(
            f"ADD COLUMN IF NOT EXISTS {column} {required_table.columns[column]}" for column in missing_columns
        )
        message = f"Column missing: {', '.join(missing_columns)}; {required_table.consequence}."
        return CheckResult(
            required_table.name,
            health,
            message,
            bq_query_command(clients.settings, f"ALTER TABLE `{name}` {columns}", {}),
        )
    mismatches = [
        f"{column} is {actual_types[column]}, not {expected_type}"
        for column, expected_type in required_table.columns.items()
        if not _types_compatible(actual_types[column], expected_type)
    ]
    if mismatches:
        health = Health.CRITICAL if required_table.required else Health.WARNING
        repair_command = f"bq show --schema --format=prettyjson {clients.settings.project}:{required_table.name}"
        return CheckResult(
            required_table.name,
            health,
            f"Column type: {', '.join(mismatches)}; {required_table.consequence}.",
            repair_command,
        )
    return _check_partitioning(clients, required_table, table, actual_types, name)


def _types_compatible(actual: str, expected: str) -> bool:
    return actual == expected or {actual, expected} <= NUMERIC_TYPES


def _check_partitioning(
    clients: Clients, required_table: RequiredTable, table: bigquery.Table, actual_types: Mapping[str, str], name: str
) -> CheckResult:
    """The result for a table whose columns fit; a warning where a query of one night scans the whole table."""
    summary = f"{len(actual_types)} columns, {table.num_rows or 0:,} rows"
    if required_table.partitioned_by and table.time_partitioning is None:
        size_mb = (table.num_bytes or 0) / 1_000_000
        return CheckResult(
            required_table.name,
            Health.WARNING,
            f"Not partitioned: each query and MERGE scans the full table ({size_mb:,.1f} MB). Works, but costs more"
            f" ({summary}).",
            bq_query_command(
                clients.settings,
                f"FROM `{name}`",
                {},
                f"--time_partitioning_field={required_table.partitioned_by}",
                f"--clustering_fields={required_table.clustered_by.replace(' ', '')}",
                f"--destination_table={clients.settings.project}:{required_table.name}_partitioned",
            ),
        )
    return CheckResult(
        required_table.name, Health.OK, f"Schema OK ({len(actual_types)} columns), {table.num_rows or 0:,} rows."
    )
