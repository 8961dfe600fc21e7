"""One night, player by player: how far each one came, from the odds to an active row, and what stopped the rest.

Coverage, missing players and the overview all start from `read_night`, so they can never disagree.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from services import logs
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.clock import night_window
from services.foundation.errors import OnCallError, SourceUnreadable
from services.foundation.google_errors import recognise
from services.foundation.google_reads import items_of, reading_from
from services.foundation.reading import Problem, Source
from services.staging_contents import read_contents

MINUTES_NEEDED = 15.0  # average of the last week below which a player is not predicted
STAGING_DATASET = "nba_predictions"


class Stage(StrEnum):
    """The stages of a player on a game date, in order; see `STAGES`."""

    LINED = "lined"
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


@dataclass
class _Reads:
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


def read_night(cloud: Cloud, game_date: date) -> Night:
    """Read one game date through all its stages; raises OnCallError when the warehouse cannot be read.

    Worker runs, our ledger, staging tables and the log are optional: what hangs on an unreadable one is None, and told in `problems`.
    """
    reads = _Reads(cloud)
    start, end = night_window(game_date)
    days = {"from_time": start - timedelta(days=1), "to_time": end + timedelta(days=7)}
    people = reads.rows("night.players", game_date=game_date)
    written = reads.rows("night.written", game_date=game_date)
    runs = reads.optional(
        "worker runs", lambda: _by_player(reads.rows("night.worker_runs", game_date=game_date, **days))
    )
    ledger = reads.optional("batch ledger", lambda: _by_player(reads.rows("night.ledger", game_date=game_date)))
    staged = reads.optional("staging tables", lambda: _staged(reads, game_date))
    lines = reads.optional("worker log", lambda: _failures(reads, start, end + timedelta(days=1)))
    known = _Known(_written(written), runs, ledger, staged, lines)
    players = tuple(_player(row, known) for row in people)
    return Night(
        game_date=game_date,
        games=len({row["game_id"] for row in people}),
        players=players,
        systems=_systems(written),
        generated_rows=_total(p.generated_rows for p in players),
        written_rows=sum(row["written_rows"] for row in written),
        active_rows=sum(row["active_rows"] for row in written),
        ran=_ran(players, written, runs, ledger),
        sources=tuple(reads.sources),
        problems=tuple(reads.problems),
    )


Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class _Known:
    """Per player, what each source tells; None where the whole source could not be read."""

    written: Rows
    runs: Rows | None
    ledger: Rows | None
    staged: Rows | None
    lines: Mapping[str, logs.LogLine] | None


def _player(row: Mapping[str, Any], known: _Known) -> PlayerNight:
    who = row["player_lookup"]
    run, entry = (known.runs or {}).get(who), (known.ledger or {}).get(who)
    staged = (known.staged or {}).get(who, {})
    written = known.written.get(who, {})
    line = (known.lines or {}).get(who)
    eligible, reason = eligibility(row)
    generated = _generated_rows(run, entry, written, known)
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
        requested=_requested(run, entry, written, known),
        generated_rows=generated,
        generation_error=_generation_error(run, entry, line, generated),
        staged_rows=_staged_rows(entry, staged, known),
        staging_table=str((entry or {}).get("staging_table") or staged.get("table") or ""),
        written_rows=int(written.get("written_rows", 0)),
        active_rows=int(written.get("active_rows", 0)),
        superseded=bool(written.get("superseded_rows", 0)),
        write_error=_write_error(line) if rejected and line is not None else _recorded_error(entry),
        batch_id=str((entry or run or {}).get("batch_id") or ""),
    )


def eligibility(row: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether a context row meets the coordinator's rule, and in words why not."""
    if not row["in_context"]:
        return None, "not in context"
    status = str(row["status"] or "").upper()
    if status in ("OUT", "DOUBTFUL"):
        return False, status
    minutes = row["minutes"]
    if minutes is None or minutes < MINUTES_NEEDED:
        told = "no minutes known" if minutes is None else f"{minutes:.1f} minutes on average"
        return False, f"{told}, {MINUTES_NEEDED:g} needed"
    if not row["ready"]:
        return False, "not production-ready"
    return True, ""


