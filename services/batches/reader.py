"""Reads every batch of a game date with its state and its counts: from the ledger, and where a coordinator keeps none, from
run rows, log lines and staging tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypedDict, TypeVar, cast

from services.actions.log_reader import Action, ActionLog, ActionState, read_action_log
from services.batches.ids import is_batch_id, read_batch_date
from services.batches.log_batches import LogBatch, RunRow, StagedTable, collect_log_batches
from services.batches.log_runs import LogRun, find_log_runs
from services.batches.staged_rows import list_tables_of_date
from services.batches.staging_listing import read_original_created
from services.batches.state import HEALTH_BY_BATCH_STATE, IN_PROGRESS_STATES, BatchState, current_state
from services.core.clock import night_window, worker_run_days
from services.core.errors import OnCallError, TableAbsent
from services.core.result import DataSource, Health, Problem, sum_or_unknown
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.telemetry import log_reader
from services.telemetry.log_phrases import STATUS_FILTER


class _StateRow(TypedDict):
    """A row of the query batches.states_by_date."""

    batch_id: str
    game_date: date
    state: str
    sequence: int
    recorded_at: datetime
    started_by: str | None
    reason: str | None
    requested: int | None
    generated: int | None
    staged_rows: int | None
    inserted: int | None
    updated: int | None
    unchanged: int | None


# Jobs and lines of a batch may be a little before its first record and after its last.
WINDOW_LEAD, WINDOW_LAG = timedelta(minutes=1), timedelta(minutes=5)

_LEDGER = "batch ledger"

CONSOLIDATE = "staging.consolidate"  # the name of the action type, as it is recorded
_UNFINISHED_STATES = {BatchState.CONSOLIDATION_FAILED, BatchState.STALLED}
_OPEN_STATES = IN_PROGRESS_STATES | {BatchState.STALLED, BatchState.CONSOLIDATION_FAILED}

BatchRow = TypeVar("BatchRow", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Batch:
    """One batch. Counts are None where nothing recorded them."""

    batch_id: str
    game_date: date
    state: BatchState
    started: datetime | None
    ended: datetime | None
    started_by: str
    requested: int | None
    generated: int | None
    staged_rows: int | None
    written_rows: int | None
    status_text: str  # its state in the coordinator's own words
    health: Health
    record_source: str  # "ledger" or "logs"


@dataclass(frozen=True)
class Batches:
    """The batches of a game date, newest first; sources that could not be read, and those that do not exist in this installation."""

    batches: tuple[Batch, ...]
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()
    not_recorded: tuple[Problem, ...] = ()

    @property
    def newest(self) -> Batch | None:
        """The run that started last; None when there is none.

        A batch without a date in its id is of a message or two, and counts only where there is no run.
        """
        runs = (b for b in self.batches if not is_batch_id(b.batch_id) or read_batch_date(b.batch_id) is not None)
        return next(runs, next(iter(self.batches), None))

    @property
    def running(self) -> tuple[Batch, ...]:
        """The batches in progress, newest first."""
        return tuple(batch for batch in self.batches if batch.state in IN_PROGRESS_STATES)

    @property
    def ledger_problem(self) -> Problem | None:
        """Why the ledger could not be read: then a batch that runs may be missing here."""
        return next((problem for problem in self.problems if problem.source == _LEDGER), None)


def read_batches(clients: Clients, game_date: date) -> Batches:
    """Batches of a game date: from our ledger, and from run rows and log lines where a coordinator keeps no ledger.

    Raises OnCallError when neither the ledger nor the run rows can be read; one of them unread is reported in `problems`.
    """
    sources: list[DataSource] = []
    problems: list[Problem] = []
    not_recorded: list[Problem] = []

    def read_source(source: str, read: Callable[[], Any]) -> Any:
        try:
            result = read()
        except TableAbsent as error:
            not_recorded.append(Problem.from_error(source, clients.now(), error))
            return None
        except OnCallError as error:
            problems.append(Problem.from_error(source, clients.now(), error))
            return None
        sources.append(result.source)
        return result

    with concurrent_reads() as pool:
        days = worker_run_days(game_date)
        asked_ledger = query_catalog.submit_query(pool, clients, "batches.states_by_date", game_date=game_date)
        asked_runs = query_catalog.submit_query(pool, clients, "nights.worker_runs", game_date=game_date, **days)
        times = run_times(asked_runs)
        asked_lines = pool.submit(log_reader.read_night_log, clients, game_date, STATUS_FILTER, run_times=times)
        asked_tables = pool.submit(_staged_tables, clients, game_date)
    ledger = read_source(_LEDGER, asked_ledger.result)
    runs = read_source("worker runs", asked_runs.result)
    unread = bool(problems)
    if unread and ledger is None and runs is None:
        raise OnCallError("No record of batches can be read.", problems[0].message)
    ledger_batches = [
        _batch_from_ledger(rows, clients.now())
        for rows in group_by_batch(cast(tuple[_StateRow, ...], ledger.rows if ledger else ()), "sequence")
    ]
    recorded_ids = {batch.batch_id for batch in ledger_batches}
    run_rows = cast(tuple[RunRow, ...], runs.rows if runs else ())
    lines = read_source("coordinator log", asked_lines.result)
    if lines is not None and lines.problem is not None:
        problems.append(lines.problem)
    starts = {batch.batch_id: batch.started for batch in ledger_batches if batch.started is not None}
    all_runs = coordinator_runs(clients, lines.lines if lines else (), starts)
    log_runs = [run for run in all_runs if run.game_date == game_date]
    tables = read_source("staging tables", asked_tables.result)
    log_batches = collect_log_batches(log_runs, run_rows, tables.tables if tables else (), recorded_ids)
    found = [
        _from_log_batch(b, game_date, clients.now(), lines is not None)
        for b in log_batches
        if b.rows or b.tables or not unread
    ]
    if unfinished := [batch for batch in found if batch.state in _UNFINISHED_STATES and batch.started is not None]:
        actions = read_source("action log", lambda: _actions_since(clients, unfinished))
        found = [_with_consolidation(batch, actions.actions if actions else ()) for batch in found]
    newest_first = sorted(
        [*ledger_batches, *found], key=lambda b: b.started.timestamp() if b.started else 0.0, reverse=True
    )
    return Batches(tuple(newest_first), tuple(sources), tuple(problems), tuple(not_recorded))


def run_times(worker_runs: Future[query_catalog.QueryResult]) -> Iterator[datetime]:
    """The times of the worker runs, once they are read; none where they cannot be, which is a problem of its own."""
    if worker_runs.exception() is None:
        yield from (row["run_date"] for row in worker_runs.result().rows if row["run_date"] is not None)


def _actions_since(clients: Clients, batches: Iterable[Batch]) -> ActionLog:
    """The actions since the first of these batches, of whole days, so that an unchanged log is not read again."""
    first = min(batch.started for batch in batches if batch.started is not None)
    tomorrow = clients.now() + timedelta(days=1)
    return read_action_log(
        clients, *(at.replace(hour=0, minute=0, second=0, microsecond=0) for at in (first, tomorrow))
    )


def _with_consolidation(batch: Batch, actions: Iterable[Action]) -> Batch:
    """A batch of another coordinator that was consolidated from here after its last trace, which its own log never shows."""
    if batch.state not in _UNFINISHED_STATES or batch.ended is None:
        return batch
    for action in actions:
        is_own = (action.action_name, action.target, action.state) == (CONSOLIDATE, batch.batch_id, ActionState.DONE)
        if is_own and action.ended_at is not None and action.ended_at >= batch.ended:
            return replace(
                batch,
                state=BatchState.CONSOLIDATED,
                health=HEALTH_BY_BATCH_STATE[BatchState.CONSOLIDATED],
                ended=action.ended_at,
                written_rows=sum_or_unknown(action.facts.get(name) for name in ("inserted", "updated", "unchanged")),
                status_text=f"consolidated from here by {action.actor}: {action.message}",
            )
    return batch


def read_open_dates(clients: Clients, first_date: date, last_date: date) -> frozenset[date]:
    """The dates of these with a batch in our ledger that is under way or stopped by a failure. Raises OnCallError."""
    result = query_catalog.run_query(clients, "batches.states_between", first_date=first_date, last_date=last_date)
    newest_rows = [rows[-1] for rows in group_by_batch(result.rows, "sequence")]
    return frozenset(row["game_date"] for row in newest_rows if BatchState(row["state"]) in _OPEN_STATES)


def run_window(game_date: date, batches: Batches | None) -> tuple[datetime, datetime]:
    """The instants of a date's runs: its night, and whatever of its batches is before or after it."""
    start, end = night_window(game_date)
    known = batches.batches if batches else ()
    starts = [batch.started - WINDOW_LEAD for batch in known if batch.started is not None]
    ends = [batch.ended + WINDOW_LAG for batch in known if batch.ended is not None]
    return min([start, *starts]), max([end, *ends])


