"""What one night's figures are read from: odds, context, predictions, the workers' and our own records, staging, the log."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from services.batches.ids import DATASET, STAGING, parse_name
from services.batches.staged_rows import read_contents
from services.core.clock import worker_run_days
from services.core.errors import OnCallError, SourceUnreadable
from services.core.result import Problem, Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import items_of, reading_from
from services.gcp.query_catalog import Row
from services.names.registry import active_aliases
from services.names.resolver import How, resolve
from services.telemetry import log_reader as logs

Rows = Mapping[str, Row]  # by player_lookup
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_WHO = re.compile(r"(?:Error writing to BigQuery|STAGING WRITE FAILED|(?:PERMANENT|TRANSIENT) failure) for (\w+)")


@dataclass(frozen=True)
class Written:
    """A player's rows in the predictions table."""

    rows: int = 0
    active: int = 0
    superseded: int = 0


@dataclass(frozen=True)
class Parts:
    """Everything read of a night. None where a whole source could not be read."""

    people: tuple[Row, ...]
    written: Mapping[str, Written]
    systems: tuple[tuple[str, int, int], ...]  # (system_id, players active, rows active)
    runs: Rows | None
    ledger: Rows | None
    staged: Mapping[str, tuple[str, int]] | None  # (table, rows) by player
    lines: Mapping[str, logs.LogLine] | None


@dataclass
class Reads:
    """What has been read so far, and which optional sources failed."""

    cloud: Cloud
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def rows(self, name: str, **params: Any) -> tuple[dict[str, Any], ...]:
        answer = catalog.run(self.cloud, name, **params)
        self.sources.append(answer.source)
        return answer.rows

    def optional(self, source: str, ask: Callable[[], Any]) -> Any:
        """What `ask` gives, or None with the problem noted."""
        try:
            return ask()
        except OnCallError as error:
            self.problems.append(Problem.of(source, self.cloud.now(), error))
            return None


def read_parts(reads: Reads, game_date: date) -> Parts:
    """Every part of a night; raises OnCallError when odds, context or predictions cannot be read."""
    context, odds = reads.rows("night.context", game_date=game_date), reads.rows("night.odds", game_date=game_date)
    aliases = reads.optional("aliases", lambda: active_aliases(reads.rows("aliases.book")))
    written = reads.rows("night.written", game_date=game_date)
    runs = reads.optional(
        "worker runs",
        lambda: newest(reads.rows("night.worker_runs", game_date=game_date, **worker_run_days(game_date)), _run_order),
    )
    ledger = reads.optional(
        "batch ledger", lambda: newest(reads.rows("night.ledger", game_date=game_date), _record_order)
    )
    return Parts(
        people=people(context, odds, aliases or {}),
        written=by_player(written),
        systems=by_system(written),
        runs=runs,
        ledger=ledger,
        staged=reads.optional("staging tables", lambda: _staged(reads, game_date, ledger or {})),
        lines=reads.optional("worker log", lambda: _failures(reads, game_date)),
    )


def people(
    context: Iterable[Row], odds: Iterable[Row], aliases: Mapping[str, Iterable[str]]
) -> tuple[dict[str, Any], ...]:
    """Everybody with odds or a context row, by name; names without context with whom an alias would lead to."""
    there = newest(context, context_order)
    lined = {row["player_lookup"]: row for row in odds if row["player_lookup"] is not None}
    return tuple(
        _person(who, there.get(who), lined.get(who), _alias(who, there, aliases))
        for who in sorted(there.keys() | lined.keys())
    )


