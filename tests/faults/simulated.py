"""A warehouse in memory that behaves as BigQuery does where it hurts: job ids given once, answers lost after the effect, MERGEs
that read one snapshot and both insert. The write path's own classes are driven against it, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.api_core.exceptions import Forbidden, InternalServerError, NotFound, ServiceUnavailable, TooManyRequests

from services.batches.business_key import Key, key
from services.batches.ids import PREDICTIONS
from services.pipeline.row_encoding import Column
from services.pipeline.warehouse import FencedOff, JobEnded, Merged, Staged

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
SHAPE = tuple((column.name, column.kind) for column in COLUMNS)
Row = dict[str, Any]


class Killed(BaseException):
    """The process died here. Not an Exception: no handler of the code under test may survive it."""


@dataclass
class Job:
    labels: Mapping[str, str]
    created: datetime
    result: Any = None
    error: Exception | None = None
    done: bool = True


@dataclass
class World:
    """What survives every process: tables, the predictions, the jobs, the clock."""

    tables: dict[str, tuple[list[Row], int]] = field(default_factory=dict)  # rows, version
    predictions: list[Row] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    now: datetime = datetime(2025, 12, 30, 7, 0, tzinfo=UTC)
    commits: int = 0  # MERGEs committed so far
    merging: int = 0  # MERGEs under way
    overlaps: int = 0  # times a MERGE began while another was under way
    writes: int = 0


Trouble = Callable[[str, str], None]


def calm(_step: str, _when: str) -> None:
    """No trouble."""


@dataclass
class SimulatedWarehouse:
    """One process's door to the world. `trouble(step, "before" | "inside" | "after")` may raise, kill, wait, or let another process run."""

    world: World
    trouble: Trouble = calm

    def now(self) -> datetime:
        return self.world.now

    def columns(self) -> tuple[Column, ...]:
        return COLUMNS

    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int:
        def effect() -> int:
            self.world.writes += 1
            self.world.tables[table] = ([dict(row) for row in rows], self.world.writes)
            return len(rows)

        return int(self._job("load", job_id, {}, effect))

    def staged(self, prefix: str) -> tuple[Staged, ...]:
        self.trouble("list", "before")
        wanted = sorted(name for name in self.world.tables if name.split(".")[-1].startswith(prefix))
        return tuple(Staged(n, len(self.world.tables[n][0]), SHAPE, str(self.world.tables[n][1])) for n in wanted)

    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int:
        def effect() -> int:
            there = self.world.tables.get(target, ([], 0))[0]
            rows = [row for source in sources for row in self.world.tables[source][0]]
            self.world.writes += 1
            self.world.tables[target] = (there + rows, self.world.writes)
            return len(there) + len(rows)

        return int(self._job("copy", job_id, {}, effect))

    def merge(self, source: str, game_date: date, job_id: str, at: datetime) -> Merged:
        return Merged(int(self._job("merge", job_id, {}, lambda: self._merge(source, game_date, at))), job_id)

    def keys(self, table: str, game_date: date) -> dict[Key, list[bool]]:
        self.trouble("keys", "before")
        rows = self.world.predictions if table == PREDICTIONS else self.world.tables[table][0]
        found: dict[Key, list[bool]] = {}
        for row in rows:
            if str(row["game_date"]) == str(game_date):
                found.setdefault(key(row), []).append(bool(row["is_active"]))
        return found

    def claim(self, job_id: str, labels: Mapping[str, str]) -> bool:
        self.trouble("claim", "before")
        if job_id in self.world.jobs:
            return False
        self.world.jobs[job_id] = Job(labels, self.world.now)
        self.trouble("claim", "after")
        return True

    def claimed(self, job_id: str) -> Mapping[str, str] | None:
        self.trouble("look", "before")
        job = self.world.jobs.get(job_id)
        return None if job is None else {**job.labels, "created": job.created.isoformat()}

    def wait(self, job_id: str) -> None:
        while not self.world.jobs[job_id].done:
            self.trouble("wait", "inside")

    def drop(self, table: str, version: str | None = None) -> bool:
        self.trouble("drop", "before")
        there = self.world.tables.get(table)
        if there is not None and version is not None and str(there[1]) != version:
            return False
        self.world.tables.pop(table, None)
        self.trouble("drop", "after")
        return True

    # --- how jobs behave ------------------------------------------------------------------------------------------------

    def _job(self, step: str, job_id: str, labels: Mapping[str, str], effect: Callable[[], Any]) -> Any:
        """Start a job or adopt the one with this id; an id whose job failed is used up."""
        self.trouble(step, "before")
        job = self.world.jobs.get(job_id)
        if job is None:
            job = self.world.jobs[job_id] = Job(labels, self.world.now, done=False)
            try:
                self.trouble(step, "job")
                job.result = effect()
            except (Forbidden, InternalServerError) as error:
                job.error = error
            except (Killed, Exception):  # the job goes on without its starter
                self._go_on(job, effect)
                raise
            job.done = True
            self.trouble(step, "after")
        while not job.done:
            self.trouble(step, "inside")
        if job.labels.get("fenced"):
            raise FencedOff("A later consolidation took over.")
        if job.error is not None:
            raise JobEnded(f"{job_id} failed") from job.error
        return job.result

    def _go_on(self, job: Job, effect: Callable[[], Any]) -> None:
        """A job once started ends by itself, well or with its source table gone."""
        trouble, self.trouble = self.trouble, calm
        try:
            job.result = effect()
        except KeyError as gone:
            job.error = NotFound(f"Not found: Table {gone}")
        finally:
            job.done, self.trouble = True, trouble

    def _merge(self, source: str, game_date: date, at: datetime) -> int:
        """Two MERGEs that overlap both read the snapshot they began with; only ones that also update are rerun by BigQuery."""
        world = self.world
        world.overlaps += world.merging > 0
        world.merging += 1
        try:
            begun, plan = world.commits, plan_merge(world.predictions, world.tables[source][0], game_date)
            self.trouble("merge", "inside")
            if world.commits != begun and plan[1]:
                plan = plan_merge(world.predictions, world.tables[source][0], game_date)
            return apply_merge(world, plan)
        finally:
            world.merging -= 1


