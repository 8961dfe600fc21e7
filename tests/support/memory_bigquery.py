"""BigQuery in memory, without HTTP: what the write path calls of google.cloud.bigquery.Client, with the real statements on DuckDB.

    project = MemoryProject(clock)
    clients = memory_clients(project)       # tests/support/memory_clients.py: a real Clients

Job ids are accepted once per project; a MERGE with several source rows for one target row fails; of two that overlap, one that
changes rows is done again on the other's result, and one that only inserts is not, as in BigQuery. Each call passes `hook`
where a fault may happen: it may raise, let time pass or let another process run.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Literal

from google.api_core.exceptions import BadRequest, Conflict, Forbidden, GoogleAPICallError, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery.table import Row as BigQueryRow

from services.core.clock import Clock
from services.sandbox.bigquery.billing_meter import MIN_BILLED_BYTES
from services.sandbox.stand_ins.cloud_logging import LogStore
from tests.support import memory_engine
from tests.support.memory_results import StatementInput
from tests.support.memory_tables import InvalidRow, MemoryTable, parse_json_rows, read_schemas

PROJECT = "nba-props-platform"
LOCATION = "US"
Phase = Literal["before", "job", "inside", "commit", "after"]
# before: the call is not made yet · job: the job has begun (a Google error raised here fails it) · inside: it is under way ·
# commit: it has just taken effect, and its rows may be changed · after: its answer is on the way
Hook = Callable[[str, Phase, Any], None]
CLAIM = "SELECT 1"
_MUTATING = ("MERGE", "UPDATE", "DELETE")


def no_hook(_call: str, _phase: Phase, _subject: Any) -> None:
    """Nothing goes wrong."""


@dataclass
class MemoryJob:
    """A job of the project, whoever asks for it."""

    job_id: str
    job_type: str
    created: datetime
    labels: Mapping[str, str]
    statement_type: str = ""
    ended: datetime | None = None
    error: GoogleAPICallError | None = None
    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    changes: Mapping[str, int] = field(default_factory=dict)
    output_rows: int | None = None
    table: str = ""  # that it writes


@dataclass(eq=False)
class _RunningStatement:
    """A mutating statement under way; `snapshot` is its target as it read it, once another statement has committed meanwhile."""

    target: MemoryTable
    snapshot: str | None = None


class MemoryProject:
    """What survives every process: tables, jobs, the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.tables: dict[str, MemoryTable] = {}
        self.dropped: list[tuple[datetime, MemoryTable]] = []
        self.jobs: dict[str, MemoryJob] = {}
        self.running: list[_RunningStatement] = []
        self.refuse_row: Callable[[Mapping[str, Any]], bool] = lambda _: (
            False
        )  # of a load job, whose rows are then all refused
        self.lists_jobs = False  # to whoever asks
        self.log = LogStore(clock, PROJECT, ingestion_delay_s=0.0)
        self.overlaps = 0  # mutating statements that began while another of the same table was under way
        self.job_numbers = itertools.count(1)
        self.engine_schema = memory_engine.create_schema()
        for name, (fields, partition_field) in read_schemas().items():
            self.create_table(name, fields, partition_field)

    def create_table(
        self, name: str, fields: Sequence[bigquery.SchemaField], partition_field: str | None = None
    ) -> MemoryTable:
        """An empty table, in place of one that has the name."""
        table = MemoryTable(name, tuple(fields), self.clock.now(), self.engine_schema, partition_field)
        table.touch(self.clock.now())
        self.tables[name] = table
        return table

    def insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows, given by column name; a column that is left out is NULL."""
        table = self.tables[name]
        empty: dict[str, Any] = {f.name: [] if f.mode == "REPEATED" else None for f in table.fields}
        table.set_rows([*table.rows, *({**empty, **row} for row in rows)], self.clock.now())

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a table, buffered ones too."""
        table = self.tables[name]
        return [*table.rows, *table.buffered]

    def close(self) -> None:
        """Free the engine's memory."""
        memory_engine.drop_schema(self.engine_schema)


