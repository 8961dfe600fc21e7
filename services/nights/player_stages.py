"""One night, player by player: the stages each one reached, from the odds to an active row, and what stopped the rest.

Coverage, missing players and the overview all start from `read_night`, so they can never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from services.batches.ids import DATASET
from services.core.result import DataSource, Problem, sum_or_unknown
from services.gcp.clients import Clients
from services.gcp.error_table import find_known_error
from services.nights.game_inputs import GameInputs
from services.nights.line_counts import PlayerLines
from services.nights.players import LeftGame, player_key
from services.nights.rows import OutcomeRow, PlayerRow, WorkerRunRow
from services.nights.sources import NightData, SourceReader, WrittenRows, read_night_data
from services.nights.worker_log import Rejection, WorkerLog
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
    shares_lookup_with: str = ""  # who is requested under the lookup key, where that is another player


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
    not_recorded: tuple[Problem, ...] = ()  # sources that do not exist in this installation
    unnamed_rejections: int = 0  # rejected writes in the log without a player's name
    tip_offs: tuple[datetime, ...] = ()  # of the games with odds
    left_games: tuple[LeftGame, ...] = ()
    game_inputs: tuple[GameInputs, ...] = ()
    lines: tuple[PlayerLines, ...] = ()

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
    players = _explain_unnamed(tuple(_to_player_status(row, data) for row in data.players), data)
    return NightStatus(
        game_date=game_date,
        games=_count_games(data.players),
        players=players,
        systems=data.systems,
        generated_rows=sum_or_unknown(p.generated_rows for p in players if p.eligible or p.generated_rows),
        written_rows=sum(player_rows.rows for player_rows in data.written.values()),
        active_rows=sum(player_rows.active for player_rows in data.written.values()),
        was_run=_was_run(players, data),
        unnamed_rejections=len(data.worker_log.unnamed) if data.worker_log else 0,
        tip_offs=data.tip_offs,
        left_games=data.left_games,
        game_inputs=data.game_inputs,
        lines=data.lines,
        sources=tuple(reader.sources),
        problems=tuple(reader.problems),
        not_recorded=tuple(reader.not_recorded),
    )


def _count_games(players: tuple[PlayerRow, ...]) -> int:
    """By the context's game ids; the odds may carry the league's own, so they count only where there is no context."""
    context_game_ids = {row["game_id"] for row in players if row["in_context"] and row["game_id"]}
    return len(context_game_ids or {row["game_id"] for row in players if row["game_id"]})


def _to_player_status(row: PlayerRow, data: NightData) -> PlayerStatus:
    key = player_key(row)
    run_row, ledger_row = (data.worker_runs or {}).get(key), (data.ledger_rows or {}).get(key)
    table, rows_in_staging = (data.staged or {}).get(key, ("", 0))
    written = data.written.get(key, WrittenRows())
    log = data.worker_log or WorkerLog()
    eligible, reason = check_eligibility(row)
    requested = bool(written.rows) if row["shares_lookup_with"] else _requested(key, data)
    generated_rows = _generated_rows(key, requested, data)
    rejection = log.rejected.get(key)
    write_error = _logged_error(rejection) if rejection else _recorded_error(ledger_row)
    return PlayerStatus(
        player_lookup=row["player_lookup"],
        player_name=row["player_name"],
        team=row["team"] or "",
        opponent=row["opponent"] or "",
        game_id=row["game_id"],
        has_odds=row["has_odds"],
        in_context=row["in_context"],
        alias_canonical=row["alias_canonical"],
        eligible=eligible,
        not_eligible_reason=reason,
        requested=requested,
        generated_rows=generated_rows,
        generation_error=_generation_error(run_row, ledger_row, log.not_generated.get(key), generated_rows),
        staged_rows=_staged_rows(ledger_row, rows_in_staging, data),
        staging_table=_staging_table(ledger_row, table),
        written_rows=written.rows,
        active_rows=written.active,
        superseded=bool(written.superseded),
        write_error=write_error,
        batch_id=_batch_id(run_row, ledger_row),
        shares_lookup_with=row["shares_lookup_with"],
    )


def _staging_table(ledger_row: OutcomeRow | None, table: str) -> str:
    recorded = ledger_row["staging_table"] if ledger_row else None
    return recorded or (f"{DATASET}.{table}" if table else "")


def _batch_id(run_row: WorkerRunRow | None, ledger_row: OutcomeRow | None) -> str:
    newest_row = ledger_row or run_row
    return (newest_row["batch_id"] if newest_row else None) or ""


def _requested(player: str, data: NightData) -> bool | None:
    """Yes by any trace of the player; no only where those with a trace account for every request that was published.

    A run row may be missing: the workers buffer them, and one that ends loses them.
    """
    traces = data.players_with_traces
    if player in traces:
        return True
    if data.worker_runs is None or data.ledger_rows is None or data.worker_log is None:
        return None
    published = data.worker_log.published
    if published is None and not traces and not data.worker_log.was_begun:
        return False
    return None if published is None or len(traces) < published else False


def _generated_rows(player: str, requested: bool | None, data: NightData) -> int | None:
    """By the ledger, the run row or the log, and never fewer than are written or staged."""
    log = data.worker_log or WorkerLog()
    run_row, ledger_row = (data.worker_runs or {}).get(player), (data.ledger_rows or {}).get(player)
    recorded = (
        ledger_row["produced_rows"] if ledger_row else None,
        run_row["predictions_generated"] if run_row else None,
        log.generated_rows.get(player),
    )
    counts = [int(count) for count in recorded if count is not None][:1]
    seen = (data.written.get(player, WrittenRows()).rows, (data.staged or {}).get(player, ("", 0))[1])
    if not counts and not any(seen):
        return 0 if requested is False or player in log.not_generated else None
    return max(*counts, *seen)


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


def _logged_error(rejection: Rejection, count_text: str = "") -> WriteError:
    known_error = find_known_error(rejection.error)
    meaning = known_error.meaning if known_error else rejection.error[:120]
    return WriteError(rejection.line.at, f"{count_text}{rejection.error}", meaning)


def _explain_unnamed(players: tuple[PlayerStatus, ...], data: NightData) -> tuple[PlayerStatus, ...]:
    """The customer's worker logs rejected writes without the player: they explain whom nothing else explains.

    Only where they are enough for most of these players: one rejection does not explain ninety losses.
    """
    unnamed = data.worker_log.unnamed if data.worker_log else ()
    lost = {p.player_lookup for p in players if _is_lost_on_write(p)}
    if not lost or 2 * len(unnamed) < len(lost):
        return players
    count_text = f"{min(len(unnamed), len(lost))} of {len(lost)} by the log, names unknown: "
    error = _logged_error(unnamed[0], count_text)
    return tuple(replace(p, write_error=error) if p.player_lookup in lost else p for p in players)


def _is_lost_on_write(player: PlayerStatus) -> bool:
    """Whether rows of an eligible player were generated, or may have been, and nothing recorded says where they are."""
    traces = player.generated_rows == 0 or player.written_rows or player.staged_rows or player.write_error
    return bool(player.eligible) and player.requested is not False and not traces


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
    if data.written or any(p.requested for p in players) or (data.worker_log and data.worker_log.was_begun):
        return True
    unread = data.worker_runs is None or data.ledger_rows is None or data.worker_log is None
    return None if unread else False
