"""One night, player by player: how far each one came, from the odds to an active row, and what stopped the rest.

Coverage, missing players and the overview all start from `read_night`, so they can never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from services.batches.ids import DATASET
from services.core.result import Problem, Source
from services.gcp.clients import Cloud
from services.gcp.error_table import recognise
from services.gcp.query_catalog import Row
from services.nights.sources import Parts, Reads, Written, read_parts
from services.policy.eligibility import eligibility
from services.telemetry import log_reader as logs


class Stage(StrEnum):
    """The stages of a player on a game date, in order; see `STAGES`."""

    LINED = "with odds"
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
    """A write of a player's rows that BigQuery refused, as the worker's log tells it."""

    at: datetime
    text: str
    reason: str
    log_id: str = ""


@dataclass(frozen=True)
class PlayerNight:
    """One player on one game date. None means unknown (its source could not be read), never "no"."""

    player_lookup: str
    player_name: str
    team: str
    opponent: str
    game_id: str
    lined: bool | None
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
class Night:
    """Everything known of one game date. `games` 0 with no players is a day without games."""

    game_date: date
    games: int
    players: tuple[PlayerNight, ...]
    systems: tuple[tuple[str, int, int], ...]  # (system_id, players active, rows active)
    generated_rows: int | None
    written_rows: int
    active_rows: int
    ran: bool | None  # whether any batch of this date asked for players
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()  # sources that could not be read; what hangs on them is None above


def read_night(cloud: Cloud, game_date: date) -> Night:
    """Read one game date through all its stages; raises OnCallError when the warehouse cannot be read.

    Aliases, worker runs, our ledger, staging tables and the log are optional: what hangs on an unreadable one is None, and told
    in `problems`.
    """
    reads = Reads(cloud)
    parts = read_parts(reads, game_date)
    players = tuple(_player(row, parts) for row in parts.people)
    return Night(
        game_date=game_date,
        games=_games(parts.people),
        players=players,
        systems=parts.systems,
        generated_rows=_total(p.generated_rows for p in players),
        written_rows=sum(each.rows for each in parts.written.values()),
        active_rows=sum(each.active for each in parts.written.values()),
        ran=_ran(players, parts),
        sources=tuple(reads.sources),
        problems=tuple(reads.problems),
    )


def _games(people: tuple[Row, ...]) -> int:
    """By the context's game ids; the odds may carry the league's own, so they count only where there is no context."""
    there = {row["game_id"] for row in people if row["in_context"] and row["game_id"]}
    return len(there or {row["game_id"] for row in people if row["game_id"]})


def _player(row: Row, parts: Parts) -> PlayerNight:
    who = row["player_lookup"]
    run, entry = (parts.runs or {}).get(who), (parts.ledger or {}).get(who)
    table, standing = (parts.staged or {}).get(who, ("", 0))
    written = parts.written.get(who, Written())
    line = (parts.lines or {}).get(who)
    eligible, reason = eligibility(row)
    generated = _generated_rows(run, entry, written, parts)
    rejected = line is not None and not line.message.startswith(("PERMANENT", "TRANSIENT"))
    return PlayerNight(
        player_lookup=who,
        player_name=row["player_name"],
        team=row["team"] or "",
        opponent=row["opponent"] or "",
        game_id=row["game_id"],
        lined=row["lined"],
        in_context=row["in_context"],
        alias_canonical=row["alias_canonical"],
        eligible=eligible,
        not_eligible_reason=reason,
        requested=_requested(run, entry, written, parts),
        generated_rows=generated,
        generation_error=_generation_error(run, entry, line, generated),
        staged_rows=_staged_rows(entry, standing, parts),
        staging_table=str((entry or {}).get("staging_table") or (f"{DATASET}.{table}" if table else "")),
        written_rows=written.rows,
        active_rows=written.active,
        superseded=bool(written.superseded),
        write_error=_write_error(line) if rejected and line is not None else _recorded_error(entry),
        batch_id=str((entry or run or {}).get("batch_id") or ""),
    )


def _requested(run: Any, entry: Any, written: Written, parts: Parts) -> bool | None:
    if run or entry or written.rows:
        return True
    return None if parts.runs is None or parts.ledger is None else False


def _generated_rows(run: Any, entry: Any, written: Written, parts: Parts) -> int | None:
    if entry is not None and entry["produced_rows"] is not None:
        return max(int(entry["produced_rows"]), written.rows)
    if run is not None and run["predictions_generated"] is not None:
        return max(int(run["predictions_generated"]), written.rows)
    if written.rows:
        return written.rows
    return None if parts.runs is None or parts.ledger is None else 0


def _generation_error(run: Any, entry: Any, line: logs.LogLine | None, generated: int | None) -> str:
    if generated:
        return ""
    told = [
        str(part)
        for source in (entry, run)
        if source
        for part in (
            source.get("skip_reason"),
            source.get("reason"),
            source.get("error_message"),
            source.get("message"),
        )
        if part
    ]
    return ": ".join(dict.fromkeys(told)) or (line.message if line else "")


def _staged_rows(entry: Any, standing: int, parts: Parts) -> int | None:
    recorded = int((entry or {}).get("staged_rows") or 0)
    if standing or recorded:
        return max(standing, recorded)
    return None if parts.staged is None else 0


def _write_error(line: logs.LogLine) -> WriteError:
    text = line.message.split(": ", 1)[-1]
    known = recognise(text)
    return WriteError(line.at, text, known.meaning if known else text[:120], line.insert_id)


def _recorded_error(entry: Any) -> WriteError | None:
    if not entry or entry["outcome"] != "write rejected":
        return None
    known = recognise(str(entry["message"] or ""))
    return WriteError(
        entry["recorded_at"], str(entry["message"] or entry["reason"]), known.meaning if known else str(entry["reason"])
    )


def _total(counts: Any) -> int | None:
    counts = list(counts)
    return None if any(count is None for count in counts) else sum(counts)


def _ran(players: tuple[PlayerNight, ...], parts: Parts) -> bool | None:
    if parts.written or any(p.requested for p in players):
        return True
    return None if parts.runs is None or parts.ledger is None else False
