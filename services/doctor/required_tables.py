"""The tables that the desk stands on: the columns its questions name, and what is lost without each table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.cloud import bigquery

from services.core.errors import MissingInWarehouse, OnCallError
from services.core.result import Health
from services.doctor.finding import LIMIT_S, Finding, apply_script, trouble
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from

MODERN = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
NUMBERS = {"INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC"}  # every question casts them, so one may stand for another


@dataclass(frozen=True)
class Wanted:
    """One table. `without` ends the sentence "… is not there: "."""

    name: str
    columns: Mapping[str, str]
    without: str
    needed: bool = True
    partitioned_by: str = ""
    clustered_by: str = ""

    @property
    def ours(self) -> bool:
        return self.name.startswith("prediction_on_call.")


def _columns(told: str) -> dict[str, str]:
    """`name TYPE, name TYPE` as a mapping."""
    return {each.split()[0]: each.split()[1] for each in told.split(",")}


TABLES = (
    Wanted(
        "nba_predictions.player_prop_predictions",
        _columns(
            "prediction_id STRING, system_id STRING, player_lookup STRING, game_date DATE, game_id STRING,"
            " current_points_line NUMERIC, is_active BOOL, superseded BOOL, created_at TIMESTAMP"
        ),
        "coverage, missing players and every proof need it",
        partitioned_by="game_date",
        clustered_by="system_id, player_lookup",
    ),
    Wanted(
        "nba_analytics.upcoming_player_game_context",
        _columns(
            "player_lookup STRING, player_name STRING, game_id STRING, game_date DATE, team_abbr STRING,"
            " opponent_team_abbr STRING, avg_minutes_per_game_last_7 NUMERIC, player_status STRING,"
            " is_production_ready BOOL, created_at TIMESTAMP"
        ),
        "nobody knows who is eligible, so nothing can be called missing",
        partitioned_by="game_date",
        clustered_by="player_lookup",
    ),
    Wanted(
        "nba_raw.odds_api_player_points_props",
        _columns(
            "player_lookup STRING, player_name STRING, game_id STRING, game_date DATE, home_team_abbr STRING,"
            " away_team_abbr STRING"
        ),
        "players with odds but without context stay unseen",
        partitioned_by="game_date",
        clustered_by="player_lookup",
    ),
    Wanted(
        "nba_reference.player_aliases",
        _columns("alias_lookup STRING, nba_canonical_lookup STRING, is_active BOOL"),
        "a name that an alias would resolve cannot be told from an unknown one",
    ),
    Wanted(
        "nba_predictions.prediction_worker_runs",
        _columns(
            "player_lookup STRING, game_date DATE, run_date TIMESTAMP, success BOOL, batch_id STRING,"
            " predictions_generated INT64, skip_reason STRING, error_message STRING"
        ),
        "why a player was not generated is then known from the logs alone",
        needed=False,
    ),
    Wanted(
        "nba_reference.nba_players_registry",
        _columns(
            "universal_player_id STRING, player_name STRING, player_lookup STRING, team_abbr STRING, season STRING"
        ),
        "an alias cannot be checked against the registry",
        needed=False,
    ),
    Wanted(
        "nba_reference.unresolved_player_names",
        _columns("normalized_lookup STRING, original_name STRING, status STRING"),
        "names that did not resolve are found in the odds alone",
        needed=False,
    ),
    Wanted(
        "prediction_on_call.actions",
        _columns(
            "action_id STRING, event STRING, recorded_at TIMESTAMP, action_key STRING, attempt INT64, state STRING"
        ),
        "nothing can be recorded, so no action is carried out",
    ),
    Wanted(
        "prediction_on_call.batches",
        _columns("batch_id STRING, game_date DATE, sequence INT64, state STRING, recorded_at TIMESTAMP"),
        "runs of our coordinator are not known, and it cannot start one",
    ),
    Wanted(
        "prediction_on_call.batch_players",
        _columns("batch_id STRING, game_date DATE, player_lookup STRING, outcome STRING, staging_table STRING"),
        "a stopped batch cannot be resumed",
    ),
    Wanted(
        "prediction_on_call.coverage",
        _columns("game_date DATE, batch_id STRING, eligible INT64, active_players INT64"),
        "the history of coverage is read from the predictions themselves, which costs more",
        needed=False,
    ),
)


def read_tables(cloud: Cloud) -> Iterator[Finding]:
    """Every wanted table: is it there, with the columns and kinds that the questions name, and partitioned?"""
    for wanted in TABLES:
        try:
            yield _table(cloud, wanted)
        except MissingInWarehouse:
            yield _missing(cloud, wanted)
        except OnCallError as error:
            yield trouble(cloud, wanted.name, error)


def _missing(cloud: Cloud, wanted: Wanted) -> Finding:
    project = cloud.settings.project
    repair = apply_script(cloud) if wanted.ours else f"bq show {project}:{wanted.name}"
    health = Health.CRITICAL if wanted.needed else Health.WARNING
    return Finding(wanted.name, health, f"It is not there: {wanted.without}.", repair)


def _table(cloud: Cloud, wanted: Wanted) -> Finding:
    with reading_from("BigQuery tables.get"):
        table = cloud.bigquery.get_table(wanted.name, timeout=LIMIT_S)
    name = f"{cloud.settings.project}.{wanted.name}"
    there = {field.name: MODERN.get(field.field_type, field.field_type) for field in table.schema}
    if gone := sorted(set(wanted.columns) - set(there)):
        health = Health.CRITICAL if wanted.needed else Health.WARNING
        columns = ", ".join(f"ADD COLUMN IF NOT EXISTS {column} {wanted.columns[column]}" for column in gone)
        sentence = f"It has no column {', '.join(gone)}: {wanted.without}."
        return Finding(wanted.name, health, sentence, f"bq query --nouse_legacy_sql 'ALTER TABLE `{name}` {columns}'")
    if wrong := [column for column in wanted.columns if not _fits(there[column], wanted.columns[column])]:
        told = ", ".join(f"{column} is {there[column]}, not {wanted.columns[column]}" for column in wrong)
        health = Health.CRITICAL if wanted.needed else Health.WARNING
        repair = f"bq show --schema --format=prettyjson {cloud.settings.project}:{wanted.name}"
        return Finding(wanted.name, health, f"Its {told}: {wanted.without}.", repair)
    return _shape(wanted, table, there, name)


def _fits(there: str, wanted: str) -> bool:
    return there == wanted or {there, wanted} <= NUMBERS


def _shape(wanted: Wanted, table: bigquery.Table, there: Mapping[str, str], name: str) -> Finding:
    """The columns fit: what else is there, and is a night read without the rest?"""
    extra = len(set(there) - set(wanted.columns))
    about = f"{len(there)} columns ({extra} not needed here), {table.num_rows or 0:,} rows"
    if wanted.partitioned_by and table.time_partitioning is None:
        size = (table.num_bytes or 0) / 1_000_000
        return Finding(
            wanted.name,
            Health.WARNING,
            f"It is not partitioned: every question and every MERGE about one night reads the whole table"
            f" ({size:,.1f} MB). Everything works; it costs more. {about}.",
            f"bq query --nouse_legacy_sql --time_partitioning_field={wanted.partitioned_by}"
            f" --clustering_fields={wanted.clustered_by.replace(' ', '')} --destination_table={wanted.name}_partitioned"
            f" 'FROM `{name}`'",
        )
    return Finding(wanted.name, Health.OK, f"Every needed column is there: {about}.")