Plan = tuple[list[Row], list[tuple[Row, Row]], list[Row]]  # insert, (row, by) update, retire


def plan_merge(predictions: list[Row], staged: list[Row], game_date: date) -> Plan:
    """What the MERGE statement does with these rows: the same rules as services.pipeline.merge, in Python."""
    newest: dict[Key, Row] = {}
    for row in sorted(staged, key=lambda r: (str(r["created_at"]), r["prediction_id"])):
        newest[key(row)] = row
    by_key: dict[Key, list[Row]] = {}
    for row in predictions:
        if str(row["game_date"]) == str(game_date):
            by_key.setdefault(key(row), []).append(row)
    insert = [row for k, row in newest.items() if k not in by_key]
    update = [(old, row) for k, row in newest.items() for old in by_key.get(k, []) if _differs(old, row)]
    renewed = {k[1:4] for k in newest}
    retire = [o for k, rows in by_key.items() if k[1:4] in renewed and k not in newest for o in rows if o["is_active"]]
    return insert, update, retire


def _differs(old: Row, new: Row) -> bool:
    return (str(old["predicted_points"]), old["is_active"]) != (str(new["predicted_points"]), new["is_active"])


def apply_merge(world: World, plan: Plan) -> int:
    insert, update, retire = plan
    world.predictions.extend(dict(row) for row in insert)
    for old, new in update:
        old.update(predicted_points=new["predicted_points"], is_active=new["is_active"])
    for row in retire:
        row["is_active"] = False
    world.commits += 1
    return len(insert) + len(update) + len(retire)


FAULTS = ("killed", "timeout", "lost answer", "429", "503", "500 after commit", "refused job", "slow")


def raise_fault(world: World, fault: str, step: str, when: str) -> None:
    """Let one fault happen at a boundary; some make sense only before, inside or after a step."""
    if fault == "slow":
        world.now += timedelta(minutes=4)
    elif fault == "killed":
        raise Killed
    elif fault in ("timeout", "lost answer"):
        raise ConnectionError(f"{fault} at {step}")
    elif fault == "429":
        raise TooManyRequests("slow down")
    elif fault == "503":
        raise ServiceUnavailable("The service is currently unavailable")
    elif fault == "500 after commit" and when == "after":
        raise InternalServerError("internal error")
    elif fault == "refused job" and when == "job":
        raise Forbidden(
            "Exceeded rate limits: too many table update operations for this table",
            errors=[{"reason": "rateLimitExceeded"}],
        )
