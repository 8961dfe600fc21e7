"""The rows of the queries that a night is read from, as BigQuery returns them, and the row of a player merged from them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, TypedDict

from services.core.tables import PREDICTIONS_TABLE


class Column(NamedTuple):
    """A column of a table, which an installation may not have."""

    table: str
    name: str


LINE_OF_ROW = Column(PREDICTIONS_TABLE, "current_points_line")
TIME_OF_ROW = Column(PREDICTIONS_TABLE, "created_at")
LINE_OF_ODDS = Column("nba_raw.odds_api_player_points_props", "points_line")
BOOKMAKER_OF_ODDS = Column("nba_raw.odds_api_player_points_props", "bookmaker")
COLUMNS_TO_COMPARE_LINES = frozenset((LINE_OF_ROW, LINE_OF_ODDS, BOOKMAKER_OF_ODDS))


class ContextRow(TypedDict):
    """queries/nights/context.sql; of several of one player, game and team the newest counts."""

    player_lookup: str | None
    game_id: str | None
    team_abbr: str | None
    opponent_team_abbr: str | None
    avg_minutes_per_game_last_7: Decimal | float | None
    player_status: str | None
    is_production_ready: bool | None
    current_points_line: Decimal | float | None
    created_at: datetime | None


class OddsRow(TypedDict):
    """queries/nights/odds.sql; a name has one for each bookmaker and moment."""

    player_lookup: str | None
    player_name: str | None
    game_id: str | None
    away_team_abbr: str | None
    home_team_abbr: str | None
    game_start_time: datetime | None
    snapshot_timestamp: datetime | None
    bookmaker: str | None
    points_line: Decimal | float | None


class PredictionRow(TypedDict):
    """queries/nights/written_rows.sql."""

    player_lookup: str | None
    system_id: str | None
    game_id: str | None
    current_points_line: Decimal | float | None
    is_active: bool | None
    superseded: bool | None
    created_at: datetime | None


class WorkerRunRow(TypedDict):
    """queries/nights/worker_runs.sql; a player may have several, the newest counts."""

    player_lookup: str | None
    batch_id: str | None
    success: bool | None
    predictions_generated: int | None
    skip_reason: str | None
    error_message: str | None
    run_date: datetime | None
    created_at: datetime | None


class OutcomeRow(TypedDict):
    """queries/batches/player_outcomes.sql: what our own coordinator recorded of a player; the newest counts."""

    player_lookup: str | None
    batch_id: str | None
    outcome: str | None
    reason: str | None
    message: str | None
    produced_rows: int | None
    staged_rows: int | None
    staging_table: str | None
    attempts: int | None
    recorded_at: datetime


class PlayerRow(TypedDict):
    """A player with odds or in context. `alias_canonical` is where an alias leads that is not in context itself.

    Of several players with one lookup key one is requested; the others share it with that one, which `shares_lookup_with` names.
    """

    player_lookup: str
    player_name: str
    game_id: str | None
    team: str | None
    opponent: str | None
    away_team: str | None
    home_team: str | None
    has_odds: bool | None  # None where odds of that lookup key may be another player's
    in_context: bool
    shares_lookup_with: str
    minutes: float | None  # average of the last week
    status: str | None
    ready: bool | None
    alias_canonical: str | None


class CoverageRow(TypedDict):
    """queries/nights/coverage_history.sql: a game date and prediction system; the date's own counts repeat in each."""

    game_date: date
    games: int
    tip_off: datetime | None
    with_odds: int
    in_context: int
    eligible: int
    active: int
    rows_active: int
    rows_written: int
    system_id: str | None
    system_players: int
    system_rows: int
    names_exact: int
    names_by_alias: int
    names_unresolved: int
