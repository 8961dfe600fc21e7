"""A worker's write: its rows into a table of their own by a load job, and "done" only when the warehouse confirms that they are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.batches.business_key import business_key
from services.batches.ids import make_job_id, staging_table
from services.gcp.retry import RetryPolicy
from services.pipeline.job_retry import run_job_with_retry
from services.pipeline.row_encoding import PredictionRow, encode_rows
from services.pipeline.warehouse import StagingNotVerified, Warehouse

EncodedRow = Mapping[str, Any]  # JSON values by column name


@dataclass(frozen=True)
class StagingWriteResult:
    """Rows verified in their table, and by which job."""

    table: str
    job_id: str
    verified_rows: int
    distinct_keys: int


class StagingWriter:
    """Writes units of one batch. Load jobs are not DML, so no DML limit applies to them."""

    def __init__(self, warehouse: Warehouse, retry: RetryPolicy | None = None) -> None:
        self._warehouse, self._retry = warehouse, retry or RetryPolicy()

    def encode(self, rows: Sequence[PredictionRow]) -> Sequence[EncodedRow]:
        """Rows as the warehouse loads them; raises SchemaMismatch for what it would refuse."""
        return encode_rows(rows, self._warehouse.get_columns())

    def write(self, batch_id: str, unit: str, rows: Sequence[PredictionRow]) -> StagingWriteResult:
        """Encode and stage; raises what either raises."""
        return self.stage(batch_id, unit, self.encode(rows))

    def stage(self, batch_id: str, unit: str, encoded: Sequence[EncodedRow]) -> StagingWriteResult:
        """Stage a unit's rows; the same rows delivered again adopt the first job, other rows replace the first ones.

        Raises StagingNotVerified when the table does not hold these rows afterwards, else the warehouse's error.
        """
        table = staging_table(batch_id, unit)
        job_id = make_job_id("load", batch_id, unit, content_hash(encoded))
        verified = run_job_with_retry(
            self._retry, job_id, lambda attempt_id: self._warehouse.load(table, encoded, attempt_id)
        )
        if verified != len(encoded):
            raise StagingNotVerified(f"{table} holds {verified} of {len(encoded)} rows sent.")
        return StagingWriteResult(table, job_id, verified, len({business_key(row) for row in encoded}))


def content_hash(rows: Sequence[EncodedRow]) -> str:
    """The same for the same predictions, whenever they were made: ids and times of making are left out."""
    stable_rows = [{k: v for k, v in row.items() if k not in ("prediction_id", "created_at")} for row in rows]
    texts = sorted(json.dumps(row, sort_keys=True) for row in stable_rows)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
