"""The tables that the desk stands on: the columns its questions name, and what is lost without each table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