def _person(who: str, row: Row | None, line: Row | None, alias: str | None) -> dict[str, Any]:
    here, odds = row or {}, line or {}
    minutes = here.get("avg_minutes_per_game_last_7")
    return {
        "player_lookup": who,
        "player_name": here.get("player_name") or odds.get("player_name") or who,
        "game_id": here.get("game_id") or odds.get("game_id"),
        "team": here.get("team_abbr"),
        "opponent": here.get("opponent_team_abbr"),
        "away_team": odds.get("away_team_abbr"),
        "home_team": odds.get("home_team_abbr"),
        "lined": line is not None,
        "in_context": row is not None,
        "minutes": None if minutes is None else float(minutes),
        "status": here.get("player_status"),
        "ready": here.get("is_production_ready"),
        "alias_canonical": None if row is not None else alias,
    }


def _alias(who: str, there: Rows, aliases: Mapping[str, Iterable[str]]) -> str | None:
    found = resolve(who, there, {who: tuple(aliases.get(who, ()))})
    return found.lookup if found.how is How.ALIAS else None


def newest(rows: Iterable[Row], order: Callable[[Row], Any]) -> dict[str, Row]:
    """The last row of each player in that order; a row of nobody counts for nobody."""
    of_somebody = (row for row in rows if row["player_lookup"] is not None)
    return {row["player_lookup"]: row for row in sorted(of_somebody, key=order)}


def context_order(row: Row) -> Any:
    """The newest context row of a player counts; of two made at one instant, that of the first game."""
    return row["created_at"] or _LONG_AGO, _backwards(row["game_id"])


def _run_order(row: Row) -> Any:
    return row["run_date"] or _LONG_AGO


def _record_order(row: Row) -> Any:
    return row["recorded_at"] or _LONG_AGO, row["attempts"] or 0


def _backwards(text: str | None) -> tuple[int, ...]:
    """Sorts descending: of rows made at one instant, the one of the first game counts."""
    return tuple(-ord(letter) for letter in text or "")


def by_player(rows: Iterable[Row]) -> dict[str, Written]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        for place, counts in enumerate((True, row["is_active"], row["superseded"])):
            sums[row["player_lookup"] or "no player"][place] += bool(counts)
    return {who: Written(*counts) for who, counts in sums.items()}


def by_system(rows: Iterable[Row]) -> tuple[tuple[str, int, int], ...]:
    players: dict[str, set[str]] = defaultdict(set)
    active: dict[str, int] = defaultdict(int)
    for row in rows:
        system = row["system_id"] or "no system"
        active[system] += bool(row["is_active"])
        if row["is_active"] and row["player_lookup"] is not None:
            players[system].add(row["player_lookup"])
    return tuple((system, len(players[system]), active[system]) for system in sorted(active))


def _staged(reads: Reads, game_date: date, ledger: Rows) -> dict[str, tuple[str, int]]:
    """Rows per player in staging tables that exist now; those of our own batches are told by the ledger already."""
    prefix, ours = f"{STAGING}batch_{game_date:%Y_%m_%d}_", {row["batch_id"] for row in ledger.values()}
    with reading_from("BigQuery tables.list"):
        listed = reads.cloud.bigquery.list_tables(DATASET, page_size=1000)
        tables = [item for item in items_of("BigQuery tables.list", listed) if item.table_id.startswith(prefix)]
    tables = [item for item in tables if parse_name(item.table_id)[0] not in ours]
    if not tables:
        return {}
    held = read_contents(reads.cloud, tables)
    if unread := sum(item.table_id not in held or held[item.table_id].keys is None for item in tables):
        raise SourceUnreadable(f"{unread:,} of {len(tables):,} staging tables of the night could not be read yet.")
    reads.sources.append(Source("BigQuery, tabledata.list", reads.cloud.now()))
    return {who: (name, rows) for name, each in sorted(held.items()) for who, rows in each.players.items()}


def _failures(reads: Reads, game_date: date) -> Mapping[str, logs.LogLine]:
    """The newest line about each player whose prediction or write failed."""
    lines = logs.read_night(reads.cloud, game_date)
    reads.sources.append(lines.source)
    found = (
        (_WHO.search(line.message), line) for line in lines.lines if line.service == reads.cloud.settings.worker_service
    )
    return {who[1]: line for who, line in found if who is not None}
