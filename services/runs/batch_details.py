"""One batch in full: its stages over time, what became of each of its players, and its log lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from services.batches.ledger import OUTCOME_WORDS, BatchRecord, Ledger, PlayerOutcome
from services.batches.reader import WINDOW_LAG, WINDOW_LEAD, Batch
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.clock import worker_run_days
from services.core.result import DataSource, Health
from services.core.text import pluralize
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.nights.player_stages import PlayerStatus, read_night
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport, count_by_minute, peak_outstanding
from services.telemetry.log_phrases import STATUS_FILTER
from services.telemetry.log_reader import LogLine

ACTIVE, STAGED, REQUESTED = "active", "staged", "requested"
_STAGE_NAMES = {
    BatchState.REQUESTED: "Requested",
    BatchState.RUNNING: "Generating",
    BatchState.STAGED: "Staged",
    BatchState.CONSOLIDATING: "Consolidating",
}
_HEALTH_BY_STATE = {
    ACTIVE: Health.OK,
    STAGED: Health.NONE_EXPECTED,
    REQUESTED: Health.NONE_EXPECTED,
    "re-run later": Health.NONE_EXPECTED,
    "not requested": Health.WARNING,
    "not generated": Health.WARNING,
    "unknown": Health.UNKNOWN,
}


@dataclass(frozen=True)
class BatchStage:
    """A stretch of a batch's time. `end` None: it still lasts; equal to `start`: a moment."""

    name: str
    start: datetime
    end: datetime | None
    detail: str = ""


@dataclass(frozen=True)
class BatchPlayer:
    """One player of a batch, and what became of him. Rows are None where nothing recorded them."""

    player_lookup: str
    name: str
    matchup: str
    state: str
    generated_rows: int | None
    active_rows: int | None
    detail: str = ""

    @property
    def health(self) -> Health:
        """How healthy the state is: whatever is not known to be in order is critical."""
        return _HEALTH_BY_STATE.get(self.state, Health.CRITICAL)


@dataclass(frozen=True)
class BatchDetails:
    """`stages` are empty where no ledger recorded them; `players` worst first."""

    stages: tuple[BatchStage, ...]
    players: tuple[BatchPlayer, ...]
    lines: tuple[LogLine, ...]
    sources: tuple[DataSource, ...]


def read_batch_details(clients: Clients, batch: Batch, until: datetime | None) -> BatchDetails:
    """What is recorded of a batch; `until` is the start of the next one, whose log lines are not its own. Raises OnCallError."""
    night = read_night(clients, batch.game_date)
    by_lookup = {player.player_lookup: player for player in night.players}
    stages: tuple[BatchStage, ...] = ()
    if batch.record_source == "ledger":
        ledger = Ledger(clients)
        with translate_errors("The batch log"):
            records = ledger.states(batch.batch_id, batch.game_date)
            outcomes = ledger.player_outcomes(batch.batch_id, batch.game_date)
        stages = tuple(ledger_stages(records, clients.now()))
        players = ledger_players(batch, records[-1].players if records else (), outcomes, by_lookup)
    else:
        lookups = _requested_lookups(clients, batch)
        lookups |= {p.player_lookup for p in night.players if p.batch_id == batch.batch_id}
        players = [_log_player(batch, by_lookup.get(lookup), lookup) for lookup in lookups]
    log = log_reader.read_night_log(clients, batch.game_date, STATUS_FILTER)
    return BatchDetails(
        stages,
        tuple(sorted(players, key=lambda p: (p.health is Health.OK, p.health is not Health.CRITICAL, p.name))),
        tuple(lines_of_batch(batch, log.lines, until, clients.now())),
        (*night.sources, log.source),
    )


def _requested_lookups(clients: Clients, batch: Batch) -> set[str]:
    """The players of the workers' run rows that name this batch."""
    days = worker_run_days(batch.game_date)
    rows = query_catalog.run_query(clients, "nights.worker_runs", game_date=batch.game_date, **days).rows
    return {row["player_lookup"] for row in rows if row["batch_id"] == batch.batch_id and row["player_lookup"]}


def ledger_stages(records: Sequence[BatchRecord], now: datetime) -> Iterator[BatchStage]:
    """The stages by the recorded states, oldest first: each lasts until the next state is recorded. Pure."""
    timed = [record for record in records if record.recorded_at is not None]
    changes = [r for i, r in enumerate(timed) if i == 0 or timed[i - 1].state != r.state]
    for record, following in zip_longest(changes, changes[1:]):
        newest = max((r for r in timed if r.state == record.state), key=lambda r: r.sequence)
        start = record.recorded_at or now
        end = following.recorded_at if following else None if record.state in IN_PROGRESS_STATES else start
        yield BatchStage(_STAGE_NAMES.get(record.state, str(record.state).capitalize()), start, end, _detail(newest))


