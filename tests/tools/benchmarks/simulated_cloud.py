"""The in-memory BigQuery in a process of its own, behind BigQuery's limits: who calls it has only its own memory, on a simulated clock.

    with open_cloud(clock, players=158) as cloud:
        client = SimulatedBigQuery(cloud, at_once=100)   # one process's client

A call takes CALL_S, a job its time on the real service, both divided by how many such calls are made at once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, from_http_status
from google.cloud.bigquery.table import Row as BigQueryRow
from google.cloud.bigquery.table import TableListItem

from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.bigquery.limits import Limits
from services.sandbox.bigquery.sql_inspection import MUTATING_KINDS
from tests.support.memory_bigquery import JobHandle, Listing, MemoryClient, MemoryJob, MemoryProject
from tests.support.memory_clients import SimulatedClock
from tests.support.memory_rows import context_rows
from tests.support.paths import ROOT

CALL_S = 0.1
INSERT_S = 1.0  # of an INSERT job, whose end is waited for; one of 1,000 rows was seen to take 6
PAGE_ROWS = 10_000
CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"
_LATENCY = JobLatency(scale=1)
_JOB_S = {"load": _LATENCY.load_s, "copy": _LATENCY.copy_s}
_METHODS = {
    "query": "JobService.insertJob",
    "load_table_from_file": "JobService.insertJob",
    "copy_table": "JobService.insertJob",
    "get_job": "JobService.getJob",
    "list_jobs": "JobService.listJobs",
    "get_dataset": "DatasetService.getDataset",
    "get_table": "TableService.getTable",
    "list_tables": "TableService.listTables",
    "update_table": "TableService.updateTable",
    "delete_table": "TableService.deleteTable",
    "list_rows": "TableDataService.list",
}
_ARGUMENTS = {"job_id", "job_config", "selected_fields", "not_found_ok"}
_LISTED_FIELDS = {"kind", "id", "tableReference", "type", "labels", "creationTime", "expirationTime"}


@dataclass(eq=False)
class Cloud:
    """The project behind the limits: what was called, what each quota's peak was, what was refused."""

    clock: SimulatedClock
    connection: Connection
    limits: Limits = field(default_factory=Limits)
    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    mutating_dml: int = 0

    def count_call(self, method: str, seconds: float) -> None:
        """A call of an API method, which takes its time; raises the error of its rate."""
        self.clock.sleep(seconds)
        self.calls[method] += 1
        self.check(self.limits.check_api_call(method, self.now_s()), method=method)

    def check(self, error_key: str | None, **values: object) -> None:
        """Raise the error of a limit that refused something."""
        if error_key is not None:
            self.refused[error_key] += 1
            known = ERRORS_BY_KEY[error_key]
            error = {"reason": known.reason, "message": known.format_message(**values)}
            raise from_http_status(known.http_status, error["message"], errors=[error])

    def count_statement(self, kind: str, table: str, *, partitioned: bool) -> None:
        """A DML statement that has run: alone, for whoever sends it waits for its end."""
        self.clock.sleep(_LATENCY.merge_s if kind in MUTATING_KINDS else INSERT_S)
        if self.limits.check_dml_statement(table, partitioned, self.now_s()) is not None:
            self.refused["dml_rate"] += 1
        if kind in MUTATING_KINDS:
            self.limits.dml_queues[table].submit(kind)
            self.limits.dml_queues[table].finish(kind)
            self.mutating_dml += 1

    def now_s(self) -> float:
        return self.clock.monotonic()

    def send(self, name: str, *arguments: Any, **named: Any) -> Iterator[Any]:
        """What the project's method answers, in parts; raises its error."""
        self.connection.send((self.clock.now(), name, arguments, named))
        while (part := self.connection.recv()) is not None:
            if isinstance(part, GoogleAPICallError):
                raise part
            yield part[0]


