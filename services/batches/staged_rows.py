"""The business keys that each staging table holds: by free calls, read once while the table stays the same.

A wildcard query bills 10 MiB for every table it matches, and refuses more than 1,000. Two thousand tables take longer to
read than one check may last, so a check reads the newest first for as long as it may, and the rest in the background.
What was read is cached in `Clients.cache.tables`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from math import inf
from threading import Thread

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY
from google.cloud.bigquery.table import TableListItem

from services.batches.business_key import BUSINESS_KEY_TYPES, BusinessKey, business_key
from services.batches.ids import DATASET, is_compact_table, parse_staging_table_name
from services.batches.staging_listing import list_staging_tables
from services.core.errors import SourceUnavailable
from services.core.freshness import MUTABLE_AGE, STAGING_METADATA_TTL_S
from services.gcp.clients import Clients
from services.gcp.error_messages import iterate_pages, translate_errors

READ_THREADS, BACKGROUND_THREADS = 16, 4  # tables read concurrently during a request, and in the background
READ_BUDGET_S = 2.5  # how long one request reads tables before it returns what is known
StagingTables = tuple[TableListItem, ...]
KEY_SCHEMA = [bigquery.SchemaField(name, sql_type) for name, sql_type in BUSINESS_KEY_TYPES.items()]


@dataclass(frozen=True)
class Contents:
    """One staging table as it was read. `keys` None: its rows cannot be read."""

    name: str
    version: str
    rows: int
    size_bytes: int
    created: datetime
    expires: datetime | None
    keys: tuple[BusinessKey, ...] | None
    players: Mapping[str, int]

    @property
    def dates(self) -> set[date]:
        return {date.fromisoformat(key.game_date) for key in self.keys or ()}


def read_contents(clients: Clients, table_items: Iterable[TableListItem]) -> dict[str, Contents]:
    """The contents, by table name, of each listed table that is cached or could be read within READ_BUDGET_S.

    Raises OnCallError when BigQuery refuses.
    """
    tables = sorted(table_items, key=lambda item: item.created or clients.now(), reverse=True)
    deadline = time.monotonic() + READ_BUDGET_S
    with translate_errors("BigQuery tables.get"), ThreadPoolExecutor(READ_THREADS) as pool:
        results = pool.map(lambda item: _read_table(clients, item, deadline), tables)
        contents = {table_contents.name: table_contents for table_contents in results if table_contents is not None}
    if len(contents) < len(tables):
        _continue_in_background(clients, [item for item in tables if item.table_id not in contents])
    return contents


def list_tables_of_date(clients: Clients, game_date: date) -> StagingTables:
    """The staging tables of a game date: by the id in their name, else, where it has no date, by their rows.

    Compacted tables are left out: they are copies. Raises OnCallError, also while a table without a date is not read yet.
    """
    parsed = [(item, *parse_staging_table_name(item.table_id)) for item in list_staging_tables(clients)]
    units = [(item, day) for item, batch_id, _, day in parsed if not is_compact_table(item.table_id, batch_id)]
    undated = [item for item, day in units if day is None]
    contents = read_contents(clients, undated)
    if (unread := len(undated) - len(contents)) > 0:
        raise SourceUnavailable(
            f"{unread:,} of {len(undated):,} staging tables without a date in their name are not read yet.",
            "Each look reads more of them; this page looks again by itself.",
        )
    return tuple(
        item
        for item, day in units
        if day == game_date or (day is None and contents[item.table_id].dates == {game_date})
    )


def evict_missing(clients: Clients, existing: Iterable[str]) -> None:
    """Keep only the tables that still exist in the cache."""
    clients.cache.tables.retain_only(set(existing))


def _continue_in_background(clients: Clients, tables: list[TableListItem]) -> None:
    """Read on what this check had no time for, so that the next one finds it; one such reading at a time."""
    cache = clients.cache.tables
    with cache.lock:
        if cache.background_threads:
            return
        cache.background_threads = BACKGROUND_THREADS
    pending = iter(tables)  # of a list: each of several threads gets the next one

    def read_pending() -> None:
        try:
            for item in pending:
                _read_table(clients, item, inf)
        except Exception:  # the next check fails in the same way, and shows it
            logging.getLogger(__name__).exception("Staging tables are not read on")
        finally:
            with cache.lock:
                cache.background_threads -= 1

    for _ in range(BACKGROUND_THREADS):
        Thread(target=read_pending, name="staging tables", daemon=True).start()


def _read_table(clients: Clients, item: TableListItem, deadline_s: float) -> Contents | None:
    """One table's contents, cached or read; None when it is gone, or when it was never read and the time is over."""
    cache, now_s = clients.cache.tables, time.monotonic()
    contents, verified_at_s = cache.get(item.table_id)
    cached = contents if isinstance(contents, Contents) and contents.created == item.created else None
    may_change = item.created is None or clients.now() - item.created < MUTABLE_AGE
    is_fresh = not may_change and now_s - verified_at_s < STAGING_METADATA_TTL_S
    if now_s > deadline_s or (cached is not None and is_fresh):
        return cached
    fetched = _fetch(clients, item.table_id, cached)
    if fetched is not None:
        cache.put(item.table_id, fetched, now_s)
    return fetched


def _fetch(clients: Clients, name: str, cached: Contents | None) -> Contents | None:
    timeout_s = clients.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(timeout_s)
    try:
        table = clients.bigquery.get_table(f"{DATASET}.{name}", retry=retry, timeout=timeout_s)
    except NotFound:
        return None
    version = f"{table.etag}/{table.modified}/{table.num_rows}"
    if cached is not None and cached.version == version:
        return cached
    keys: tuple[BusinessKey, ...] | None = ()
    if table.streaming_buffer is not None:
        keys = None
    elif table.num_rows:
        keys = _read_keys(clients, f"{DATASET}.{name}")
    players = Counter(key.player_lookup for key in keys or ())
    rows, size_bytes = int(table.num_rows or 0), int(table.num_bytes or 0)
    return Contents(name, version, rows, size_bytes, table.created, table.expires, keys, players)


def _read_keys(clients: Clients, table: str) -> tuple[BusinessKey, ...] | None:
    """The business keys of a table's rows, by tabledata.list; None when it lacks a column of the key."""
    source = bigquery.TableReference.from_string(table, clients.settings.project)
    timeout_s = clients.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(timeout_s)
    try:
        rows = clients.bigquery.list_rows(
            source, selected_fields=KEY_SCHEMA, page_size=10_000, retry=retry, timeout=timeout_s
        )
        listed = iterate_pages(f"BigQuery tabledata.list of {table}", rows)
        return tuple(business_key(row) for row in listed)
    except BadRequest:
        return None
