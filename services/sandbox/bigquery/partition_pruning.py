"""Which date partitions a statement must scan, from comparisons of the partitioning column with constants or parameters.

Only what BigQuery documents as pruning prunes here (cloud.google.com/bigquery/docs/using-dml-with-partitioned-tables):

    SELECT, UPDATE, DELETE, a subquery   comparisons in WHERE that every row must satisfy
    the target of a MERGE                comparisons in each `WHEN … AND` that reads its rows. With WHEN NOT MATCHED also in ON, which
                                         alone "may or may not" prune; WHEN NOT MATCHED together with BY SOURCE only under ON FALSE

Anything else scans the whole table.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

_OPERATORS: tuple[tuple[type[exp.Expr], str, str], ...] = (  # operator as written, and with its sides swapped
    (exp.EQ, "==", "=="),
    (exp.GTE, ">=", "<="),
    (exp.GT, ">", "<"),
    (exp.LTE, "<=", ">="),
    (exp.LT, "<", ">"),
)
# A bound may lie within a day, so that day is always scanned.
_DAY_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.ge,
    "<=": operator.le,
    "<": operator.le,
}


@dataclass(frozen=True)
class Bound:
    """A comparison of a column with a constant or with a named parameter."""

    column: str
    operator: str
    value: str = ""
    parameter: str = ""


@dataclass(frozen=True)
class TableReference:
    """One reference to a table in a statement, with the bounds its rows must satisfy."""

    table: str
    bounds: tuple[Bound, ...]
    changed: bool = False  # by UPDATE, DELETE or such a clause of a MERGE


def find_table_references(tree: exp.Expr, qualified_name: Callable[[exp.Table], str]) -> tuple[TableReference, ...]:
    """Every reference to a table in the statement; the target of a MERGE once for each clause that reads its rows."""
    return tuple(
        TableReference(qualified_name(table), bounds, _is_changed(table))
        for table in tree.find_all(exp.Table)
        for bounds in _bounds(table)
    )


def _is_changed(table: exp.Table) -> bool:
    statement = table.parent
    if not isinstance(statement, exp.Merge | exp.Update | exp.Delete) or statement.this is not table:
        return False
    return not isinstance(statement, exp.Merge) or any(
        not isinstance(when.args["then"], exp.Insert) for when in statement.args["whens"].expressions
    )


def _bounds(table: exp.Table) -> Iterator[tuple[Bound, ...]]:
    """The bounds of each reading of the table."""
    if isinstance(table.parent, exp.Merge) and table.parent.this is table:
        return _merge_target_bounds(table.parent, table.alias_or_name)
    owner = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
    where = owner.args.get("where") if owner is not None else None
    return iter([tuple(_parse_condition(where.this if where is not None else None, table.alias_or_name))])


def _merge_target_bounds(merge: exp.Merge, alias: str) -> Iterator[tuple[Bound, ...]]:
    on, whens = merge.args["on"], merge.args["whens"].expressions
    reading = [when for when in whens if when.args["matched"] or when.args["source"]]
    clauses = [tuple(_parse_condition(when.args["condition"], alias)) for when in reading]
    never_matches = isinstance(on, exp.Boolean) and not on.this
    if not reading or (len(reading) == len(whens) or never_matches):
        yield from clauses or [()]
    elif any(when.args["source"] for when in reading):  # a full outer join
        yield ()
    else:  # a row that ON matches is not inserted, whatever WHEN says of it
        confirmed = set.intersection(*({bound.column for bound in clause} for clause in clauses))
        yield tuple(bound for bound in _parse_condition(on, alias) if bound.column in confirmed)


def _parse_condition(condition: exp.Expr | None, alias: str) -> Iterator[Bound]:
    """What a condition says of the columns of one table; those that are named without a table count as its own."""
    parts = condition.flatten() if isinstance(condition, exp.And) else [condition]
    for part in parts:
        if isinstance(part, exp.Between):
            yield from _parse_bound(alias, part.this, ">=", part.args["low"])
            yield from _parse_bound(alias, part.this, "<=", part.args["high"])
        for kind, direct, swapped in _OPERATORS:
            if type(part) is kind:
                yield from _parse_bound(alias, part.this, direct, part.expression)
                yield from _parse_bound(alias, part.expression, swapped, part.this)


def _parse_bound(alias: str, column: exp.Expr, operator: str, value: exp.Expr) -> Iterator[Bound]:
    if not isinstance(column, exp.Column) or column.table.lower() not in ("", alias.lower()):
        return
    value = value.this if isinstance(value, exp.Cast | exp.Paren | exp.Date) else value
    if isinstance(value, exp.Parameter):
        yield Bound(column.name.lower(), operator, parameter=value.name.lower())
    elif isinstance(value, exp.Literal) and value.is_string:
        yield Bound(column.name.lower(), operator, value=value.this)


def processed_fraction(
    references: Sequence[TableReference],
    column: str,
    rows_by_day: Mapping[str, int],
    parameters: Mapping[str, str],
    columns_read: float = 1.0,
) -> float:
    """How much a statement processes of a table, as a multiple of its bytes, when it reads `columns_read` (0–1) of each row.

    Of a table that it changes also all columns of the partitions that it may change: q' + t' of "On-demand query size calculation"
    (cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax).
    """
    read = columns_read * scanned_fraction(references, column, rows_by_day, parameters)
    changed = [reference for reference in references if reference.changed]
    return read + (scanned_fraction(changed, column, rows_by_day, parameters) if changed else 0)


def scanned_fraction(
    references: Sequence[TableReference], column: str, rows_by_day: Mapping[str, int], parameters: Mapping[str, str]
) -> float:
    """The fraction (0–1) of a table's rows in the days that these references must scan."""
    total = sum(rows_by_day.values())
    if not total or not references:
        return 1.0
    days = {day for reference in references for day in rows_by_day if _must_scan(day, reference, column, parameters)}
    return sum(rows_by_day[day] for day in days) / total


def _must_scan(day: str, reference: TableReference, column: str, parameters: Mapping[str, str]) -> bool:
    for bound in reference.bounds:
        value = parameters.get(bound.parameter, "") if bound.parameter else bound.value
        if bound.column == column and value and not _DAY_COMPARISONS[bound.operator](day, value[:10]):
            return False
    return True


def query_parameters(query: Mapping[str, Any]) -> dict[str, str]:
    """The scalar parameters of a query's configuration, by lower-case name."""
    return {
        str(parameter.get("name", "")).lower(): str(parameter.get("parameterValue", {}).get("value") or "")
        for parameter in query.get("queryParameters") or ()
    }
