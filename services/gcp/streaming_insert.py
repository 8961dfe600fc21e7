"""Streams a few rows into a table of ours; each id is inserted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.core.errors import OnCallError
from services.gcp.clients import BIGQUERY_TIMEOUT_S, Clients


class StreamingInsertFailed(OnCallError):
    """The record could not be written, so what depends on it was not done."""


def insert_rows(clients: Clients, table: str, rows: Iterable[Mapping[str, Any]], ids: Iterable[str]) -> None:
    """Stream a few rows, one per id (a repeated id is dropped); raises StreamingInsertFailed with the first error."""
    errors = clients.bigquery.insert_rows_json(
        table, [dict(row) for row in rows], row_ids=list(ids), timeout=BIGQUERY_TIMEOUT_S
    )
    if errors:
        raise StreamingInsertFailed(f"{table} refused a record: {errors[0]['errors'][0].get('message', errors[0])}")
