"""What each staging table holds, and how many of its rows the predictions table lacks: by free calls, read once while it stays the same.

A wildcard query bills 10 MiB for every table it matches, and refuses more than 1,000. Two thousand tables take longer to read
than one look may last, so a look reads the newest first for as long as it may, and the rest is read behind it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import inf
from sys import intern
from threading import Lock, Thread
from typing import Any

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.batches.business_key import KEY, Key, key
from services.batches.ids import DATASET
from services.core.settings import Settings
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from

AT_ONCE, GOING_ON = 16, 4  # tables read at once during a look, and behind it
LOOK_S = 2.5  # how long one look reads tables before it goes on with what it knows
YOUNG = timedelta(hours=6)  # a table this new may still be written to: it is asked at every look
TRUSTED_S = 3_600.0  # an older one is asked again after so long
KINDS = dict(zip(KEY, ("DATE", "STRING", "STRING", "STRING", "NUMERIC"), strict=True))
COLUMNS = [bigquery.SchemaField(name, kind) for name, kind in KINDS.items()]


@dataclass(frozen=True)
class Contents:
    """One staging table as it was read. `keys` None: its rows cannot be read."""

    name: str
    version: str
    rows: int
    size_bytes: int
    created: datetime
    expires: datetime | None
    keys: tuple[Key, ...] | None
    players: Mapping[str, int]

    @property
    def dates(self) -> set[date]:
        return {date.fromisoformat(row[0]) for row in self.keys or ()}


@dataclass
class _Known:
    """What this process remembers of a project's staging tables; a table that is gone is forgotten."""

    contents: dict[str, Contents] = field(default_factory=dict)
    asked_s: dict[str, float] = field(default_factory=dict)  # name → when tables.get last told of it
    lock: Lock = field(default_factory=Lock)
    going_on: int = 0  # threads that read behind a look

    def keep(self, each: Contents) -> Contents:
        with self.lock:
            self.contents[each.name] = each
        return each

    def keep_only(self, names: set[str]) -> None:
        with self.lock:
            for gone in self.contents.keys() - names:
                del self.contents[gone]
            self.asked_s = {name: at for name, at in self.asked_s.items() if name in names}


_known: dict[Settings, _Known] = {}


def read_contents(cloud: Cloud, listed: Iterable[Any]) -> dict[str, Contents]:
    """The contents of each listed table that is known or could be read in this look; raises OnCallError when BigQuery refuses."""
    known = _known.setdefault(cloud.settings, _Known())
    tables = sorted(listed, key=lambda item: item.created or cloud.now(), reverse=True)
    until = time.monotonic() + LOOK_S
    with reading_from("BigQuery tables.get"), ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda item: _read(cloud, known, item, until), tables)
        contents = {each.name: each for each in found if each is not None}
    if len(contents) < len(tables):
        _go_on(cloud, known, [item for item in tables if item.table_id not in contents])
    return contents


def _go_on(cloud: Cloud, known: _Known, tables: list[Any]) -> None:
    """Read behind the look what it had no time for, so that the next one finds it; one such reading at a time."""
    with known.lock:
        if known.going_on:
            return
        known.going_on = GOING_ON
    waiting = deque(tables)

    def work() -> None:
        try:
            while True:
                _read(cloud, known, waiting.popleft(), inf)
        except IndexError:
            return
        except Exception as error:  # the next look meets the same trouble, and says so
            logging.getLogger(__name__).info("Staging tables are not read on: %s", error)
        finally:
            with known.lock:
                known.going_on -= 1

    for _ in range(GOING_ON):
        Thread(target=work, name="staging tables", daemon=True).start()


def forget_but(cloud: Cloud, names: Iterable[str]) -> None:
    """Keep in mind only the tables that still exist."""
    _known.setdefault(cloud.settings, _Known()).keep_only(set(names))


def _read(cloud: Cloud, known: _Known, item: Any, until: float) -> Contents | None:
    """One table, remembered or asked; None when it is gone, or was never read and this look has no time left."""
    name, now = item.table_id, time.monotonic()
    before = known.contents.get(name)
    if before is not None and before.created != item.created:
        before = None  # dropped and made anew under the same name
    young = item.created is None or cloud.now() - item.created < YOUNG
    trusted = not young and now - known.asked_s.get(name, -TRUSTED_S) < TRUSTED_S
    if now > until or (before is not None and trusted):
        return before
    found = _ask(cloud, name, before)
    known.asked_s[name] = now
    return known.keep(found) if found is not None else None


def _ask(cloud: Cloud, name: str, before: Contents | None) -> Contents | None:
    limit_s = cloud.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(limit_s)
    try:
        about = cloud.bigquery.get_table(f"{DATASET}.{name}", retry=retry, timeout=limit_s)
    except NotFound:
        return None
    version = f"{about.etag}/{about.modified}/{about.num_rows}"
    if before is not None and before.version == version:
        return before
    keys = None if about.streaming_buffer is not None else _keys(cloud, f"{DATASET}.{name}") if about.num_rows else ()
    players = Counter(row[2] for row in keys or ())
    rows, size = int(about.num_rows or 0), int(about.num_bytes or 0)
    return Contents(name, version, rows, size, about.created, about.expires, keys, players)


def _keys(cloud: Cloud, table: str) -> tuple[Key, ...] | None:
    """The business keys of a table's rows, by tabledata.list; None when it lacks a column of them."""
    source = bigquery.TableReference.from_string(table, cloud.settings.project)
    limit_s = cloud.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(limit_s)
    try:
        rows = cloud.bigquery.list_rows(source, selected_fields=COLUMNS, page_size=10_000, retry=retry, timeout=limit_s)
        return tuple(_interned(key(row)) for row in rows)
    except BadRequest:
        return None


def _interned(told: Key) -> Key:
    """Each text once in memory: rows of one night share almost all of theirs."""
    a, b, c, d, e = map(intern, told)
    return a, b, c, d, e
