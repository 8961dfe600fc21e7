"""The contents of each staging table, read by free calls, once as long as the table does not change.

A wildcard query bills 10 MiB for every table it matches, and refuses more than 1,000. Two thousand tables take longer to read
than one request may last, so a request reads the newest first within READ_BUDGET_S, and threads read the rest in the background.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from math import inf
from sys import intern
from threading import Lock, Thread
from typing import Any

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.batches.business_key import BUSINESS_KEY_TYPES, BusinessKey, business_key
from services.batches.ids import DATASET
from services.core.freshness import MUTABLE_AGE, STAGING_METADATA_TTL_S
from services.core.settings import Settings
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

READ_THREADS, BACKGROUND_THREADS = 16, 4  # tables read at once during a request, and in the background
READ_BUDGET_S = 2.5  # how long one request reads tables before it returns what is known
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


@dataclass
class _ContentsCache:
    """This process's cache of a project's staging tables; a table that is gone is evicted."""

    contents: dict[str, Contents] = field(default_factory=dict)
    fetched_at_s: dict[str, float] = field(default_factory=dict)  # name → monotonic time of its last tables.get
    lock: Lock = field(default_factory=Lock)
    background_threads: int = 0  # threads that read in the background now

    def store(self, table_contents: Contents) -> Contents:
        with self.lock:
            self.contents[table_contents.name] = table_contents
        return table_contents

    def retain_only(self, names: set[str]) -> None:
        with self.lock:
            for missing_name in self.contents.keys() - names:
                del self.contents[missing_name]
            self.fetched_at_s = {name: at for name, at in self.fetched_at_s.items() if name in names}


_caches: dict[Settings, _ContentsCache] = {}


def read_contents(clients: Clients, table_items: Iterable[Any]) -> dict[str, Contents]:
    """The contents of each listed table that is cached or could be read in time; raises OnCallError when BigQuery refuses."""
    cache = _caches.setdefault(clients.settings, _ContentsCache())
    tables = sorted(table_items, key=lambda item: item.created or clients.now(), reverse=True)
    deadline = time.monotonic() + READ_BUDGET_S
    with translate_errors("BigQuery tables.get"), ThreadPoolExecutor(READ_THREADS) as pool:
        results = pool.map(lambda item: _read_table(clients, cache, item, deadline), tables)
        contents = {table_contents.name: table_contents for table_contents in results if table_contents is not None}
    if len(contents) < len(tables):
        _continue_in_background(clients, cache, [item for item in tables if item.table_id not in contents])
    return contents


def _continue_in_background(clients: Clients, cache: _ContentsCache, tables: list[Any]) -> None:
    """Read in the background what the request had no time for; one such reading at a time."""
    with cache.lock:
        if cache.background_threads:
            return
        cache.background_threads = BACKGROUND_THREADS
    pending = deque(tables)

    def read_pending() -> None:
        try:
            while True:
                _read_table(clients, cache, pending.popleft(), inf)
        except IndexError:
            return
        except Exception as error:  # the next request meets the same error, and reports it
            logging.getLogger(__name__).info("Staging tables are not read on: %s", error)
        finally:
            with cache.lock:
                cache.background_threads -= 1

    for _ in range(BACKGROUND_THREADS):
        Thread(target=read_pending, name="staging tables", daemon=True).start()


def evict_missing(clients: Clients, names: Iterable[str]) -> None:
    """Forget the tables that no longer exist."""
    _caches.setdefault(clients.settings, _ContentsCache()).retain_only(set(names))


def _read_table(clients: Clients, cache: _ContentsCache, item: Any, deadline: float) -> Contents | None:
    """One table, from the cache or fetched; None when it is gone, or was never read and no time is left."""
    name, now = item.table_id, time.monotonic()
    cached = cache.contents.get(name)
    if cached is not None and cached.created != item.created:
        cached = None  # dropped and recreated under the same name
    may_change = item.created is None or clients.now() - item.created < MUTABLE_AGE
    is_fresh = not may_change and now - cache.fetched_at_s.get(name, -STAGING_METADATA_TTL_S) < STAGING_METADATA_TTL_S
    if now > deadline or (cached is not None and is_fresh):
        return cached
    fetched = _fetch(clients, name, cached)
    cache.fetched_at_s[name] = now
    return cache.store(fetched) if fetched is not None else None


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
    keys = (
        None
        if table.streaming_buffer is not None
        else _read_keys(clients, f"{DATASET}.{name}")
        if table.num_rows
        else ()
    )
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
        return tuple(_intern_key(business_key(row)) for row in rows)
    except BadRequest:
        return None


def _intern_key(key: BusinessKey) -> BusinessKey:
    """Each text once in memory: rows of one night share almost all of theirs."""
    return BusinessKey(*map(intern, key))