class MemoryClient:
    """One process's client of a project; it has the methods of google.cloud.bigquery.Client that are called here."""

    def __init__(self, project: MemoryProject, hook: Hook = no_hook) -> None:
        self.project, self._state, self.hook = PROJECT, project, hook

    # --- tables ---------------------------------------------------------------------------------------------------------

    def get_dataset(self, _dataset: object, **_: object) -> SimpleNamespace:
        self.hook("datasets.get", "before", None)
        return SimpleNamespace(location=LOCATION, max_time_travel_hours=168)

    def get_table(self, table: object, **_: object) -> bigquery.Table:
        self.hook("tables.get", "before", table)
        with self._state.lock:
            return self._find(_name(table)).to_resource(PROJECT)

    def list_tables(self, dataset: object, **_: object) -> Any:
        self.hook("tables.list", "before", dataset)
        with self._state.lock:
            tables = [
                t.to_resource(PROJECT) for n, t in sorted(self._state.tables.items()) if n.startswith(f"{dataset}.")
            ]
        items = [bigquery.table.TableListItem(table.to_api_repr()) for table in tables]
        return Listing(items)

    def list_rows(
        self, table: object, selected_fields: Sequence[bigquery.SchemaField] | None = None, **_: object
    ) -> Listing:
        self.hook("tabledata.list", "before", table)
        name, _sign, partition = _name(table).partition("$")
        with self._state.lock:
            stored = self._find(name)
            columns = [f.name for f in (selected_fields if selected_fields is not None else stored.fields)]
            if missing := set(columns) - {f.name for f in stored.fields}:
                raise _error(BadRequest, "invalid", f"No such field: {min(missing)}")
            rows = [
                row for row in stored.rows if not partition or f"{row[str(stored.partition_field)]:%Y%m%d}" == partition
            ]
        index = {column: n for n, column in enumerate(columns)}
        return Listing(BigQueryRow(tuple(row[column] for column in columns), index) for row in rows)

    def update_table(self, table: bigquery.Table, fields: Sequence[str], **_: object) -> bigquery.Table:
        self.hook("tables.patch", "before", table)
        with self._state.lock:
            stored = self._find(_name(table.reference))
            for name in fields:
                setattr(stored, name, getattr(table, name))
            stored.touch(self._state.clock.now())
        self.hook("tables.patch", "after", table)
        return self._find(stored.name).to_resource(PROJECT)

    def delete_table(self, table: object, not_found_ok: bool = False, **_: object) -> None:
        self.hook("tables.delete", "before", table)
        with self._state.lock:
            stored = self._state.tables.pop(_name(table), None)
            if stored is not None:
                self._state.dropped.append((self._state.clock.now(), stored))
        if stored is None and not not_found_ok:
            raise _not_found(_name(table))
        self.hook("tables.delete", "after", table)

    def _find(self, name: str) -> MemoryTable:
        base, _sign, as_of_ms = name.partition("@")
        if as_of_ms:
            as_of = int(as_of_ms) / 1000
            for dropped_at, dropped in self._state.dropped:
                if dropped.name == base and dropped.created.timestamp() <= as_of <= dropped_at.timestamp():
                    return dropped
        table = self._state.tables.get(base)
        if table is None or (table.expires is not None and table.expires <= self._state.clock.now()):
            raise _not_found(base)
        return table

    # --- jobs -----------------------------------------------------------------------------------------------------------

    def get_job(self, job_id: str, **_: object) -> JobHandle:
        self.hook("jobs.get", "before", job_id)
        with self._state.lock:
            job = self._state.jobs.get(job_id)
        if job is None:
            raise _error(NotFound, "notFound", f"Not found: Job {PROJECT}:{LOCATION}.{job_id}")
        return JobHandle(self, job)

    def list_jobs(self, min_creation_time: datetime, max_creation_time: datetime, **_: object) -> Listing:
        """The statements that write a table; refused unless the project `lists_jobs` of others."""
        self.hook("jobs.list", "before", None)
        if not self._state.lists_jobs:
            message = f"Access Denied: Project {PROJECT}: bigquery.jobs.listAll is missing"
            raise _error(Forbidden, "accessDenied", message)
        jobs = (job for job in self._state.jobs.values() if job.table and job.job_type == "query")
        return Listing(_to_query_job(job) for job in jobs if min_creation_time <= job.created < max_creation_time)

    def query(
        self, query: str, job_config: bigquery.QueryJobConfig | None = None, job_id: str | None = None, **_: object
    ) -> JobHandle:
        config = job_config or bigquery.QueryJobConfig()
        if query == CLAIM:  # of which only the job's id matters
            return self._run("claim", self._new_job("query", job_id, config.labels, "SELECT"), lambda: None)
        statement, tables = memory_engine.translate(query)
        params = {p.name: getattr(p, "values", getattr(p, "value", None)) for p in config.query_parameters}
        job = self._new_job("query", job_id, config.labels, statement.kind)
        job.table = tables[statement.target] if statement.target is not None else ""

        def effect() -> None:
            self._check_bytes(tables, config.maximum_bytes_billed)
            if statement.kind in _MUTATING:
                self._mutate(job, statement, tables, params)
            else:
                self._execute(job, statement, tables, params)

        return self._run(statement.kind, job, effect)

    def load_table_from_file(
        self, file_obj: Any, destination: object, job_id: str | None = None, job_config: Any = None, **_: object
    ) -> JobHandle:
        name, content = _name(destination), file_obj.read()
        job = self._new_job("load", job_id, job_config.labels)

        def effect() -> None:
            fields = job_config.schema or self._find(name).fields
            try:
                rows = parse_json_rows(content, fields)
                if any(map(self._state.refuse_row, rows)):
                    raise InvalidRow("Error while reading data, error message: JSON table encountered too many errors")
            except InvalidRow as error:
                raise _error(BadRequest, "invalid", str(error)) from error
            job.output_rows = len(rows)
            self._write(name, fields, rows, job_config.write_disposition or "WRITE_APPEND")

        job.table = name
        return self._run("load", job, effect)

    def copy_table(
        self, sources: object, destination: object, job_id: str | None = None, job_config: Any = None, **_: object
    ) -> JobHandle:
        names = [_name(source) for source in (sources if isinstance(sources, list | tuple) else [sources])]
        config = job_config or bigquery.CopyJobConfig()
        job = self._new_job("copy", job_id, config.labels)

        def effect() -> None:
            tables = [self._find(name) for name in names]
            if any(table.fields != tables[0].fields for table in tables):
                raise _error(BadRequest, "invalid", f"Provided Schema does not match Table {PROJECT}:{names[-1]}.")
            rows = [row for table in tables for row in table.rows]
            self._write(_name(destination), tables[0].fields, rows, config.write_disposition or "WRITE_EMPTY")

        job.table = _name(destination)
        return self._run("copy", job, effect)

    def _new_job(self, kind: str, job_id: str | None, labels: Mapping[str, str], statement_type: str = "") -> MemoryJob:
        number = next(self._state.job_numbers)
        return MemoryJob(job_id or f"job-{number}", kind, self._state.clock.now(), dict(labels), statement_type)

    def _run(self, call: str, job: MemoryJob, effect: Callable[[], None]) -> JobHandle:
        """Insert a job and carry it out. Once inserted it ends by itself, whatever happens to the process that waits for it."""
        self.hook(call, "before", job)
        with self._state.lock:
            if job.job_id in self._state.jobs:
                raise _error(Conflict, "duplicate", f"Already Exists: Job {PROJECT}:{LOCATION}.{job.job_id}")
            job.created = self._state.clock.now()
            self._state.jobs[job.job_id] = job
        try:
            self.hook(call, "job", job)
        except GoogleAPICallError as error:
            job.error = error
        except BaseException:
            hook, self.hook = self.hook, no_hook
            self._end(call, job, effect)
            self.hook = hook
            raise
        if job.error is None:
            self._end(call, job, effect)
        job.ended = self._state.clock.now()
        self.hook(call, "after", job)
        handle = JobHandle(self, job)
        handle.state = "RUNNING"  # jobs.insert does not wait for the end
        return handle

    def _end(self, call: str, job: MemoryJob, effect: Callable[[], None]) -> None:
        try:
            with self._state.lock:
                effect()
        except GoogleAPICallError as error:
            job.error = error
        except memory_engine.AmbiguousMatch:
            message = "UPDATE/MERGE must match at most one source row for each target row"
            job.error = _error(BadRequest, "invalidQuery", message)
        except memory_engine.engine_errors() as error:
            job.error = _error(BadRequest, "invalidQuery", f"{type(error).__name__}: {error}")
        finally:
            job.ended = self._state.clock.now()
        self.hook(call, "commit", job)

    def _write(self, name: str, fields: Sequence[bigquery.SchemaField], rows: list[Any], disposition: str) -> None:
        """Put rows into a table, which is created where it is not there."""
        now, table = self._state.clock.now(), self._state.tables.get(name)
        if table is None:
            table = self._state.create_table(name, fields)
        elif disposition == "WRITE_EMPTY" and table.rows:
            raise _error(Conflict, "duplicate", f"Already Exists: Table {PROJECT}:{name}")
        elif disposition == "WRITE_TRUNCATE":
            table.fields = tuple(fields)
        table.set_rows(rows if disposition == "WRITE_TRUNCATE" else [*table.rows, *rows], now)

    # --- statements -----------------------------------------------------------------------------------------------------

    def _execute(
        self,
        job: MemoryJob,
        statement: memory_engine.Statement,
        tables: Sequence[str],
        params: Mapping[str, Any],
        instead: Mapping[str, str] | None = None,
    ) -> None:
        """Run a statement on its tables, `instead` on other tables of the engine, and note what it gave or changed."""

        def name_of_slot(n: int) -> str:
            return (instead or {}).get(tables[n]) or self._engine_name(tables[n])

        inputs, makes_instants = None, "TIMESTAMPTZ)" in statement.sql.replace("CAST(NULL AS TIMESTAMPTZ)", "")
        if len(set(tables)) > 1 and not instead and not makes_instants and not any(n.endswith("*") for n in tables):
            inputs = StatementInput(statement.sql, params, [self._state.rows(self._find(name).name) for name in tables])
        target = self._find(tables[statement.target]) if statement.target is not None and not instead else None
        known = inputs.find() if inputs is not None else None
        result = known or memory_engine.execute(statement, params, name_of_slot)
        job.changes = result.changes
        if target is None:
            job.columns, job.rows = result.columns, result.rows
        elif known is not None:
            rows = [dict(zip(known.columns, row, strict=True)) for row in known.rows]
            target.set_rows(rows, self._state.clock.now())
        else:
            target.changed_in_engine(self._state.clock.now())
        if inputs is not None and known is None:
            inputs.remember(result if target is None else _to_result(target, result.changes))

    def _check_bytes(self, tables: Sequence[str], limit: int | None) -> None:
        """Each table that a statement reads bills as much as a small one: whatever they hold is less here."""
        billed = MIN_BILLED_BYTES * sum(len(self._matching(table)) for table in set(tables))
        if limit and billed > limit:
            message = f"Query exceeded limit for bytes billed: {limit}. {billed} or higher required."
            raise _error(BadRequest, "bytesBilledLimitExceeded", message)

    def _matching(self, table: str) -> list[str]:
        """The tables that a name in a statement stands for."""
        if not table.endswith("*"):
            return [table]
        prefix = table.removesuffix("*")
        return [name for name in sorted(self._state.tables) if name.startswith(prefix) and name != prefix]

    def _engine_name(self, table: str) -> str:
        if not table.endswith("*"):
            return self._find(table).engine_table()
        prefix, matching = table.removesuffix("*"), self._matching(table)
        if not matching:
            raise _not_found(table)
        selects = (
            f"SELECT '{name.removeprefix(prefix)}' AS _TABLE_SUFFIX, * FROM {self._find(name).engine_table()}"
            for name in matching
        )
        return f"({' UNION ALL BY NAME '.join(selects)})"

    def _mutate(
        self, job: MemoryJob, statement: memory_engine.Statement, tables: Sequence[str], params: Mapping[str, Any]
    ) -> None:
        """A statement that may change rows: it reads its target when it begins and commits when it ends."""
        target = self._find(tables[statement.target or 0])
        others = [other for other in self._state.running if other.target is target]
        self._state.overlaps += bool(others)
        this = _RunningStatement(target)
        self._state.running.append(this)
        try:
            self.hook(statement.kind, "inside", job)
        except BaseException:
            self._commit(this, job, statement, tables, params)
            raise
        self._commit(this, job, statement, tables, params)

    def _commit(
        self,
        this: _RunningStatement,
        job: MemoryJob,
        statement: memory_engine.Statement,
        tables: Sequence[str],
        params: Mapping[str, Any],
    ) -> None:
        self._state.running.remove(this)
        if this.target.buffered:
            raise _error(
                BadRequest,
                "invalidQuery",
                f"{statement.kind} statement over table {PROJECT}.{this.target.name} would affect rows in the streaming"
                " buffer, which is not supported",
            )
        for other in self._state.running:
            if other.target is this.target and other.snapshot is None:
                other.snapshot = memory_engine.copy_table(self._state.engine_schema, this.target.engine_table())
        if this.snapshot is not None:
            self._execute(job, statement, tables, params, {this.target.name: this.snapshot})
            if not job.changes.get("UPDATE") and not job.changes.get("DELETE"):  # it inserts what it found missing
                found = memory_engine.read_table(this.snapshot)
                inserted = found[len(found) - job.changes.get("INSERT", 0) :]
                this.target.set_rows([*this.target.rows, *inserted], self._state.clock.now())
                return
        self._execute(job, statement, tables, params)


