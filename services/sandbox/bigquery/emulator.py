"""The sandbox's BigQuery: the bqemulator package, started in this process on the sandbox clock."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import httpx
import pyarrow as pa
from bqemulator.config import LogFormat, LogLevel
from bqemulator.config import Settings as EmulatorSettings
from bqemulator.observability.logging_ import configure_logging

from services.core.clock import Clock
from services.sandbox.bigquery import ambiguous_matches, dml_statistics, emulator_memory, emulator_speed
from services.sandbox.bigquery.emulator_access import InProcessTransport, close_to_strangers
from services.sandbox.bigquery.packed_tables import PackedTables

logger = logging.getLogger(__name__)
STOP_TIMEOUT_S = 20.0
T = TypeVar("T")
Columns = tuple[tuple[str, str], ...]  # (name, type) in order


class _EmulatorClock:
    """The sandbox clock with the emulator's clock interface."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def install_spatial_extension() -> Path:
    """Copy DuckDB's spatial extension from its PyPI package to where DuckDB looks for it."""
    spec = importlib.util.find_spec("duckdb_extension_spatial")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("duckdb-extension-spatial is not installed: run `make run` once more.")
    source = next(Path(spec.submodule_search_locations[0]).rglob("spatial.duckdb_extension"))
    with duckdb.connect() as connection:
        platform = connection.execute("PRAGMA platform").fetchall()[0][0]
    target: Path = Path.home() / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform / source.name
    if not target.exists() or target.stat().st_size != source.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{threading.get_ident()}")
        shutil.copy(source, partial)
        partial.replace(target)
    return target


