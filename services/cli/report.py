"""What a command answers: one report, printed as aligned text or as JSON from the same rows. None is unknown, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from services.core.clock import format_eastern
from services.core.result import DataSource, Health, Problem

Row = Mapping[str, object]  # column → value as read; None where it is unknown
OK_CODE, TROUBLE_CODE, USAGE_CODE, UNKNOWN_CODE, INTERRUPTED_CODE = 0, 1, 2, 3, 130
_CODE_BY_HEALTH = {
    Health.OK: OK_CODE,
    Health.NONE_EXPECTED: OK_CODE,
    Health.WARNING: TROUBLE_CODE,
    Health.CRITICAL: TROUBLE_CODE,
    Health.UNKNOWN: UNKNOWN_CODE,
}


@dataclass(frozen=True)
class Table:
    """Rows of one kind, each with the same columns; `empty` is the sentence in place of none."""

    name: str
    rows: tuple[Row, ...]
    empty: str


@dataclass(frozen=True)
class Report:
    """One answer. `label` stands in place of the health's word; `document` is printed as it is, in place of the tables."""

    title: str
    health: Health
    headline: str
    details: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    problems: tuple[Problem, ...] = ()  # why something is unknown, old or partial
    sources: tuple[DataSource, ...] = ()
    label: str = ""
    document: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)  # further values, in JSON only

    @property
    def exit_code(self) -> int:
        """0 in order, 1 a warning or critical, 3 unknown."""
        return _CODE_BY_HEALTH[self.health]

    def to_json(self) -> dict[str, Any]:
        """The report as what JSON can hold: times in ISO 8601, unknown as null."""
        return {
            "title": self.title,
            "health": str(self.health),
            "headline": self.headline,
            "details": list(self.details),
            **{table.name: [_to_json(row) for row in table.rows] for table in self.tables},
            **({"document": self.document} if self.document else {}),
            **{name: _to_json(value) for name, value in self.facts.items()},
            "problems": [
                {"source": p.source, "since": p.since.isoformat(), "message": p.message, "hint": p.hint}
                for p in self.problems
            ],
            "sources": [
                {"name": s.name, "read_at": s.read_at.isoformat(), "bytes_billed": s.bytes_billed, "detail": s.detail}
                for s in self.sources
            ],
        }


def _to_json(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_json(part) for part in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, StrEnum) or not isinstance(value, str | int | float | bool | None) else value


def format_cell(column: str, value: object) -> str:
    """A value for a reader: unknown, yes or no, 1,700, 43.0, 29 Dec 18:52 ET; what happened "at" a time with its seconds."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return format_eastern(value, "%-d %b %H:%M:%S" if column == "at" else "%-d %b %H:%M")
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
