"""The warehouse operations of the write path, and their implementation on BigQuery. Every call may fail at any point and be repeated.

The methods are few so that the same StagingWriter, Lease and Consolidator can be driven thousands of times against a simulated
warehouse (tests/faults); BigQueryWarehouse is the one that runs in production.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any, Protocol

from google.api_core.exceptions import Conflict, Forbidden, GoogleAPICallError, NotFound
from google.cloud import bigquery

from services.batches.business_key import (
    BUSINESS_KEY_COLUMNS,
    VERSION_COLUMNS,
    BusinessKey,
    RowVersion,
    Run,
    business_key,
    row_version,
)
from services.batches.ids import DATASET
from services.batches.staging_listing import list_staging_tables
from services.core.errors import AccessDenied, OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog, table_listing
from services.gcp.clients import BIGQUERY_TIMEOUT_S, Clients
from services.gcp.error_table import ErrorClass, classify_exception
from services.pipeline.job_polling import MAX_JOB_WAIT_S, wait_until
from services.pipeline.merge import MergeCounts, MergeTables, count_sql, merge_sql, run_parameter
from services.pipeline.rate_limiter import RateLimiter
from services.pipeline.row_encoding import Column

COMPACT_TTL = timedelta(days=7)
MAX_UNPARTITIONED_LIST_ROWS = 25_000


@dataclass(frozen=True)
class StagingTableInfo:
    """One staging table: as BigQuery describes it now, or, without columns and version, as a worker has answered.

    `version` changes whenever its rows do. `columns` are (name, type), with those of a record by their path. Rows of a streaming
    buffer are in no count and no copy.
    """

    table: str
    rows: int
    columns: tuple[tuple[str, str], ...] = ()
    version: str = ""
    streaming: bool = False


@dataclass(frozen=True)
class MergeResult:
    """What BigQuery reports of a MERGE."""

    inserted_rows: int
    updated_rows: int


class Warehouse(Protocol):
    """The steps of the write path. Deterministic job ids make each of them safe to repeat."""

    def now(self) -> datetime: ...
    def get_columns(self) -> tuple[Column, ...]: ...
    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int: ...
    def list_staging_tables(self, prefix: str) -> tuple[str, ...]: ...
    def describe_tables(self, tables: Sequence[str]) -> tuple[StagingTableInfo, ...]: ...
    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int: ...
    def merge(
        self, source: str, game_date: date, job_id: str, at: datetime, older_runs: Collection[Run]
    ) -> MergeResult: ...
    def count_outcomes(self, source: str, game_date: date, older_runs: Collection[Run]) -> MergeCounts: ...
    def read_rows(self, table: str, game_date: date | None = None) -> Iterator[tuple[BusinessKey, RowVersion]]: ...
    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool: ...
    def get_claim(self, job_id: str) -> Mapping[str, str] | None: ...
    def wait_for_job(self, job_id: str) -> None: ...
    def drop(self, table: str, version: str | None = None) -> bool: ...


class JobFailed(OnCallError):
    """A BigQuery job ended with an error, so its id is used up; the error is the cause."""


class StagingNotVerified(OnCallError):
    """The warehouse does not hold the rows that were sent, so the unit is not done."""

    hint = "The unit will be delivered again."


class LeaseLost(OnCallError):
    """A later consolidation of this date took over, so this one may not merge any more."""


class BigQueryWarehouse:
    """BigQuery through the Google client. Every call waits for its permit, so that a process stays below half of each quota."""

    def __init__(self, clients: Clients, rate_limiter: RateLimiter | None = None) -> None:
        self._clients, self._client = clients, clients.bigquery
        self._pace = (rate_limiter or RateLimiter()).acquire
        self._schema_fields: list[bigquery.SchemaField] | None = None
        self._schema_lock = Lock()

    def now(self) -> datetime:
        return self._clients.now()

    def pace_load(self) -> None:
        """Wait for the permit of a load job that another process will start for this one."""
        self._pace("jobs.insert")

    def get_columns(self) -> tuple[Column, ...]:
        return tuple(map(Column.from_field, self._get_schema()))

    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int:
        """Load rows into a table that the job of this id alone writes; their number. A used id is adopted, not repeated.

        Raises StagingNotVerified when the job loaded another number of rows, or its table is gone since.
        """
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_EMPTY,
            schema=self._get_schema(),
        )
        media = io.BytesIO("\n".join(json.dumps(row) for row in rows).encode())
        job, adopted = self._start_or_adopt(
            job_id,
            lambda: self._client.load_table_from_file(
                media, table, size=len(media.getvalue()), job_id=job_id, job_config=config, timeout=BIGQUERY_TIMEOUT_S
            ),
        )
        loaded = int(job.output_rows or 0)
        if adopted and loaded:  # a consolidation or a sweep may have dropped the table since
            found = self._describe(table)
            loaded = found.rows if found else 0
        if loaded != len(rows):
            raise StagingNotVerified(f"{table} holds {loaded} of the {len(rows)} rows that {job_id} loaded.")
        return loaded

    def _start_or_adopt(self, job_id: str, start: Callable[[], Any]) -> tuple[Any, bool]:
        """Start a job and wait for its end; and whether it is the one that had this id. Raises JobFailed: its id is used up."""
        self._pace("jobs.insert")
        adopted = False
        try:
            job = start()
        except Conflict:
            job, adopted = self._get_job(job_id), True
        try:
            if job.job_type == "query":
                job.result(timeout=MAX_JOB_WAIT_S, job_retry=None)
            else:
                wait_until(partial(self._is_done, job))
                job.result(timeout=BIGQUERY_TIMEOUT_S)
        except GoogleAPICallError as error:
            if job.error_result:
                raise JobFailed(f"{job_id} failed: {job.error_result.get('message')}") from error
            raise
        return job, adopted

    def _is_done(self, job: Any) -> bool:
        self._pace("jobs.get")
        return bool(job.done(timeout=BIGQUERY_TIMEOUT_S))

    def _get_schema(self) -> list[bigquery.SchemaField]:
        """The predictions table's schema, read once, whatever asks for it at once: columns are checked before the first write."""
        with self._schema_lock:
            if self._schema_fields is None:
                self._pace("tables.get")
                self._schema_fields = list(self._client.get_table(PREDICTIONS_TABLE, timeout=BIGQUERY_TIMEOUT_S).schema)
            return self._schema_fields

    def list_staging_tables(self, prefix: str) -> tuple[str, ...]:
        """dataset.table of every table of a prefix, in order."""
        self._pace("tables.list")
        return tuple(f"{DATASET}.{table.table_id}" for table in list_staging_tables(self._clients, prefix))

    def describe_tables(self, tables: Sequence[str]) -> tuple[StagingTableInfo, ...]:
        """Rows, columns and version of those that are still there; a free call for each."""
        with ThreadPoolExecutor(8) as pool:
            return tuple(filter(None, pool.map(self._describe, tables)))

    def _describe(self, name: str) -> StagingTableInfo | None:
        self._pace("tables.get")
        try:
            table = self._client.get_table(name, timeout=BIGQUERY_TIMEOUT_S)
        except NotFound:
            return None
        return StagingTableInfo(
            name,
            int(table.num_rows or 0),
            tuple(_column_types(table.schema)),
            version=f"{table.modified}/{table.num_rows}",
            streaming=table.streaming_buffer is not None,
        )

    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int:
        """Copy up to 1,200 tables into one, which expires: it is a copy, and a crash may leave it. The rows that it then has."""
        self._pace("table.update", target)
        config = bigquery.CopyJobConfig(write_disposition=bigquery.WriteDisposition.WRITE_APPEND)
        self._start_or_adopt(
            job_id,
            lambda: self._client.copy_table(
                list(sources), target, job_id=job_id, job_config=config, timeout=BIGQUERY_TIMEOUT_S
            ),
        )
        self._pace("tables.patch")
        compact = bigquery.Table(f"{self._clients.settings.project}.{target}")
        compact.expires = self.now() + COMPACT_TTL
        return int(self._client.update_table(compact, ["expires"], timeout=BIGQUERY_TIMEOUT_S).num_rows or 0)

    def merge(
        self, source: str, game_date: date, job_id: str, at: datetime, older_runs: Collection[Run] = ()
    ) -> MergeResult:
        """The one MERGE of a batch; a used id is adopted, so it runs once whoever started it. Raises LeaseLost, JobFailed."""
        parameters = [bigquery.ScalarQueryParameter("at", "TIMESTAMP", at), run_parameter(older_runs)]
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        sql = merge_sql(self._merge_tables(source, game_date))
        job, _ = self._start_or_adopt(
            job_id, lambda: self._client.query(sql, config, job_id=job_id, job_retry=None, timeout=BIGQUERY_TIMEOUT_S)
        )
        if job.labels.get("fenced"):
            raise LeaseLost(f"A later consolidation of {game_date} took over; this one did not merge.")
        return MergeResult(job.dml_stats.inserted_row_count, job.dml_stats.updated_row_count)

    def count_outcomes(self, source: str, game_date: date, older_runs: Collection[Run] = ()) -> MergeCounts:
        """How many rows have each outcome of the MERGE that has not run yet."""
        sql = count_sql(self._merge_tables(source, game_date))
        config = bigquery.QueryJobConfig(query_parameters=[run_parameter(older_runs)])
        self._pace("jobs.insert")
        job = self._client.query(sql, config, job_retry=None, timeout=BIGQUERY_TIMEOUT_S)
        (row,) = job.result(timeout=MAX_JOB_WAIT_S, job_retry=None)
        return MergeCounts(**dict(row))

    def _merge_tables(self, source: str, game_date: date) -> MergeTables:
        return MergeTables(self._get_schema(), source, PREDICTIONS_TABLE, game_date)

    def read_rows(self, table: str, game_date: date | None = None) -> Iterator[tuple[BusinessKey, RowVersion]]:
        """The rows of a date in a table; without a date all of its rows, of a table that is never streamed into.

        They are read as they are asked for, and those that were made at one time share its object.
        """
        times: dict[datetime, datetime] = {}
        self._pace("tables.get")
        for row in self._fetch_rows(self._client.get_table(table, timeout=BIGQUERY_TIMEOUT_S), table, game_date):
            if game_date in (None, row["game_date"]):
                version = row_version(row)
                made_at = times.setdefault(version.created_at, version.created_at)
                yield business_key(row), version._replace(created_at=made_at)

    def _fetch_rows(self, metadata: bigquery.Table, table: str, game_date: date | None) -> Iterable[Mapping[str, Any]]:
        """Listed, which is free, where a listing is complete and not too long; else a query of eight columns."""
        by_day = game_date is not None and table_listing.day_partition_column(metadata) == "game_date"
        too_long = not by_day and (metadata.num_rows or 0) > MAX_UNPARTITIONED_LIST_ROWS
        if game_date is not None and (too_long or not table_listing.is_listable(metadata)):
            return query_catalog.run_query(
                self._clients, "pipeline.business_keys", tables={"rows": table}, game_date=game_date
            ).rows
        self._pace("tabledata.list")
        names = (*BUSINESS_KEY_COLUMNS, *VERSION_COLUMNS)
        source = bigquery.TableReference.from_string(
            f"{table}${game_date:%Y%m%d}" if by_day else table, self._clients.settings.project
        )
        rows: Iterable[Mapping[str, Any]] = self._client.list_rows(
            source,
            selected_fields=[field for field in metadata.schema if field.name in names],
            page_size=10_000,
            timeout=BIGQUERY_TIMEOUT_S,
        )
        return rows

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool:
        """Whether the id was free and is now taken. BigQuery accepts a job id once per project: a compare-and-swap."""
        config = bigquery.QueryJobConfig(labels=dict(labels), use_query_cache=False)
        self._pace("jobs.insert")
        try:
            self._client.query("SELECT 1", config, job_id=job_id, job_retry=None, timeout=BIGQUERY_TIMEOUT_S)
        except Conflict:
            return False
        return True

    def get_claim(self, job_id: str) -> Mapping[str, str] | None:
        """The labels of a job id that was taken, with its creation time under `created`; None when it is free."""
        try:
            job = self._get_job(job_id)
        except NotFound:
            return None
        return {**job.labels, "created": job.created.isoformat()}

    def wait_for_job(self, job_id: str) -> None:
        """Until a job has ended, however it ended; asked by jobs.get, since the results of another account's job are refused."""
        if not wait_until(lambda: self._get_job(job_id).state == "DONE"):
            raise OnCallError(f"The job {job_id} still runs after {MAX_JOB_WAIT_S} s.", "Look again when it has ended.")

    def _get_job(self, job_id: str) -> Any:
        """A job of any account; raises AccessDenied with the role to grant where this account may read only its own."""
        self._pace("jobs.get")
        try:
            return self._client.get_job(job_id, timeout=BIGQUERY_TIMEOUT_S)
        except Forbidden as error:
            if classify_exception(error) is not ErrorClass.PERMANENT:
                raise
            raise AccessDenied(
                f"This account may not read the job {job_id} of another account.",
                "Grant it roles/bigquery.resourceViewer on the project (deploy/apply.sh does).",
            ) from error

    def drop(self, table: str, version: str | None = None) -> bool:
        """Drop a table, if `version` is given only in that version; whether it is gone.

        BigQuery deletes without a precondition: rows that arrive between its answer to tables.get and tables.delete, one request
        later, are dropped with the table. Only tables of the customer's workers can meet this: ours are written once.
        """
        if version is not None:
            current = self._describe(table)
            if current is not None and (current.streaming or current.version != version):
                return False
        self._pace("tables.delete")
        self._client.delete_table(table, not_found_ok=True, timeout=BIGQUERY_TIMEOUT_S)
        return True


def _column_types(fields: Iterable[bigquery.SchemaField], parent: str = "") -> Iterator[tuple[str, str]]:
    """(path, type) of each column and of each field of a record."""
    for field in fields:
        yield f"{parent}{field.name}", f"{field.field_type}[]" if field.mode == "REPEATED" else field.field_type
        yield from _column_types(field.fields, f"{parent}{field.name}.")
