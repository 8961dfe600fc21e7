"""A worker's write: its rows into a table of their own by a load job, and "done" only when the warehouse confirms that they are there.

A table is written once, by the job whose id has the same content hash and attempt: other rows of the unit, and the same rows after
their table was dropped, go into another one. So what was copied from a table is all that it will ever hold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.batches.business_key import business_key
from services.batches.ids import load_table, make_job_id
from services.gcp.retry import RetryPolicy
from services.pipeline.job_retry import run_job_with_retry
from services.pipeline.row_encoding import PredictionRow, encode_rows
from services.pipeline.warehouse import Warehouse

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
        """Stage a unit's rows; the same rows delivered again adopt the first job.

        Raises StagingNotVerified when no table holds these rows afterwards, else the warehouse's error.
        """
        prefix, content = make_job_id("load", batch_id, unit, ""), content_hash(encoded)

        def load(job_id: str) -> StagingWriteResult:
            table = load_table(batch_id, unit, job_id.removeprefix(prefix))
            verified = self._warehouse.load(table, encoded, job_id)
            return StagingWriteResult(table, job_id, verified, len({business_key(row) for row in encoded}))

        return run_job_with_retry(self._retry, prefix + content, load)


def content_hash(rows: Sequence[EncodedRow]) -> str:
    """The same for the same predictions, whenever they were made: ids and times of making are left out."""
    stable_rows = [{k: v for k, v in row.items() if k not in ("prediction_id", "created_at")} for row in rows]
    texts = sorted(json.dumps(row, sort_keys=True) for row in stable_rows)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
