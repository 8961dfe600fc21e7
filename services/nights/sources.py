"""Reads the sources of a night: odds, context, predictions, worker runs, our ledger, staging tables and the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, TypeVar, cast

from services.batches.ids import parse_staging_table_name
from services.batches.reader import coordinator_runs
from services.batches.staged_rows import list_tables_of_date, read_contents
from services.core.clock import worker_run_days
from services.core.errors import OnCallError, SourceUnavailable, TableAbsent
from services.core.result import DataSource, Problem
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.query_catalog import Row
from services.names.registry import active_aliases
from services.nights.game_inputs import GameInputs, list_game_inputs
from services.nights.line_counts import PlayerLines, compare_lines
from services.nights.players import (
    LeftGame,
    find_left_games,
    latest_per_player,
    merge_context_and_odds,
    newest_tip_offs,
    player_key,
)
from services.nights.rows import (
    LINE_OF_ROW,
    Column,
    ContextRow,
    OddsRow,
    OutcomeRow,
    PlayerRow,
    PredictionRow,
    WorkerRunRow,
)
from services.nights.worker_log import WorkerLog, read_worker_log
from services.nights.written_rows import (
    SystemRows,
    WrittenRows,
    count_active_players,
    count_rows_by_player,
    count_rows_by_system,
)
from services.telemetry import log_reader
from services.telemetry.log_phrases import FAILED_PLAYERS_FILTER, GENERATED_FILTER, STATUS_FILTER

T = TypeVar("T")
AnyRow = TypeVar("AnyRow", bound=Row)
_DATETIME_MIN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class NightData:
    """Everything read of a night. None where a whole source could not be read."""

    players: tuple[PlayerRow, ...]
    tip_offs: tuple[datetime, ...]
    written: Mapping[str, WrittenRows]  # by player key
    left_games: tuple[LeftGame, ...]
    systems: tuple[SystemRows, ...]
    active_players: int  # lookup keys with an active row, those without context included
    game_inputs: tuple[GameInputs, ...]
    lines: tuple[PlayerLines, ...]
    absent_columns: frozenset[Column]
    worker_runs: Mapping[str, WorkerRunRow] | None  # by player_lookup
    ledger_rows: Mapping[str, OutcomeRow] | None  # by player_lookup
    staged: Mapping[str, tuple[str, int]] | None  # (table, rows) by player
    worker_log: WorkerLog | None

    @cached_property
    def players_with_traces(self) -> frozenset[str]:
        """The players of whom any source that could be read has a trace."""
        log = self.worker_log or WorkerLog()
        parts = (self.worker_runs, self.ledger_rows, self.written, self.staged, log.generated_rows, log.not_generated)
        return frozenset[str]().union(*(part or () for part in parts), log.rejected)


@dataclass
class SourceReader:
    """What has been read so far, which optional sources failed, and which do not exist in this installation."""

    clients: Clients
    sources: list[DataSource] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    not_recorded: list[Problem] = field(default_factory=list)
    absent_columns: set[Column] = field(default_factory=set)

    def fetch_rows(self, name: str, **params: Any) -> tuple[dict[str, Any], ...]:
        result = query_catalog.run_query(self.clients, name, **params)
        self.sources.append(result.source)
        for column in sorted(result.absent_columns):
            (table,) = query_catalog.load(name).source_tables
            message = f"Table {table} has no column {column}."
            self.not_recorded.append(Problem(column, self.clients.now(), message))
            self.absent_columns.add(Column(table, column))
        return result.rows

    def fetch_optional(self, source: str, fetch: Callable[[], T]) -> T | None:
        """The result of `fetch`, or None with its problem appended, an answer that cannot be parsed included."""
        try:
            with translate_errors(source):
                return fetch()
        except OnCallError as error:
            self.problems.append(Problem.from_error(source, self.clients.now(), error))
            return None

    def fetch_recorded(self, source: str, fetch: Callable[[], dict[str, T]]) -> dict[str, T] | None:
        """The same of one table: where it does not exist, nothing is recorded and nothing is unread."""

        def fetch_present() -> dict[str, T]:
            try:
                return fetch()
            except TableAbsent as error:
                self.not_recorded.append(Problem.from_error(source, self.clients.now(), error))
                return {}

        return self.fetch_optional(source, fetch_present)


def read_night_data(reader: SourceReader, game_date: date) -> NightData:
    """Every part of a night; raises OnCallError when odds, context or predictions cannot be read."""
    context = cast("tuple[ContextRow, ...]", reader.fetch_rows("nights.context", game_date=game_date))
    odds = cast("tuple[OddsRow, ...]", reader.fetch_rows("nights.odds", game_date=game_date))
    aliases = reader.fetch_recorded("aliases", lambda: active_aliases(reader.fetch_rows("aliases.all")))
    written = cast("tuple[PredictionRow, ...]", reader.fetch_rows("nights.written_rows", game_date=game_date))
    worker_runs = reader.fetch_recorded("worker runs", lambda: _read_worker_runs(reader, game_date))
    ledger_rows = reader.fetch_recorded("batch ledger", lambda: _read_outcomes(reader, game_date))
    players = merge_context_and_odds(context, odds, aliases or {})
    absent_columns = frozenset(reader.absent_columns)
    with_lines = LINE_OF_ROW not in absent_columns
    return NightData(
        players=players,
        tip_offs=newest_tip_offs(odds),
        written=count_rows_by_player(
            written, {player_key(row) for row in players if row["shares_lookup_with"]}, with_lines=with_lines
        ),
        left_games=find_left_games(context, written),
        game_inputs=list_game_inputs(context, odds),
        lines=compare_lines(players, context, odds, written, absent_columns),
        absent_columns=absent_columns,
        systems=count_rows_by_system(written, with_lines=with_lines),
        active_players=count_active_players(written),
        worker_runs=worker_runs,
        ledger_rows=ledger_rows,
        staged=reader.fetch_optional("staging tables", lambda: _read_staged_rows(reader, game_date, ledger_rows or {})),
        worker_log=reader.fetch_optional("worker log", lambda: _read_worker_log(reader, game_date, worker_runs or {})),
    )


def _read_worker_runs(reader: SourceReader, game_date: date) -> dict[str, WorkerRunRow]:
    rows = reader.fetch_rows("nights.worker_runs", game_date=game_date, **worker_run_days(game_date))
    return latest_per_player(cast("tuple[WorkerRunRow, ...]", rows), _run_sort_key)


def _read_outcomes(reader: SourceReader, game_date: date) -> dict[str, OutcomeRow]:
    rows = reader.fetch_rows("batches.player_outcomes", game_date=game_date)
    return latest_per_player(cast("tuple[OutcomeRow, ...]", rows), _outcome_sort_key)


def _run_sort_key(row: WorkerRunRow) -> datetime:
    return row["run_date"] or _DATETIME_MIN


def _outcome_sort_key(row: OutcomeRow) -> tuple[datetime, int]:
    return row["recorded_at"] or _DATETIME_MIN, row["attempts"] or 0


def _read_staged_rows(
    reader: SourceReader, game_date: date, ledger_rows: Mapping[str, OutcomeRow]
) -> dict[str, tuple[str, int]]:
    """Rows per player in staging tables that exist now; those of our own batches are in the ledger already."""
    own_batch_ids = {row["batch_id"] for row in ledger_rows.values()}
    listed = list_tables_of_date(reader.clients, game_date)
    tables = [item for item in listed if parse_staging_table_name(item.table_id)[0] not in own_batch_ids]
    if not tables:
        return {}
    contents = read_contents(reader.clients, tables)
    if unread := sum(item.table_id not in contents or contents[item.table_id].keys is None for item in tables):
        raise SourceUnavailable(f"{unread:,} of {len(tables):,} staging tables of the night could not be read yet.")
    reader.sources.append(DataSource("BigQuery, tabledata.list", reader.clients.now()))
    return {
        player: (name, rows)
        for name, table_contents in sorted(contents.items())
        for player, rows in table_contents.players.items()
    }


def _read_worker_log(reader: SourceReader, game_date: date, worker_runs: Mapping[str, WorkerRunRow]) -> WorkerLog:
    run_times = [row["run_date"] for row in worker_runs.values() if row["run_date"] is not None]
    deciding = (FAILED_PLAYERS_FILTER, GENERATED_FILTER, STATUS_FILTER)
    lines = log_reader.read_night_log(reader.clients, game_date, *deciding, run_times=run_times)
    reader.sources.append(lines.source)
    reader.problems += [lines.problem] if lines.problem is not None else []
    worker_service = reader.clients.settings.worker_service
    runs = coordinator_runs(reader.clients, lines.lines)
    return read_worker_log((line for line in lines.lines if line.service == worker_service), runs, game_date)
