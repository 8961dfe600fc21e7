"""One night, player by player: the stages each one reached, from the odds to an active row, and what stopped the rest.

Coverage, missing players and the overview all start from `read_night`, so they can never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.batches.ids import DATASET
from services.core.result import DataSource, Problem, sum_or_unknown
from services.gcp.clients import Clients
from services.gcp.error_table import find_known_error
from services.nights.rows import OutcomeRow, PlayerRow, WorkerRunRow
from services.nights.sources import NightData, SourceReader, WrittenRows, read_night_data
from services.policy.eligibility import check_eligibility
from services.telemetry import log_reader


class Stage(StrEnum):
    """The stages of a player on a game date, in order; see `STAGES`."""

    WITH_ODDS = "with odds"
    IN_CONTEXT = "in context"
    ELIGIBLE = "eligible"
    REQUESTED = "requested"
    GENERATED = "generated"
    STAGED = "staged"
    WRITTEN = "written"
    ACTIVE = "active"


STAGES = tuple(Stage)


@dataclass(frozen=True)
class WriteError:
    """A write of a player's rows that BigQuery refused, as the worker's log or the ledger records it."""

    at: datetime
    text: str
    reason: str


@dataclass(frozen=True)
class PlayerStatus:
    """One player on one game date. None means unknown (its source could not be read), never "no"."""

    player_lookup: str
    player_name: str
    team: str
    opponent: str
    game_id: str | None
    has_odds: bool | None
    in_context: bool | None
    alias_canonical: str | None  # the canonical name an active alias leads to, when that name is in context
    eligible: bool | None
    not_eligible_reason: str  # e.g. "OUT", "12.3 minutes on average, 15 needed", "not production-ready"
    requested: bool | None
    generated_rows: int | None
    generation_error: str  # skip_reason or error of the worker's run row, or its log line
    staged_rows: int | None
    staging_table: str
    written_rows: int | None
    active_rows: int | None
    superseded: bool
    write_error: WriteError | None
    batch_id: str


@dataclass(frozen=True)
class NightStatus:
    """Everything known of one game date. `games` 0 with no players is a day without games."""

    game_date: date
    games: int
    players: tuple[PlayerStatus, ...]
    systems: tuple[tuple[str, int, int], ...]  # (system_id, players active, rows active)
    generated_rows: int | None
    written_rows: int
    active_rows: int
    was_run: bool | None  # whether any batch of this date requested players
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()  # sources that could not be read; what depends on them is None above

    @property
    def eligible_players(self) -> tuple[PlayerStatus, ...]:
        """The players who should be predicted."""
        return tuple(player for player in self.players if player.eligible)


def read_night(clients: Clients, game_date: date) -> NightStatus:
    """Read one game date through all its stages; raises OnCallError when the warehouse cannot be read.

    Aliases, worker runs, our ledger, staging tables and the log are optional: what depends on an unreadable one is None, and named
    in `problems`.
    """
    reader = SourceReader(clients)
    data = read_night_data(reader, game_date)
    players = tuple(_to_player_status(row, data) for row in data.players)
    return NightStatus(
        game_date=game_date,
        games=_count_games(data.players),
        players=players,
        systems=data.systems,
        generated_rows=sum_or_unknown(p.generated_rows for p in players),
        written_rows=sum(player_rows.rows for player_rows in data.written.values()),
        active_rows=sum(player_rows.active for player_rows in data.written.values()),
        was_run=_was_run(players, data),
        sources=tuple(reader.sources),
        problems=tuple(reader.problems),
    )


def _count_games(players: tuple[PlayerRow, ...]) -> int:
    """By the context's game ids; the odds may carry the league's own, so they count only where there is no context."""
    context_game_ids = {row["game_id"] for row in players if row["in_context"] and row["game_id"]}
    return len(context_game_ids or {row["game_id"] for row in players if row["game_id"]})


def _to_player_status(row: PlayerRow, data: NightData) -> PlayerStatus:
    player_lookup = row["player_lookup"]
    run_row, ledger_row = (data.worker_runs or {}).get(player_lookup), (data.ledger_rows or {}).get(player_lookup)
    table, rows_in_staging = (data.staged or {}).get(player_lookup, ("", 0))
    written = data.written.get(player_lookup, WrittenRows())
    log_line = (data.failure_lines or {}).get(player_lookup)
    eligible, reason = check_eligibility(row)
    generated_rows = _generated_rows(run_row, ledger_row, written, data)
    write_error = _recorded_error(ledger_row)
    if log_line is not None and not log_line.message.startswith(("PERMANENT", "TRANSIENT")):
        write_error = _logged_error(log_line)
    return PlayerStatus(
        player_lookup=player_lookup,
        player_name=row["player_name"],
        team=row["team"] or "",
        opponent=row["opponent"] or "",
        game_id=row["game_id"],
        has_odds=row["has_odds"],
        in_context=row["in_context"],
        alias_canonical=row["alias_canonical"],
        eligible=eligible,
        not_eligible_reason=reason,
        requested=_requested(run_row, ledger_row, written, data),
        generated_rows=generated_rows,
        generation_error=_generation_error(run_row, ledger_row, log_line, generated_rows),
        staged_rows=_staged_rows(ledger_row, rows_in_staging, data),
        staging_table=_staging_table(ledger_row, table),
        written_rows=written.rows,
        active_rows=written.active,
        superseded=bool(written.superseded),
        write_error=write_error,
        batch_id=_batch_id(run_row, ledger_row),
    )


def _staging_table(ledger_row: OutcomeRow | None, table: str) -> str:
    recorded = ledger_row["staging_table"] if ledger_row else None
    return recorded or (f"{DATASET}.{table}" if table else "")


def _batch_id(run_row: WorkerRunRow | None, ledger_row: OutcomeRow | None) -> str:
    newest_row = ledger_row or run_row
    return (newest_row["batch_id"] if newest_row else None) or ""


def _requested(
    run_row: WorkerRunRow | None, ledger_row: OutcomeRow | None, written: WrittenRows, data: NightData
) -> bool | None:
    if run_row or ledger_row or written.rows:
        return True
    return None if data.worker_runs is None or data.ledger_rows is None else False


def _generated_rows(
    run_row: WorkerRunRow | None, ledger_row: OutcomeRow | None, written: WrittenRows, data: NightData
) -> int | None:
    if ledger_row is not None and ledger_row["produced_rows"] is not None:
        return max(int(ledger_row["produced_rows"]), written.rows)
    if run_row is not None and run_row["predictions_generated"] is not None:
        return max(int(run_row["predictions_generated"]), written.rows)
    if written.rows:
        return written.rows
    return None if data.worker_runs is None or data.ledger_rows is None else 0


def _generation_error(
    run_row: WorkerRunRow | None,
    ledger_row: OutcomeRow | None,
    log_line: log_reader.LogLine | None,
    generated_rows: int | None,
) -> str:
    if generated_rows:
        return ""
    ledger_parts = (ledger_row["reason"], ledger_row["message"]) if ledger_row else ()
    run_parts = (run_row["skip_reason"], run_row["error_message"]) if run_row else ()
    messages = [part for part in (*ledger_parts, *run_parts) if part]
    return ": ".join(dict.fromkeys(messages)) or (log_line.message if log_line else "")


def _staged_rows(ledger_row: OutcomeRow | None, rows_in_staging: int, data: NightData) -> int | None:
    recorded = (ledger_row["staged_rows"] if ledger_row else 0) or 0
    if rows_in_staging or recorded:
        return max(rows_in_staging, recorded)
    return None if data.staged is None else 0


def _logged_error(log_line: log_reader.LogLine) -> WriteError:
    text = log_line.message.split(": ", 1)[-1]
    known_error = find_known_error(text)
    return WriteError(log_line.at, text, known_error.meaning if known_error else text[:120])


def _recorded_error(ledger_row: OutcomeRow | None) -> WriteError | None:
    if not ledger_row or ledger_row["outcome"] != "write rejected":
        return None
    known_error = find_known_error(str(ledger_row["message"] or ""))
    return WriteError(
        ledger_row["recorded_at"],
        str(ledger_row["message"] or ledger_row["reason"]),
        known_error.meaning if known_error else str(ledger_row["reason"]),
    )


def _was_run(players: tuple[PlayerStatus, ...], data: NightData) -> bool | None:
    if data.written or any(p.requested for p in players):
        return True
    return None if data.worker_runs is None or data.ledger_rows is None else False
