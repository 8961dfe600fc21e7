"""Which staging tables are there, and which rows stand in them: by listing, which bills nothing, each table read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar

from google.api_core.exceptions import NotFound
from google.cloud.bigquery import Table
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.foundation import listing
from services.foundation.clients import Cloud
from services.foundation.errors import MissingInWarehouse
from services.foundation.google_reads import items_of, reading_from
from services.foundation.kept import version_of
from services.foundation.reading import Source
from services.pipeline.names import DATASET, STAGING, parse_name

T = TypeVar("T")

AT_ONCE = 16
YOUNG = timedelta(hours=2)  # younger tables may still be written to, so they are looked at more often
LOOK_S, LOOK_AT_OLD_S = 60.0, 600.0
COLUMNS = ("game_date", "game_id", "player_lookup", "system_id", "current_points_line")


class Key(NamedTuple):
    """The business key of a prediction. A line is compared as a decimal; None is a line of its own."""

    game_date: date
    game_id: str | None
    player_lookup: str
    system_id: str
    line: Decimal | None


@dataclass(frozen=True)
class Listed:
    """One `_staging_*` table as tables.list tells it."""

    name: str
    batch_id: str
    worker: str
    game_date: date | None
    created: datetime
    expires: datetime | None


@dataclass(frozen=True)
class Listing:
    tables: tuple[Listed, ...]
    source: Source


@dataclass(frozen=True)
class Contents:
    """What was read of some tables, by name; a table that went meanwhile is in neither."""

    about: Mapping[str, Table]
    keys: Mapping[str, tuple[Key, ...]]
    source: Source


def key_of(row: Mapping[str, Any], game_date: date | None = None) -> Key:
    """The key of a row of the predictions table or of a staging table."""
    line = row["current_points_line"]
    return Key(
        game_date or row["game_date"],
        row["game_id"],
        row["player_lookup"],
        row["system_id"],
        None if line is None else Decimal(str(line)),
    )


def read_listed(cloud: Cloud) -> Listing:
    """Every staging table there is; raises OnCallError when they cannot be listed."""
    limit_s = cloud.settings.query_timeout_s
    with reading_from("BigQuery tables.list"):
        listed = cloud.bigquery.list_tables(
            DATASET, page_size=1000, retry=DEFAULT_RETRY.with_timeout(limit_s), timeout=limit_s
        )
        found = [item for item in items_of("BigQuery tables.list", listed) if item.table_id.startswith(STAGING)]
    tables = tuple(
        Listed(item.table_id, *parse_name(item.table_id), item.created, item.expires)
        for item in sorted(found, key=lambda item: item.table_id)
    )
    return Listing(tables, Source("BigQuery, tables.list", cloud.now()))


def read_about(cloud: Cloud, tables: Sequence[Listed]) -> dict[str, Table]:
    """What each table tells of itself: rows, bytes, times. One that went meanwhile is left out."""
    found = _each(partial(_about, cloud), tables)
    return {each.name: table for each, table in zip(tables, found, strict=True) if table is not None}


def read_contents(cloud: Cloud, tables: Sequence[Listed]) -> Contents:
    """The keys of every row of these tables; raises OnCallError when one of them cannot be read."""
    about = read_about(cloud, tables)
    there = [each for each in tables if each.name in about]
    keys = _each(lambda each: _keys(cloud, each.name, about[each.name]), there)
    read = {each.name: told for each, told in zip(there, keys, strict=True) if told is not None}
    return Contents(about, read, Source("BigQuery, tables.get and tabledata.list", cloud.now()))


def _about(cloud: Cloud, table: Listed) -> Table | None:
    old = cloud.now() - table.created > YOUNG
    name = f"{DATASET}.{table.name}"

    def look() -> Table:
        if cloud.kept is None:
            return listing.look(cloud, name)
        return cloud.kept.version(name, partial(listing.look, cloud), LOOK_AT_OLD_S if old else LOOK_S).table

    return _unless_gone("BigQuery tables.get", look)


def _keys(cloud: Cloud, name: str, table: Table) -> tuple[Key, ...] | None:
    def read() -> tuple[Key, ...]:
        wanted = [column for column in table.schema if column.name in COLUMNS]
        limit_s = cloud.settings.query_timeout_s
        rows = cloud.bigquery.list_rows(table, selected_fields=wanted, page_size=10_000, timeout=limit_s)
        return tuple(key_of(row) for row in rows)

    if not table.num_rows and table.streaming_buffer is None:
        return ()
    if cloud.kept is None:
        return _unless_gone("BigQuery tabledata.list", read)
    kept = cloud.kept
    return _unless_gone(
        "BigQuery tabledata.list", lambda: kept.answer(("staged", name), (version_of(table),), read, len)[0]
    )


def _unless_gone(source: str, read: Callable[[], T]) -> T | None:
    """What `read` gives; None when the table was dropped meanwhile."""
    try:
        with reading_from(source):
            return read()
    except MissingInWarehouse as missing:
        if isinstance(missing.__cause__, NotFound):
            return None
        raise


def _each(ask: Callable[[Listed], T], tables: Iterable[Listed]) -> list[T]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(ask, tables))
