"""Lists the staging tables by BigQuery's tables.list: names and times of all that are there now, for free."""

from __future__ import annotations

from datetime import UTC, datetime

from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery.table import Table, TableListItem

from services.batches.ids import DATASET, STAGING_TABLE_PREFIX
from services.gcp.clients import Clients
from services.gcp.error_messages import iterate_pages, translate_errors

SOURCE = "BigQuery tables.list"
ORIGINAL_CREATED_LABEL = "original-created"  # of a restored table: when it was created first, in epoch milliseconds


def list_staging_tables(clients: Clients, prefix: str = STAGING_TABLE_PREFIX) -> tuple[TableListItem, ...]:
    """The staging tables whose name begins with `prefix`, by name; raises OnCallError when they cannot be listed."""
    listed = clients.cache.shared(SOURCE, lambda: _list_tables(clients))
    return tuple(table for table in listed if table.table_id.startswith(prefix))


def _list_tables(clients: Clients) -> tuple[TableListItem, ...]:
    timeout_s = clients.settings.query_timeout_s
    with translate_errors(SOURCE):
        listing = clients.bigquery.list_tables(
            DATASET, page_size=1000, retry=DEFAULT_RETRY.with_timeout(timeout_s), timeout=timeout_s
        )
        return tuple(sorted(iterate_pages(SOURCE, listing), key=lambda table: str(table.table_id)))


def read_original_created(table: Table | TableListItem) -> datetime | None:
    """When a table was created; of one that was dropped and restored, when it was created first. None: not listed."""
    original_ms = table.labels.get(ORIGINAL_CREATED_LABEL, "")
    return datetime.fromtimestamp(int(original_ms) / 1000, UTC) if original_ms.isdecimal() else table.created