def coordinator_runs(
    clients: Clients, lines: Iterable[log_reader.LogLine], recorded_starts: Mapping[str, datetime] | None = None
) -> tuple[LogRun, ...]:
    """The runs of every game date in the coordinator's lines; `recorded_starts` as in find_log_runs."""
    own_lines = (line for line in lines if line.service == clients.settings.coordinator_service)
    return find_log_runs(own_lines, recorded_starts)


@dataclass(frozen=True)
class _StagedTables:
    tables: tuple[StagedTable, ...]
    source: DataSource


def _staged_tables(clients: Clients, game_date: date) -> _StagedTables:
    tables = (
        StagedTable(str(item.table_id), read_original_created(item)) for item in list_tables_of_date(clients, game_date)
    )
    return _StagedTables(tuple(tables), DataSource("BigQuery, tables.list", clients.now()))


def group_by_batch(rows: Iterable[BatchRow], order: str) -> list[list[BatchRow]]:
    """The rows of each batch in that column's order; rows of no batch and rows without it are left out."""
    groups: dict[str, list[BatchRow]] = {}
    for row in sorted((row for row in rows if row["batch_id"] and row[order] is not None), key=lambda row: row[order]):
        groups.setdefault(row["batch_id"], []).append(row)
    return list(groups.values())


