"""What the write path asks of a warehouse, and BigQuery's answer to it. Every call may fail at any point and be made again.

The methods are few so that the same StagingWriter, Lease and Consolidator can be driven against a simulated warehouse by the
thousand; the one that runs in production is `BigQueryDoor`, below.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery

from services.batches.business_key import KEY, Key, key
from services.batches.ids import DATASET, PREDICTIONS
from services.core.errors import OnCallError
from services.gcp import query_catalog as catalog
from services.gcp.clients import TIMEOUT_S, Cloud
from services.pipeline.merge import merge_sql
from services.pipeline.rate_limiter import Pace
from services.pipeline.row_encoding import Column

STAGING_LIFE = timedelta(days=7)  # a net under the cleanup, not the cleanup
LISTED_ROWS = 25_000


@dataclass(frozen=True)
class Staged:
    """One staging table as it stands; `version` changes whenever its rows do."""

    table: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    version: str = ""


@dataclass(frozen=True)
class Merged:
    """What a MERGE did: rows it touched, and the job that did it."""

    affected: int
    job_id: str


class Warehouse(Protocol):
    """The steps of the write path. Deterministic job ids make each of them safe to repeat."""

    def now(self) -> datetime: ...
    def columns(self) -> tuple[Column, ...]: ...
    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int: ...
    def staged(self, prefix: str) -> tuple[Staged, ...]: ...
    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int: ...
    def merge(self, source: str, game_date: date, job_id: str, at: datetime) -> Merged: ...
    def keys(self, table: str, game_date: date) -> dict[Key, list[bool]]: ...
    def claim(self, job_id: str, labels: Mapping[str, str]) -> bool: ...
    def claimed(self, job_id: str) -> Mapping[str, str] | None: ...
    def wait(self, job_id: str) -> None: ...
    def drop(self, table: str, version: str | None = None) -> bool: ...


class JobEnded(OnCallError):
    """A BigQuery job ended with an error, so its id is used up; the error is the cause."""


class FencedOff(OnCallError):
    """A later consolidation of this date took over, so this one may not merge any more."""


class BigQueryDoor:
    """The real thing, through the Google client, paced below half of each quota."""

    def __init__(self, cloud: Cloud, pace: Pace | None = None) -> None:
        self._cloud, self._client, self._pace = cloud, cloud.bigquery, pace or Pace()
        self._fields: list[bigquery.SchemaField] | None = None

    def now(self) -> datetime:
        return self._cloud.now()

    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(f.name, f.field_type, f.mode == "REQUIRED") for f in self._schema())

    def load(self, table: str, rows: Sequence[Mapping[str, Any]], job_id: str) -> int:
        """Replace a table's rows by a load job; the number of rows the job says it wrote. A used id is adopted, not repeated."""
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=self._schema(),
        )
        media = io.BytesIO("\n".join(json.dumps(row) for row in rows).encode())
        job = self._start(
            job_id,
            lambda: self._client.load_table_from_file(
                media, table, size=len(media.getvalue()), job_id=job_id, job_config=config, timeout=TIMEOUT_S
            ),
        )
        self._expire(table)
        return int(job.output_rows or 0)

    def _start(self, job_id: str, start: Callable[[], Any]) -> Any:
        """Start a job, or adopt the one that has this id; wait for its end. Raises JobEnded when it failed: the id is used up."""
        self._pace.take("jobs.insert")
        try:
            job = start()
        except Conflict:
            job = self._client.get_job(job_id, timeout=TIMEOUT_S)
        try:
            job.result(timeout=600, **({"job_retry": None} if job.job_type == "query" else {}))
        except GoogleAPICallError as error:
            if job.error_result:
                raise JobEnded(f"{job_id} failed: {job.error_result.get('message')}") from error
            raise
        return job

    def _expire(self, table: str) -> None:
        """A load job cannot set an expiry and tables.insert admits 10 a second, so the table it made is patched at once."""
        made = bigquery.Table(f"{self._cloud.settings.project}.{table}")
        made.expires = self.now() + STAGING_LIFE
        self._client.update_table(made, ["expires"], timeout=TIMEOUT_S)

    def _schema(self) -> list[bigquery.SchemaField]:
        """The predictions table's schema, read once: columns are checked before the first write."""
        if self._fields is None:
            self._fields = list(self._client.get_table(PREDICTIONS, timeout=TIMEOUT_S).schema)
        return self._fields

    def staged(self, prefix: str) -> tuple[Staged, ...]:
        """Every table of a prefix with its rows and columns; free metadata calls."""
        names = [t.table_id for t in self._client.list_tables(DATASET, page_size=1000, timeout=TIMEOUT_S)]
        wanted = sorted(name for name in names if name.startswith(prefix))
        with ThreadPoolExecutor(8) as pool:
            return tuple(filter(None, pool.map(self._describe, wanted)))

    def _describe(self, name: str) -> Staged | None:
        self._pace.take("tables.get")
        try:
            table = self._client.get_table(f"{DATASET}.{name}", timeout=TIMEOUT_S)
        except NotFound:
            return None
        columns = tuple((field.name, field.field_type) for field in table.schema)
        version = f"{table.modified}/{table.num_rows}"
        return Staged(f"{DATASET}.{name}", int(table.num_rows or 0), columns, version)

    def copy(self, sources: Sequence[str], target: str, job_id: str) -> int:
        """Copy up to 1,200 tables into one; the rows the target then has."""
        self._pace.take("table.update", target)
        config = bigquery.CopyJobConfig(write_disposition=bigquery.WriteDisposition.WRITE_APPEND)
        self._start(
            job_id,
            lambda: self._client.copy_table(list(sources), target, job_id=job_id, job_config=config, timeout=TIMEOUT_S),
        )
        return int(self._client.get_table(target, timeout=TIMEOUT_S).num_rows or 0)

    def merge(self, source: str, game_date: date, job_id: str, at: datetime) -> Merged:
        """The one MERGE of a batch; a used id is adopted: whoever started it, it happened once. Raises FencedOff, JobEnded."""
        config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("at", "TIMESTAMP", at)])
        kinds = {column.name: column.kind for column in self.columns()}
        sql = merge_sql(list(kinds), kinds, source, PREDICTIONS, game_date)
        job = self._start(
            job_id, lambda: self._client.query(sql, config, job_id=job_id, job_retry=None, timeout=TIMEOUT_S)
        )
        if job.labels.get("fenced"):
            raise FencedOff(f"A later consolidation of {game_date} took over; this one did not merge.")
        return Merged(int(job.num_dml_affected_rows or 0), job_id)

    def keys(self, table: str, game_date: date) -> dict[Key, list[bool]]:
        """Business keys of a date in a table with the is_active of each row."""
        found: dict[Key, list[bool]] = {}
        for row in self._rows(self._client.get_table(table, timeout=TIMEOUT_S), table, game_date):
            if row["game_date"] == game_date:
                found.setdefault(key(row), []).append(bool(row["is_active"]))
        return found

    def _rows(self, about: bigquery.Table, table: str, game_date: date) -> Iterable[Mapping[str, Any]]:
        """Listed, which is free; a long table without partitions would be listed whole, so there it is a query of six columns."""
        if not about.time_partitioning and (about.num_rows or 0) > LISTED_ROWS:
            return catalog.run(self._cloud, "pipeline.keys", tables={"rows": table}, game_date=game_date).rows
        wanted = [field for field in about.schema if field.name in (*KEY, "is_active")]
        name = f"{table}${game_date:%Y%m%d}" if about.time_partitioning else table
        source = bigquery.TableReference.from_string(name, self._cloud.settings.project)
        listed: Iterable[Mapping[str, Any]] = self._client.list_rows(
            source, selected_fields=wanted, page_size=10_000, timeout=TIMEOUT_S
        )
        return listed

    def claim(self, job_id: str, labels: Mapping[str, str]) -> bool:
        """Take a job id: BigQuery gives it once in a project, so this is a compare-and-swap."""
        config = bigquery.QueryJobConfig(labels=dict(labels), use_query_cache=False)
        try:
            self._client.query("SELECT 1", config, job_id=job_id, job_retry=None, timeout=TIMEOUT_S)
        except Conflict:
            return False
        return True

    def claimed(self, job_id: str) -> Mapping[str, str] | None:
        """The labels of a job id that was taken, with its creation time under `created`; None when it is free."""
        try:
            job = self._client.get_job(job_id, timeout=TIMEOUT_S)
        except NotFound:
            return None
        return {**job.labels, "created": job.created.isoformat()}

    def wait(self, job_id: str) -> None:
        """Until a job has ended, however it ended."""
        job = self._client.get_job(job_id, timeout=TIMEOUT_S)
        job.exception(timeout=600)

    def drop(self, table: str, version: str | None = None) -> bool:
        """Drop a table, if `version` is given only in that version; whether it is gone."""
        if version is not None:
            now = self._describe(table.split(".")[-1])
            if now is not None and now.version != version:
                return False
        self._client.delete_table(table, not_found_ok=True, timeout=TIMEOUT_S)
        return True