class SimulatedBigQuery:
    """One process's client; it has the methods of google.cloud.bigquery.Client that the in-memory one has."""

    def __init__(self, cloud: Cloud, at_once: int = 1) -> None:
        self.cloud, self.at_once, self.project = cloud, at_once, "nba-props-platform"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _METHODS:
            raise AttributeError(name)
        return partial(self._call, name)

    def hook(self, call: str, _phase: str, _subject: object) -> None:
        """Where a job's handle asks for its state."""
        if call == "jobs.get":
            self.cloud.count_call("JobService.getJob", CALL_S / self.at_once)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        cloud, named = self.cloud, {k: v for k, v in named.items() if k in _ARGUMENTS}
        cloud.count_call(_METHODS[name], CALL_S / self.at_once)
        if name in ("load_table_from_file", "copy_table"):
            kind = name.split("_")[0]
            table = str(arguments[1])
            cloud.clock.sleep(_JOB_S[kind] / self.at_once)
            cloud.check(cloud.limits.check_write_job(kind, table, False, cloud.now_s()), table=table)  # type: ignore[arg-type]
        if name == "update_table":
            table = f"{arguments[0].dataset_id}.{arguments[0].table_id}"
            cloud.check(cloud.limits.check_metadata_update(table, False, cloud.now_s()), table=table)
        answers = cloud.send(name, *arguments, **named)
        if name == "list_rows":
            return _Rows(answers)
        (answer,) = answers
        return self._read(answer)

    def _read(self, answer: Any) -> Any:
        if not isinstance(answer, JobAnswer):
            return answer
        job = answer.job
        if job.error is None and job.statement_type in MUTATING_KINDS | {"INSERT"}:
            self.cloud.count_statement(job.statement_type, job.table, partitioned=answer.partitioned)
        return JobHandle(self, job)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Rows:
    """A listing whose pages, (columns, values of each row), are fetched one by one."""

    answers: Iterator[tuple[tuple[str, ...], list[tuple[Any, ...]]]]

    @property
    def pages(self) -> Iterator[Listing]:
        for columns, rows in self.answers:
            index = {column: n for n, column in enumerate(columns)}
            yield Listing(BigQueryRow(row, index) for row in rows)

    def __iter__(self) -> Iterator[Any]:
        return (row for page in self.pages for row in page)


@dataclass(frozen=True)
class JobAnswer:
    """A job, and whether the table that it writes is partitioned."""

    job: MemoryJob
    partitioned: bool


@contextmanager
def open_cloud(clock: SimulatedClock, players: int) -> Iterator[Cloud]:
    """A project with so many eligible players of NIGHT, in a process that ends with the block."""
    with tempfile.TemporaryDirectory() as folder, Listener(f"{folder}/cloud") as listener:
        serve = "import sys; from tests.tools.benchmarks.simulated_cloud import serve; serve(sys.argv[1])"
        process = subprocess.Popen([sys.executable, "-c", serve, str(listener.address)], cwd=ROOT)
        connection = listener.accept()
        try:
            connection.send((clock.now(), players))
            yield Cloud(clock, connection)
        finally:
            connection.close()
            process.wait(timeout=10)


def serve(address: str) -> None:
    """The process of a project, for whoever listens at the address, until the connection ends."""
    connection = Client(address)
    at, players = connection.recv()
    clock = SimulatedClock(at)
    project = MemoryProject(clock)
    project.insert(CONTEXT_TABLE, context_rows(f"player{n:06}" for n in range(players)))
    client = MemoryClient(project)
    while True:
        try:
            clock.at, name, arguments, named = connection.recv()
        except EOFError:
            return
        try:
            for part in _to_parts(project, getattr(client, name)(*arguments, **named)):
                connection.send((part,))
        except GoogleAPICallError as error:
            connection.send(error)
            continue
        connection.send(None)


def _to_parts(project: MemoryProject, answer: Any) -> Iterator[Any]:
    """An answer as it is sent: a job without its client, a listing in pages, tables as tables.list has them."""
    if isinstance(answer, JobHandle):
        table = project.tables.get(answer.job.table)
        yield JobAnswer(answer.job, table is not None and table.partition_field is not None)
    elif isinstance(answer, Listing) and (not answer or not isinstance(answer[0], TableListItem)):
        columns = tuple(answer[0].keys()) if answer else ()
        rows = [row.values() for row in answer]
        yield from ((columns, rows[i : i + PAGE_ROWS]) for i in range(0, len(rows), PAGE_ROWS))
    elif isinstance(answer, Listing):
        fields = ({k: v for k, v in item._properties.items() if k in _LISTED_FIELDS} for item in answer)
        yield Listing(map(TableListItem, fields))
    else:
        yield answer