class Emulator:
    """A running emulator; `url` is its own, without the gateway's limits, with the password that it asks for."""

    url: str

    def __init__(self, clock: Clock) -> None:
        install_spatial_extension()
        # Its modules log on import, so the level is set before that.
        configure_logging(level=LogLevel.ERROR, fmt=LogFormat.JSON)
        emulator_speed.share_work()
        from bqemulator.server import EmulatorServer

        self._uploads = tempfile.TemporaryDirectory(prefix="sandbox-uploads-")
        self._server = EmulatorServer(
            EmulatorSettings(
                rest_port=0,
                grpc_port=0,
                enable_format_extensions=False,
                log_level=LogLevel.ERROR,
                max_concurrent_jobs=32,
                upload_staging_dir=Path(self._uploads.name),
            ),
            clock=_EmulatorClock(clock),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bigquery-emulator", daemon=True)

    def start(self) -> Emulator:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(timeout=60)
        self._close_to_files()
        self._check_statements()
        self._bound_memory()
        self.url = asyncio.run_coroutine_threadsafe(close_to_strangers(self._server), self._loop).result(timeout=20)
        return self

    def open_client(self) -> httpx.AsyncClient:
        """A client of the emulator's API, for any event loop."""
        server: Any = self._server._fastapi_server
        return httpx.AsyncClient(base_url=self.url, transport=InProcessTransport(server.config.loaded_app, self._loop))

    def _close_to_files(self) -> None:
        """From here on DuckDB reads and writes no file but uploads, and no statement can change that."""
        self.run_statements(
            [
                f"SET allowed_directories = ['{self._uploads.name}']",  # closing alone would break every load job
                "SET enable_external_access = false",
                "SET lock_configuration = true",
            ]
        )

    def _check_statements(self) -> None:
        """Have every MERGE and UPDATE fail, as in BigQuery, that matches several source rows to one target row; keep tables packed
        that no statement changes.
        """
        from bqemulator.domain.errors import InvalidQueryError

        engine = self._server._engine
        execute = engine.execute
        self._packed = PackedTables(execute)

        def execute_checked(sql: str, parameters: list[Any] | None = None) -> duckdb.DuckDBPyConnection:
            self._packed.unpack_changed(sql)
            check = ambiguous_matches.find_ambiguous_match(sql, parameters or ())
            if check is not None and execute(check[0], check[1] or None).fetchone() is not None:
                raise InvalidQueryError(ambiguous_matches.MESSAGE, location="query")
            if sql.lstrip()[:5].upper() == "MERGE":
                return dml_statistics.execute_merge(execute, sql, parameters)
            return execute(sql, parameters)

        engine.execute = execute_checked  # type: ignore[method-assign]

    def _bound_memory(self) -> None:
        emulator_memory.pack_small_loads(self._server, self._packed)
        emulator_memory.share_schemas(self._server)
        emulator_memory.forget_jobs(self._server)
        self.results = emulator_memory.ResultStore()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work to its end in the emulator's event loop, also when whoever waits for it gives up meanwhile."""
        return await asyncio.shield(asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop)))

    async def execute(self, sql: str) -> None:
        """Run one statement in DuckDB's dialect, for what the emulator's API does not offer."""
        await self.run(self._execute_locked(sql))

    async def copy_rows(
        self, project: str, tables: Sequence[tuple[str, str]], selects: Sequence[str], into: str, columns: Sequence[str]
    ) -> int:
        """Append the rows of each (dataset, table) and each SELECT to a DuckDB table in one statement; returns how many."""

        async def copy() -> int:
            async with self._server._engine.write_lock():
                names = [f'"{project}__{dataset}"."{table}"' for dataset, table in tables]
                union = " UNION ALL ".join([*self._packed.selects(names, columns), *(f"({sql})" for sql in selects)])
                copied = self._server._engine.execute(f"INSERT INTO {into} BY NAME {union}").fetchone()
                return int(copied[0]) if copied else 0

        return await self.run(copy())

    async def hide_table(self, project: str, dataset: str, table: str, hidden_name: str) -> str:
        """Take a table's rows away before it is dropped, in no time; a SELECT in DuckDB's dialect that still reads them."""

        async def hide() -> str:
            async with self._server._engine.write_lock():
                name = f'"{project}__{dataset}"."{table}"'
                if self._packed.find(name) is not None:
                    return self._packed.hide(name)
                self._server._engine.execute(f'ALTER TABLE {name} RENAME TO "{hidden_name}"')
                return f'SELECT * FROM "{project}__{dataset}"."{hidden_name}"'

        return await self.run(hide())

    async def list_columns(self, project: str, tables: Sequence[tuple[str, str]]) -> list[Columns | None]:
        """The columns of each (dataset, table), read from the emulator's catalog at once; None for one that does not exist."""

        async def read() -> list[Columns | None]:
            found = [self._server._catalog.get_table(project, dataset, table) for dataset, table in tables]
            return [(meta and tuple((f.name, f.type) for f in meta.schema_.fields)) or None for meta in found]

        return await self.run(read())

    async def create_table(self, schema: str, name: str, rows: pa.Table) -> None:
        """Create a DuckDB table of Arrow rows, which no dataset and no listing shows."""

        async def create() -> None:
            async with self._server._engine.write_lock():
                connection = self._server._engine.connection
                connection.register(name, rows)
                connection.execute(f'CREATE TABLE "{schema}"."{name}" AS FROM "{name}"')
                connection.unregister(name)

        await self.run(create())

    async def _execute_locked(self, sql: str) -> None:
        async with self._server._engine.write_lock():
            self._server._engine.execute(sql)

    async def fetch_rows(self, sql: str) -> list[Any]:
        """The rows of a SELECT in DuckDB's dialect, in tabledata.list's shape.

        The emulator's own tabledata.list reads from the one connection in several threads, whose results can mix; this does not.
        """

        async def fetch() -> list[Any]:
            return emulator_speed.to_wire_rows(self._server._engine.fetch_arrow(sql))

        return await self.run(fetch())

    async def set_schema(self, project: str, dataset: str, table: str, fields: Sequence[dict[str, Any]]) -> None:
        """Record a table's schema (TableFieldSchema resources) after DDL; the emulator itself loses JSON, or does not notice."""
        from bqemulator.api.routes.tables import _parse_schema_fields

        async def update() -> None:
            catalog = self._server._catalog
            if (meta := catalog.get_table(project, dataset, table)) is not None:
                schema = meta.schema_.model_copy(update={"fields": _parse_schema_fields(list(fields))})
                catalog.update_table(meta.model_copy(update={"schema_": schema}))

        await self.run(update())

    def run_statements(self, statements: Iterable[str]) -> None:
        """Run statements in DuckDB's dialect in sequence, before the sandbox serves requests."""
        for sql in statements:
            asyncio.run_coroutine_threadsafe(self._execute_locked(sql), self._loop).result()

    def make_tables(
        self,
        project: str,
        dataset: str,
        template_name: str,
        definitions: Mapping[str, tuple[str, datetime]],
        rows_per_table: int,
    ) -> None:
        """Create tables with the columns of `template_name`: name → (DuckDB SELECT, creation time). The API takes one at a time."""

        async def create_tables() -> None:
            catalog = self._server._catalog
            existing = catalog.get_table(project, dataset, template_name)
            if existing is None:
                raise RuntimeError(f"There is no {dataset}.{template_name} to be like.")
            template = existing.model_copy(
                update={"time_partitioning": None, "clustering": None, "num_rows": rows_per_table, "num_bytes": 0}
            )
            for name, (select, created_at) in definitions.items():
                self._packed.create(f'"{project}__{dataset}"."{name}"', template.schema_, select)
                update = {"table_id": name, "creation_time": created_at, "last_modified_time": created_at, "etag": name}
                catalog.create_table(template.model_copy(update=update))

        asyncio.run_coroutine_threadsafe(create_tables(), self._loop).result()

    def stop(self) -> None:
        """Stop without waiting for open connections. What has not ended in time ends with this process: its thread is a daemon."""
        if (rest_server := self._server._fastapi_server) is not None:
            rest_server.force_exit = True
        try:
            asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(STOP_TIMEOUT_S)
        except TimeoutError:
            logger.warning("The emulator has not stopped within %s s", STOP_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._uploads.cleanup()
        self.results.clear()