def _detail(record: BatchRecord) -> str:
    """What a state has counted."""
    if record.state is BatchState.REQUESTED:
        return pluralize(record.requested, "player") if record.requested is not None else ""
    if record.state is BatchState.RUNNING:
        return f"{record.generated:,} of {record.requested:,} players" if record.generated and record.requested else ""
    if record.state in (BatchState.STAGED, BatchState.CONSOLIDATING):
        return f"{record.staged_rows:,} rows staged" if record.staged_rows is not None else ""
    if record.state is BatchState.CONSOLIDATED and None not in (record.inserted, record.updated, record.unchanged):
        return f"{record.inserted:,} inserted, {record.updated:,} updated, {record.unchanged:,} unchanged"
    return record.reason


def write_stages(batch: Batch, writes: DmlReport | None) -> Iterator[BatchStage]:
    """The stages of a batch without a ledger: its start, its writes by the job history, and what it reported. Pure."""
    if batch.started is None:
        return
    requested = "" if batch.requested is None else pluralize(batch.requested, "player")
    yield BatchStage("Requested", batch.started, batch.started, requested)
    report = writes_of_batch(batch, writes)
    if report is not None and report.attempts:
        times, rejected = [attempt.at for attempt in report.attempts], report.rejected or 0
        detail = f"{len(times) - rejected:,} written, {rejected:,} rejected"
        yield BatchStage("Writing", min(times), max(times), detail)
    if batch.ended is not None:
        yield BatchStage("Reported", batch.ended, batch.ended, batch.status_text)


def writes_of_batch(batch: Batch, writes: DmlReport | None) -> DmlReport | None:
    """The writes of a date within the time of one of its batches; None where its time or all the writes are not known. Pure."""
    if batch.started is None or writes is None or writes.attempted is None:
        return None
    start, end = batch.started, (batch.ended or batch.started) + WINDOW_LAG
    attempts = tuple(attempt for attempt in writes.attempts if start <= attempt.at <= end)
    return replace(
        writes,
        attempts=attempts,
        attempted=len(attempts),
        rejected=sum(attempt.ok is False for attempt in attempts),
        by_minute=count_by_minute(attempts),
        peak_outstanding=peak_outstanding(attempts),
        alert_at=writes.alert_at if writes.alert_at and start <= writes.alert_at <= end else None,
    )


def ledger_players(
    batch: Batch, requested: Iterable[str], outcomes: Mapping[str, PlayerOutcome], by_lookup: Mapping[str, PlayerStatus]
) -> list[BatchPlayer]:
    """Every requested player with the outcome that the coordinator recorded, and whether his rows are active now. Pure."""
    lookups = dict.fromkeys([*requested, *outcomes])
    return [_ledger_player(batch, lookup, outcomes.get(lookup), by_lookup.get(lookup)) for lookup in lookups]


def _ledger_player(
    batch: Batch, lookup: str, outcome: PlayerOutcome | None, player: PlayerStatus | None
) -> BatchPlayer:
    if outcome is None:
        state = REQUESTED if batch.state in IN_PROGRESS_STATES else "no answer"
    elif not outcome.staged:
        state = OUTCOME_WORDS.get(outcome.outcome, outcome.outcome)
    elif player is not None and player.active_rows:
        state = ACTIVE
    else:
        state = "inactive" if batch.state is BatchState.CONSOLIDATED else STAGED
    detail = " ".join(filter(None, (outcome.reason, outcome.message))) if outcome else ""
    return _to_player(lookup, player, state, outcome.produced_rows if outcome else None, detail)


def _log_player(batch: Batch, player: PlayerStatus | None, lookup: str) -> BatchPlayer:
    """A player of another coordinator's batch, by what the night has of him."""
    if player is None:
        return _to_player(lookup, None, "unknown", None, "not in context any more")
    if player.batch_id and player.batch_id != batch.batch_id:
        return _to_player(lookup, player, "re-run later", None, player.batch_id)
    state, detail = "unknown", ""
    if player.active_rows:
        state = ACTIVE
    elif player.write_error is not None:
        state, detail = "write rejected", player.write_error.reason or player.write_error.text
    elif player.generated_rows == 0:
        state, detail = "not generated", player.generation_error
    return _to_player(lookup, player, state, player.generated_rows, detail)


def _to_player(
    lookup: str, player: PlayerStatus | None, state: str, generated_rows: int | None, detail: str
) -> BatchPlayer:
    matchup = f"{player.team} vs {player.opponent}" if player is not None and player.team and player.opponent else ""
    name = (player.player_name if player is not None else "") or lookup
    return BatchPlayer(
        lookup, name, matchup, state, generated_rows, player.active_rows if player is not None else None, detail
    )


def lines_of_batch(batch: Batch, lines: Iterable[LogLine], until: datetime | None, now: datetime) -> Iterator[LogLine]:
    """The lines that name the batch, and those within its time that name no other. Pure."""
    start = batch.started - WINDOW_LEAD if batch.started is not None else None
    end = min(filter(None, ((batch.ended or now) + WINDOW_LAG, until)))
    for line in lines:
        names_another = "batch_" in line.message and batch.batch_id not in line.message
        if batch.batch_id in line.message or (start and start <= line.at < end and not names_another):
            yield line