@dataclass
class JobHandle:
    """A job as a process sees it: `state` is that of the last answer."""

    client: MemoryClient
    job: MemoryJob

    def __post_init__(self) -> None:
        self.state = "DONE" if self.job.ended else "RUNNING"
        self.job_id, self.job_type, self.labels = self.job.job_id, self.job.job_type, dict(self.job.labels)
        self.created, self.started = self.job.created, self.job.created
        self.statement_type, self.location, self.user_email = self.job.statement_type, LOCATION, ""
        self.total_bytes_billed = self.total_bytes_processed = 0

    @property
    def ended(self) -> datetime | None:
        return self.job.ended

    @property
    def error_result(self) -> dict[str, str] | None:
        """Of the last answer: the job's error in BigQuery's shape."""
        error = self.job.error
        if error is None or self.state != "DONE":
            return None
        return {"reason": error.errors[0]["reason"] if error.errors else "", "message": error.message}

    @property
    def errors(self) -> list[dict[str, str]] | None:
        return [self.error_result] if self.error_result else None

    @property
    def output_rows(self) -> int | None:
        return self.job.output_rows

    @property
    def num_dml_affected_rows(self) -> int | None:
        return sum(self.job.changes.values()) if self.job.changes else None

    @property
    def dml_stats(self) -> SimpleNamespace | None:
        """Rows inserted, updated and deleted, of a DML statement."""
        if not self.job.changes:
            return None
        counts = {kind: self.job.changes.get(kind, 0) for kind in ("INSERT", "UPDATE", "DELETE")}
        return SimpleNamespace(
            inserted_row_count=counts["INSERT"],
            updated_row_count=counts["UPDATE"],
            deleted_row_count=counts["DELETE"],
        )

    def reload(self, **_: object) -> None:
        self.client.hook("jobs.get", "before", self.job_id)
        self.state = "DONE" if self.job.ended else "RUNNING"

    def done(self, **_: object) -> bool:
        if self.state != "DONE":
            self.reload()
        return self.state == "DONE"

    def exception(self, **_: object) -> GoogleAPICallError | None:
        """The job's error, when it has ended."""
        while not self.done():
            self.client.hook("jobs.get", "inside", self.job)
        return self.job.error

    def result(self, **_: object) -> list[BigQueryRow]:
        """The rows of a query, when it has ended; raises the job's error."""
        if (error := self.exception()) is not None:
            raise error
        index = {column: n for n, column in enumerate(self.job.columns)}
        return [BigQueryRow(row, index) for row in self.job.rows]


