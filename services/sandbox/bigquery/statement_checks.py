"""Before a statement runs: the tables it names, and what BigQuery's analyzer says to it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.sandbox.bigquery import sql_analysis
from services.sandbox.bigquery.job_store import Resource
from services.sandbox.bigquery.sql_analysis import PARTITION_PSEUDO_COLUMNS, Analysis, TablePath
from services.sandbox.bigquery.sql_inspection import Statement
from services.sandbox.bigquery.sql_rewrites import is_script
from services.sandbox.bigquery.table_metadata import TABLES_VIEW_FIELDS, TableCatalog

_UNION = re.compile(r"\bUNION ALL\b", re.IGNORECASE)
_ENGINE_FUNCTION = re.compile(
    r"\b(read_\w+|glob|sniff_csv|\w+_scan|parquet_\w+|duckdb_\w+|pragma_\w+|query(?:_table)?)\s*\(", re.IGNORECASE
)
_MANY_BRANCHES = 20


class StatementRefused(Exception):
    """BigQuery's refusal of a statement: `error` is the errorResult."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.error = {
            "reason": reason,
            "message": message,
            **({"location": "query"} if reason == "invalidQuery" else {}),
        }


@dataclass(frozen=True)
class _Table:
    """A table that a statement names: dataset.table, its fields, and the columns it has beside them."""

    name: str
    fields: tuple[Resource, ...]
    pseudo_columns: Mapping[str, str]


class StatementChecks:
    """Analyzes the statements of one project against its tables."""

    def __init__(self, tables: TableCatalog, project: str) -> None:
        self._tables, self._project = tables, project
        self._analyzer = sql_analysis.SqlAnalyzer()

    async def check(self, query: Resource, statement: Statement, location: str) -> Analysis:
        """The analysis of a query configuration's statement; raises StatementRefused with BigQuery's error.

        Legacy SQL, scripts (but for their syntax) and INFORMATION_SCHEMA are left to the emulator: an empty analysis.
        """
        sql = query.get("query", "")
        if query.get("useLegacySql") is True:
            return Analysis()
        script = statement.kind == "SCRIPT" or _is_script(sql)
        paths, syntax_error = await asyncio.to_thread(sql_analysis.find_tables, sql, script)
        if syntax_error:
            raise StatementRefused("invalidQuery", syntax_error)
        if script:
            _refuse_engine_functions(sql)
        if script or any("INFORMATION_SCHEMA" in part.upper() for path in paths for part in path):
            return Analysis()
        default_dataset = (query.get("defaultDataset") or {}).get("datasetId", "")
        found = dict(
            zip(
                paths,
                await asyncio.gather(*(self._find(path, default_dataset, location) for path in paths)),
                strict=True,
            )
        )
        if statement.kind == "ALTER" and statement.target:
            found |= await self._find_altered(statement.target, location)
        options = sql_analysis.build_options(query.get("queryParameters") or ())
        collapsed = _collapse_unions(sql, found)
        analysis = await self._analyze(collapsed, found, options)
        if collapsed != sql and analysis != Analysis():  # its places are those of the shorter statement
            analysis = await self._analyze(sql, found, options)
        if analysis.error:
            raise StatementRefused("invalidQuery", analysis.error)
        return analysis

    async def _analyze(self, sql: str, found: Mapping[TablePath, _Table], options: bytes) -> Analysis:
        named = {path: table for path, table in found.items() if path[-1] in sql}
        catalog = sql_analysis.build_catalog(
            {path: table.fields for path, table in named.items()},
            {path: table.pseudo_columns for path, table in named.items()},
        )
        return await asyncio.to_thread(self._analyzer.analyze, sql, catalog, options)

    async def _find(self, path: TablePath, default_dataset: str, location: str) -> _Table:
        parts = ".".join(path).split(".")
        if len(parts) == 1 and default_dataset:
            parts = [default_dataset, *parts]
        if len(parts) == 1:
            raise StatementRefused(
                "invalidQuery", f'Table "{parts[0]}" must be qualified with a dataset (e.g. dataset.table).'
            )
        dataset, name = parts[-2:]
        if name.upper() == "__TABLES__":
            return _Table(f"{dataset}.{name}", TABLES_VIEW_FIELDS, {})
        wildcard = {"_TABLE_SUFFIX": "STRING"} if name.endswith("*") else {}
        metadata = await self._tables.get_metadata(f"{dataset}.{await self._newest(dataset, name)}")
        if not metadata.exists:
            raise await self._not_found(parts, location)
        partition = PARTITION_PSEUDO_COLUMNS if metadata.partitioned and not metadata.partitioned_by else {}
        return _Table(f"{dataset}.{name}", metadata.fields, {**wildcard, **partition})

    async def _newest(self, dataset: str, name: str) -> str:
        """The table whose schema a wildcard has, the newest that it matches; any other name as it is, without a decorator."""
        if not name.endswith("*"):
            return name.split("@")[0].split("$")[0]
        response = await self._tables.list_all(dataset)
        resources = [] if response.is_error else response.json().get("tables", [])
        matching = [r for r in resources if r["tableReference"]["tableId"].startswith(name[:-1])]
        newest = max(matching, key=lambda r: int(r.get("creationTime") or 0), default=None)
        return str(newest["tableReference"]["tableId"]) if newest is not None else name

    async def _find_altered(self, target: str, location: str) -> dict[TablePath, _Table]:
        """The table of an ALTER, which GoogleSQL does not list, under each way of writing its name."""
        parts = [self._project, *target.split(".")]
        table = await self._find(tuple(parts[1:]), "", location)
        return {path: table for n in (0, 1) for path in (tuple(parts[n:]), (".".join(parts[n:]),))}

    async def _not_found(self, parts: list[str], location: str) -> StatementRefused:
        dataset, name = parts[-2:]
        project = ".".join(parts[:-2]) or self._project
        if name.endswith("*"):
            return StatementRefused("invalidQuery", f"{project}:{dataset}.{name} does not match any table.")
        exists = await self._tables.locate_datasets([dataset])
        kind = f"Table {project}:{dataset}.{name}" if exists else f"Dataset {project}:{dataset}"
        return StatementRefused("notFound", f"Not found: {kind} was not found in location {location}")


def _refuse_engine_functions(script: str) -> None:
    """Scripts are not analyzed, so DuckDB's table functions (files, settings) are refused by name."""
    if (match := _ENGINE_FUNCTION.search(script)) is not None:
        at = match.start(1)
        line, column = script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at)
        raise StatementRefused("invalidQuery", f"Table-valued function not found: {match[1]} at [{line}:{column}]")


def _is_script(sql: str) -> bool:
    return ";" in sql.rstrip().rstrip(";") and is_script(sql)


def _collapse_unions(sql: str, found: Mapping[TablePath, _Table]) -> str:
    """A union of many like branches (staging tables) with the first two only, as the analysis of all takes 0.4 s."""
    branches = _UNION.split(sql)
    if len(branches) < _MANY_BRANCHES:
        return sql
    schemas = {path[-1]: str(table.fields) for path, table in found.items()}
    table_name = re.compile("|".join(map(re.escape, sorted(schemas, key=len, reverse=True))))
    kept, shapes = branches[:1], set()
    for branch in branches[1:-1]:
        shape = table_name.sub(lambda match: schemas[match[0]], branch).strip()
        if shape not in shapes or branch.count("(") != branch.count(")"):
            kept.append(branch)
        shapes.add(shape)
    return "UNION ALL".join([*kept, branches[-1]])
