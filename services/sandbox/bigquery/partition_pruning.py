"""Which date partitions a statement must scan, from its WHERE on the partitioning column (constants or parameters).

As in BigQuery, only comparisons that every row must satisfy prune partitions; anything else scans the whole table.
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


def find_table_references(tree: exp.Expr, qualified_name: Callable[[exp.Table], str]) -> tuple[TableReference, ...]:
    """Every reference to a table in the statement."""
    return tuple(TableReference(qualified_name(table), tuple(_bounds(table))) for table in tree.find_all(exp.Table))


def _bounds(table: exp.Table) -> Iterator[Bound]:
    owner = table.find_ancestor(exp.Select, exp.Update, exp.Delete)
    where = owner.args.get("where") if owner is not None else None
    if where is None:
        return
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    for part in parts:
        if isinstance(part, exp.Between):
            yield from _parse_bound(part.this, ">=", part.args["low"])
            yield from _parse_bound(part.this, "<=", part.args["high"])
        for kind, direct, swapped in _OPERATORS:
            if type(part) is kind:
                yield from _parse_bound(part.this, direct, part.expression)
                yield from _parse_bound(part.expression, swapped, part.this)


def _parse_bound(column: exp.Expr, operator: str, value: exp.Expr) -> Iterator[Bound]:
    if not isinstance(column, exp.Column):
        return
    value = value.this if isinstance(value, exp.Cast | exp.Paren | exp.Date) else value
    if isinstance(value, exp.Parameter):
        yield Bound(column.name.lower(), operator, parameter=value.name.lower())
    elif isinstance(value, exp.Literal) and value.is_string:
        yield Bound(column.name.lower(), operator, value=value.this)


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
