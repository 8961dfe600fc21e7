"""What the limits need to know of a SQL statement: its kind, target table and source tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sandbox.bigquery.partition_pruning import TableReference, find_table_references

MUTATING_KINDS = {"UPDATE", "DELETE", "MERGE"}
DDL_KINDS = {"CREATE", "ALTER", "TRUNCATE"}
_FIRST_KEYWORD = re.compile(r"\s*(?:--[^\n]*\n\s*)*(\w+)", re.ASCII)
_DELETE_WITHOUT_FROM = re.compile(r"^(\s*DELETE\s+)(?!FROM\b)", re.IGNORECASE)  # sqlglot loses the table of DELETE t
_TABLE_PATTERN = re.compile(r"\b(?:FROM|JOIN)\s+`?([\w.-]+)`?", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """`kind` as BigQuery names statement types; `target` and `tables` as dataset.table."""

    kind: str
    target: str
    tables: tuple[str, ...]
    table_references: tuple[TableReference, ...] = ()  # every reference, with its partition bounds
    columns: frozenset[str] = frozenset("*")  # lower-case names of the columns read; "*" means all

    @property
    def billed_tables(self) -> tuple[str, ...]:
        """The tables a statement scans: MERGE, UPDATE and DELETE also scan their target, INSERT and CREATE only their source."""
        if self.kind in {"DROP", "ALTER", "TRUNCATE"}:
            return ()
        excluded = self.target if self.kind in {"INSERT", "CREATE"} else ""
        return tuple(table for table in self.tables if table != excluded)

    @property
    def is_dml(self) -> bool:
        return self.kind in MUTATING_KINDS or self.kind == "INSERT"


@lru_cache(maxsize=2_000)
def inspect_sql(sql: str) -> Statement:
    """Parse one statement; one that does not parse is classified by its first keyword and left to the emulator."""
    first = (_FIRST_KEYWORD.match(sql) or [""])[0].split()[-1:] or [""]
    kind = first[0].upper()
    if kind in {"DECLARE", "BEGIN", "CALL", "IF", "SET", "EXECUTE"}:
        return Statement("SCRIPT", "", tuple(dict.fromkeys(_find_table_names(sql))))
    try:
        tree = sqlglot.parse_one(_DELETE_WITHOUT_FROM.sub(r"\1FROM ", sql), read="bigquery")
    except (SqlglotError, RecursionError):
        return Statement(
            "SELECT" if kind in {"WITH", "SELECT"} else kind, "", tuple(dict.fromkeys(_find_table_names(sql)))
        )
    return _inspect_tree(tree)


def _inspect_tree(tree: exp.Expr) -> Statement:
    aliases = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    tables = tuple(
        dict.fromkeys(
            _qualified_name(table)
            for table in tree.find_all(exp.Table)
            if table.db or table.name.lower() not in aliases
        )
    )
    qualified = tuple(t for t in tables if "." in t)
    return Statement(
        _statement_kind(tree),
        _target_table(tree),
        qualified,
        find_table_references(tree, _qualified_name),
        _column_names(tree),
    )


def _column_names(tree: exp.Expr) -> frozenset[str]:
    """The columns a statement reads; a star outside COUNT(*) reads all."""
    starred = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
    return frozenset({"*"} if starred else {column.name.lower() for column in tree.find_all(exp.Column)})


def _statement_kind(tree: exp.Expr) -> str:
    kinds: tuple[tuple[type[exp.Expr], str], ...] = (
        (exp.Merge, "MERGE"),
        (exp.Insert, "INSERT"),
        (exp.Update, "UPDATE"),
        (exp.Delete, "DELETE"),
        (exp.Create, "CREATE"),
        (exp.Drop, "DROP"),
        (exp.Alter, "ALTER"),
        (exp.TruncateTable, "TRUNCATE"),
        (exp.Query, "SELECT"),
    )
    return next((name for kind, name in kinds if isinstance(tree, kind)), "OTHER")


def _target_table(tree: exp.Expr) -> str:
    if isinstance(tree, exp.TruncateTable):
        return _qualified_name(tree.expressions[0])
    if not isinstance(tree, exp.Merge | exp.Insert | exp.Update | exp.Delete | exp.Create | exp.Drop | exp.Alter):
        return ""
    table = tree.this.find(exp.Table) if tree.this is not None else None
    return _qualified_name(table) if table is not None else ""


def _qualified_name(table: exp.Table) -> str:
    parts = [part for part in (table.db, table.name) if part]
    return ".".join(parts).replace("`", "")


def _find_table_names(sql: str) -> list[str]:
    return [".".join(name.split(".")[-2:]) for name in _TABLE_PATTERN.findall(sql) if "." in name]