class Listing(list[Any]):
    """Tables or rows, in one page."""

    raw_page: Mapping[str, str] = {"kind": "bigquery#list"}
    next_page_token: str | None = None

    @property
    def pages(self) -> Iterator[Listing]:
        return iter([self])


def _to_result(table: MemoryTable, changes: Mapping[str, int]) -> memory_engine.Result:
    """A table after a statement has changed it, so that the same statement can be answered again."""
    columns = tuple(f.name for f in table.fields)
    return memory_engine.Result(columns, [tuple(row[c] for c in columns) for row in table.rows], changes)


def _to_query_job(job: MemoryJob) -> bigquery.QueryJob:
    """A statement as jobs.list gives it."""
    dataset, table = job.table.split(".")
    destination = {"projectId": PROJECT, "datasetId": dataset, "tableId": table}
    error = {"reason": job.error.errors[0]["reason"], "message": job.error.message} if job.error else None
    times = {"creationTime": job.created, "startTime": job.created, "endTime": job.ended}
    resource = {
        "jobReference": {"projectId": PROJECT, "location": LOCATION, "jobId": job.job_id},
        "configuration": {"query": {"query": job.statement_type, "destinationTable": destination}},
        "status": {"state": "DONE" if job.ended else "RUNNING", **({"errorResult": error} if error else {})},
        "statistics": {
            **{name: str(int(at.timestamp() * 1000)) for name, at in times.items() if at is not None},
            "query": {"statementType": job.statement_type},
        },
    }
    return bigquery.QueryJob.from_api_repr(resource, bigquery.Client(PROJECT, AnonymousCredentials()))


def _name(table: object) -> str:
    """dataset.table of whatever the client accepts as a table."""
    reference = getattr(table, "reference", table)
    if isinstance(reference, bigquery.TableReference):
        return f"{reference.dataset_id}.{reference.table_id}"
    return ".".join(str(table).split(".")[-2:])


def _error(kind: type[GoogleAPICallError], reason: str, message: str) -> GoogleAPICallError:
    return kind(message, errors=[{"reason": reason, "message": message}])


def _not_found(table: str) -> GoogleAPICallError:
    return _error(NotFound, "notFound", f"Not found: Table {PROJECT}:{table} was not found in location {LOCATION}")
