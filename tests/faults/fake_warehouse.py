"""A warehouse in memory that behaves as BigQuery does where it hurts: job ids given once, answers lost after the effect, MERGEs
that read one snapshot and both insert. The write path's own classes are driven against it, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.api_core.exceptions import Forbidden, InternalServerError, NotFound, ServiceUnavailable, TooManyRequests

from services.batches.business_key import BusinessKey, business_key
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.row_encoding import Column
from services.pipeline.warehouse import JobFailed, LeaseLost, MergeResult, StagingTableInfo

COLUMNS = (
    Column("prediction_id", "STRING", True),
    Column("game_date", "DATE", True),
    Column("game_id", "STRING", True),
    Column("player_lookup", "STRING", True),
    Column("system_id", "STRING", True),
    Column("current_points_line", "NUMERIC", False),
    Column("predicted_points", "NUMERIC", True),
    Column("is_active", "BOOLEAN", True),
    Column("created_at", "TIMESTAMP", True),
)
COLUMN_TYPES = tuple((column.name, column.field_type) for column in COLUMNS)
Row = dict[str, Any]


class ProcessKilled(BaseException):
    """The process died here. Not an Exception: no handler of the code under test may survive it."""


@dataclass
class Job:
    labels: Mapping[str, str]
    created: datetime
    result: Any = None
    error: Exception | None = None
    done: bool = True


@dataclass
class WarehouseState:
    """What survives every process: tables, the predictions, the jobs, the clock."""

    tables: dict[str, tuple[list[Row], int]] = field(default_factory=dict)  # rows, version
    predictions: list[Row] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    now: datetime = datetime(2025, 12, 30, 7, 0, tzinfo=UTC)
    commits: int = 0  # MERGEs committed so far
    merging: int = 0  # MERGEs under way
    overlaps: int = 0  # times a MERGE began while another was under way
    writes: int = 0


FaultHook = Callable[[str, str], None]


def no_faults(_step: str, _phase: str) -> None:
    """Nothing goes wrong."""


@dataclass
class FakeWarehouse:
    """One process's connection to the shared state. `fault_hook(step, phase)`, with phase "before", "job", "inside" or "after",
    may raise, kill, wait, or let another process run.
    """

    state: WarehouseState
    fault_hook: FaultHook = no_faults

    def now(self) -> datetime:
        return self.state.now

    def get_columns(self) -> tuple[Column, ...]:
        return COLUMNS

    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int:
        def effect() -> int:
            self.state.writes += 1
            self.state.tables[table] = ([dict(row) for row in rows], self.state.writes)
            return len(rows)

        return int(self._job("load", job_id, {}, effect))

    def list_staging_tables(self, prefix: str) -> tuple[StagingTableInfo, ...]:
        self.fault_hook("list", "before")
        names = sorted(name for name in self.state.tables if name.split(".")[-1].startswith(prefix))
        return tuple(
            StagingTableInfo(n, len(self.state.tables[n][0]), COLUMN_TYPES, str(self.state.tables[n][1])) for n in names
        )

    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int:
        def effect() -> int:
            existing = self.state.tables.get(target, ([], 0))[0]
            rows = [row for source in sources for row in self.state.tables[source][0]]
            self.state.writes += 1
            self.state.tables[target] = (existing + rows, self.state.writes)
            return len(existing) + len(rows)

        return int(self._job("copy", job_id, {}, effect))

    def merge(self, source: str, game_date: date, job_id: str, at: datetime) -> MergeResult:
        return MergeResult(int(self._job("merge", job_id, {}, lambda: self._merge(source, game_date, at))), job_id)

    def read_keys(self, table: str, game_date: date) -> dict[BusinessKey, list[bool]]:
        self.fault_hook("keys", "before")
        rows = self.state.predictions if table == PREDICTIONS_TABLE else self.state.tables[table][0]
        active_by_key: dict[BusinessKey, list[bool]] = {}
        for row in rows:
            if str(row["game_date"]) == str(game_date):
                active_by_key.setdefault(business_key(row), []).append(bool(row["is_active"]))
        return active_by_key

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool:
        self.fault_hook("claim", "before")
        if job_id in self.state.jobs:
            return False
        self.state.jobs[job_id] = Job(labels, self.state.now)
        self.fault_hook("claim", "after")
        return True

    def get_claim(self, job_id: str) -> Mapping[str, str] | None:
        self.fault_hook("look", "before")
        job = self.state.jobs.get(job_id)
        return None if job is None else {**job.labels, "created": job.created.isoformat()}

    def wait_for_job(self, job_id: str) -> None:
        while not self.state.jobs[job_id].done:
            self.fault_hook("wait", "inside")

    def drop(self, table: str, version: str | None = None) -> bool:
        self.fault_hook("drop", "before")
        existing = self.state.tables.get(table)
        if existing is not None and version is not None and str(existing[1]) != version:
            return False
        self.state.tables.pop(table, None)
        self.fault_hook("drop", "after")
        return True

    # --- how jobs behave ------------------------------------------------------------------------------------------------

    def _job(self, step: str, job_id: str, labels: Mapping[str, str], effect: Callable[[], Any]) -> Any:
        """Start a job or adopt the one with this id; an id whose job failed is used up."""
        self.fault_hook(step, "before")
        job = self.state.jobs.get(job_id)
        if job is None:
            job = self.state.jobs[job_id] = Job(labels, self.state.now, done=False)
            try:
                self.fault_hook(step, "job")
                job.result = effect()
            except (Forbidden, InternalServerError) as error:
                job.error = error
            except (ProcessKilled, Exception):  # the job goes on without its starter
                self._finish_without_starter(job, effect)
                raise
            job.done = True
            self.fault_hook(step, "after")
        while not job.done:
            self.fault_hook(step, "inside")
        if job.labels.get("fenced"):
            raise LeaseLost("A later consolidation took over.")
        if job.error is not None:
            raise JobFailed(f"{job_id} failed") from job.error
        return job.result

    def _finish_without_starter(self, job: Job, effect: Callable[[], Any]) -> None:
        """A job once started ends by itself, well or with its source table gone."""
        original_hook, self.fault_hook = self.fault_hook, no_faults
        try:
            job.result = effect()
        except KeyError as error:
            job.error = NotFound(f"Not found: Table {error}")
        finally:
            job.done, self.fault_hook = True, original_hook

    def _merge(self, source: str, game_date: date, at: datetime) -> int:
        """Two MERGEs that overlap both read the snapshot they began with; only ones that also update are rerun by BigQuery."""
        store = self.state
        store.overlaps += store.merging > 0
        store.merging += 1
        try:
            commits_before, plan = store.commits, plan_merge(store.predictions, store.tables[source][0], game_date)
            self.fault_hook("merge", "inside")
            if store.commits != commits_before and plan[1]:
                plan = plan_merge(store.predictions, store.tables[source][0], game_date)
            return apply_merge(store, plan)
        finally:
            store.merging -= 1


MergePlan = tuple[list[Row], list[tuple[Row, Row]], list[Row]]  # insert, (row, by) update, retire


def plan_merge(predictions: list[Row], staged: list[Row], game_date: date) -> MergePlan:
    """What the MERGE statement does with these rows: the same rules as services.pipeline.merge, in Python."""
    newest: dict[BusinessKey, Row] = {}
    for row in sorted(staged, key=lambda r: (str(r["created_at"]), r["prediction_id"])):
        newest[business_key(row)] = row
    by_key: dict[BusinessKey, list[Row]] = {}
    for row in predictions:
        if str(row["game_date"]) == str(game_date):
            by_key.setdefault(business_key(row), []).append(row)
    insert = [row for k, row in newest.items() if k not in by_key]
    update = [(old, row) for k, row in newest.items() for old in by_key.get(k, []) if _is_changed(old, row)]
    touched = {k.player_system for k in newest}
    superseded = [k for k in by_key if k.player_system in touched and k not in newest]
    retire = [row for k in superseded for row in by_key[k] if row["is_active"]]
    return insert, update, retire


def _is_changed(old: Row, new: Row) -> bool:
    return (str(old["predicted_points"]), old["is_active"]) != (str(new["predicted_points"]), new["is_active"])


def apply_merge(state: WarehouseState, plan: MergePlan) -> int:
    insert, update, retire = plan
    state.predictions.extend(dict(row) for row in insert)
    for old, new in update:
        old.update(predicted_points=new["predicted_points"], is_active=new["is_active"])
    for row in retire:
        row["is_active"] = False
    state.commits += 1
    return len(insert) + len(update) + len(retire)


FAULTS = ("killed", "timeout", "lost answer", "429", "503", "500 after commit", "refused job", "slow")


def raise_fault(state: WarehouseState, fault: str, step: str, phase: str) -> None:
    """Let one fault happen at a boundary; some make sense only before, inside or after a step."""
    if fault == "slow":
        state.now += timedelta(minutes=4)
    elif fault == "killed":
        raise ProcessKilled
    elif fault in ("timeout", "lost answer"):
        raise ConnectionError(f"{fault} at {step}")
    elif fault == "429":
        raise TooManyRequests("slow down")
    elif fault == "503":
        raise ServiceUnavailable("The service is currently unavailable")
    elif fault == "500 after commit" and phase == "after":
        raise InternalServerError("internal error")
    elif fault == "refused job" and phase == "job":
        raise Forbidden(
            "Exceeded rate limits: too many table update operations for this table",
            errors=[{"reason": "rateLimitExceeded"}],
        )
