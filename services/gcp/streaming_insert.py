"""A few rows streamed into a table of ours, each once for its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.core.errors import OnCallError
from services.gcp.clients import TIMEOUT_S, Cloud


class NotRecorded(OnCallError):
    """The record could not be written, so what hangs on it was not done."""


def insert(cloud: Cloud, table: str, rows: Iterable[Mapping[str, Any]], ids: Iterable[str]) -> None:
    """Stream a few rows into a table of ours, each once for its id; raises NotRecorded with the first refusal."""
    errors = cloud.bigquery.insert_rows_json(table, [dict(row) for row in rows], row_ids=list(ids), timeout=TIMEOUT_S)
    if errors:
        raise NotRecorded(f"{table} refused a record: {errors[0]['errors'][0].get('message', errors[0])}")