def _requested(run: Any, entry: Any, written: Mapping[str, Any], known: _Known) -> bool | None:
    if run or entry or written:
        return True
    return None if known.runs is None or known.ledger is None else False


def _generated_rows(run: Any, entry: Any, written: Mapping[str, Any], known: _Known) -> int | None:
    if entry is not None and entry["produced_rows"] is not None:
        return max(int(entry["produced_rows"]), int(written.get("written_rows", 0)))
    if run is not None and run["predictions_generated"] is not None:
        return max(int(run["predictions_generated"]), int(written.get("written_rows", 0)))
    if written:
        return int(written["written_rows"])
    return None if known.runs is None or known.ledger is None else 0


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


def _staged_rows(entry: Any, staged: Mapping[str, Any], known: _Known) -> int | None:
    live = int(staged.get("staged_rows", 0))
    recorded = int((entry or {}).get("staged_rows") or 0)
    if live or recorded:
        return max(live, recorded)
    return None if known.staged is None else 0


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


def _by_player(rows: tuple[dict[str, Any], ...]) -> Rows:
    return {row["player_lookup"]: row for row in rows}


def _written(rows: tuple[dict[str, Any], ...]) -> Rows:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for column in ("written_rows", "active_rows", "superseded_rows"):
            sums[row["player_lookup"]][column] += row[column]
    return sums


def _systems(rows: tuple[dict[str, Any], ...]) -> tuple[tuple[str, int, int], ...]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        counts[row["system_id"]][0] += row["active_rows"] > 0
        counts[row["system_id"]][1] += row["active_rows"]
    return tuple((system, players, active) for system, (players, active) in sorted(counts.items()))


def _staged(reads: _Reads, game_date: date) -> Rows:
    """Rows per player in the staging tables that exist now, without a query."""
    prefix = f"_staging_batch_{game_date:%Y_%m_%d}_"
    with reading_from("BigQuery tables.list"):
        listed = reads.cloud.bigquery.list_tables(STAGING_DATASET, page_size=1000)
        tables = [item for item in items_of("BigQuery tables.list", listed) if item.table_id.startswith(prefix)]
    if not tables:
        return {}
    held = read_contents(reads.cloud, tables)
    if unread := sum(item.table_id not in held or held[item.table_id].keys is None for item in tables):
        raise SourceUnreadable(f"{unread:,} of {len(tables):,} staging tables of the night could not be read yet.")
    reads.sources.append(Source("BigQuery, tabledata.list", reads.cloud.now()))
    return {
        who: {"player_lookup": who, "staged_rows": rows, "table": f"{STAGING_DATASET}.{name}"}
        for name, each in sorted(held.items())
        for who, rows in each.players.items()
    }


_WHO = re.compile(r"(?:Error writing to BigQuery|STAGING WRITE FAILED|(?:PERMANENT|TRANSIENT) failure) for (\w+)")


def _failures(reads: _Reads, start: datetime, end: datetime) -> Mapping[str, logs.LogLine]:
    """The newest line about each player whose prediction or write failed."""
    lines = logs.read_lines(reads.cloud, logs.FAILED_PLAYERS, start, end, limit=5_000)
    reads.sources.append(lines.source)
    found = ((_WHO.search(line.message), line) for line in lines.lines)
    return {who[1]: line for who, line in found if who is not None}


def _total(counts: Any) -> int | None:
    counts = list(counts)
    return None if any(count is None for count in counts) else sum(counts)


def _ran(players: tuple[PlayerNight, ...], written: Any, runs: Any, ledger: Any) -> bool | None:
    if written or any(p.requested for p in players):
        return True
    return None if runs is None or ledger is None else False