def _batch_from_ledger(state_rows: Sequence[_StateRow], now: datetime) -> Batch:
    row = state_rows[-1]
    state = current_state(BatchState(row["state"]), row["recorded_at"], now)
    return Batch(
        batch_id=row["batch_id"],
        game_date=row["game_date"],
        state=state,
        started=min(state_row["recorded_at"] for state_row in state_rows),
        ended=None if state in IN_PROGRESS_STATES else row["recorded_at"],
        started_by=row["started_by"] or "",
        requested=row["requested"],
        generated=row["generated"],
        staged_rows=row["staged_rows"],
        written_rows=sum_or_unknown((row["inserted"], row["updated"], row["unchanged"])),
        status_text=row["reason"] or state.value,
        health=HEALTH_BY_BATCH_STATE[state],
        record_source="ledger",
    )


def _from_log_batch(batch: LogBatch, game_date: date, now: datetime, log_read: bool) -> Batch:
    """A batch of another coordinator: its status is what that coordinator claims, never proof."""
    state = batch.state(now, log_read)
    return Batch(
        batch_id=batch.name,
        game_date=game_date,
        state=state,
        started=batch.started,
        ended=None if state in IN_PROGRESS_STATES else batch.last_trace,
        started_by="",  # no log line names it
        requested=batch.requested,
        generated=batch.generated,
        staged_rows=None,
        written_rows=None,
        status_text=batch.status_text if log_read else "the coordinator's log could not be read",
        health=HEALTH_BY_BATCH_STATE[state],
        record_source="logs",
    )
