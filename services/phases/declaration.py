"""The steps before and after the predictions: each is one file in queries/phases, a query with its declaration in the header.

A line `-- @step field  value` declares: order (where it stands), title, phase, owner, unit (of what is counted) and due (the time
of day in US Eastern by which it is done; `+1 07:00` is the next day). Further fields:

- parts: what the column `parts` lists, compared with the teams of the schedule
- usual_pct: how much of the usual count is enough, in percent; without it the setting INPUTS_USUAL_PCT; 0: any
- allowed: `0..20`, of a quality step: in percent of the column `total`, or in units where there is no such column
- processor: its name in processor_run_history; service: whose log has its errors; fix: the command that does the step again,
  with {date}, {project} and {region}

The query returns a row per game date: `game_date`, `found`, `done_at` (its newest row), and `total` or `parts` where declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

from services.core.clock import ET
from services.core.errors import CatalogError
from services.core.settings import Settings
from services.gcp.query_catalog import QUERIES_DIR

FOLDER = "phases"
_FIELD = re.compile(r"^-- @step (\S+)(?:  ?(.*))?$", re.MULTILINE)
_DUE = re.compile(r"(?:\+(\d) )?(\d\d):(\d\d)")
_ALLOWED = re.compile(r"(\d+)\.\.(\d+)")
_REQUIRED = ("order", "title", "phase", "owner", "unit", "due")
_OPTIONAL = ("parts", "usual_pct", "allowed", "processor", "service", "fix")


class Phase(StrEnum):
    """Where a step stands: before the predictions, after them, or beside them, judging what they are made of."""

    BEFORE = "before"
    AFTER = "after"
    QUALITY = "quality"


@dataclass(frozen=True)
class Step:
    """One step. `due` is counted from midnight, US Eastern, of the game date; `allowed` is a range, both ends included."""

    name: str
    order: int
    title: str
    phase: Phase
    owner: str
    unit: str
    due: timedelta
    parts: str = ""
    usual_pct: float | None = None
    allowed: tuple[int, int] | None = None
    processor: str = ""
    service: str = ""
    fix: str = ""

    @property
    def query(self) -> str:
        """The name of its query in the catalog."""
        return f"{FOLDER}.{self.name}"

    def due_at(self, game_date: date) -> datetime:
        """When it is due for a game date: a time of day on New York's clocks, also on the day of a clock change."""
        midnight = datetime.combine(game_date, time()) + self.due
        return midnight.replace(tzinfo=ET)

    def fix_command(self, settings: Settings, game_date: date) -> str:
        """The command that does the step again for a game date; "" where none is declared."""
        return self.fix.format(date=game_date, project=settings.project, region=settings.region)


def parse_step(name: str, text: str) -> Step:
    """The step of a file's text; raises CatalogError, which names file and field, when its declaration is wrong."""
    fields: dict[str, str] = {}
    for field, value in _FIELD.findall(text):
        if field not in (*_REQUIRED, *_OPTIONAL):
            raise _wrong(name, field, f"is not known; known are {', '.join((*_REQUIRED, *_OPTIONAL))}")
        if field in fields:
            raise _wrong(name, field, "is declared twice")
        fields[field] = value.strip()
    for field in _REQUIRED:
        if not fields.get(field):
            raise _wrong(name, field, "is missing")
    if fields["phase"] not in list(Phase):
        raise _wrong(name, "phase", f"is {fields['phase']!r}, not one of {', '.join(Phase)}")
    return Step(
        name=name,
        order=_parse_number(name, fields, "order"),
        title=fields["title"],
        phase=Phase(fields["phase"]),
        owner=fields["owner"],
        unit=fields["unit"],
        due=_parse_due(name, fields["due"]),
        parts=fields.get("parts", ""),
        usual_pct=_parse_number(name, fields, "usual_pct") if "usual_pct" in fields else None,
        allowed=_parse_allowed(name, fields),
        processor=fields.get("processor", ""),
        service=fields.get("service", ""),
        fix=_parse_fix(name, fields.get("fix", "")),
    )


def _parse_number(name: str, fields: Mapping[str, str], field: str) -> int:
    if not fields[field].isascii() or not fields[field].isdigit():
        raise _wrong(name, field, f"is {fields[field]!r}, not a whole number")
    return int(fields[field])


def _parse_due(name: str, text: str) -> timedelta:
    match = _DUE.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise _wrong(name, "due", f"is {text!r}, not a time such as 11:30, or +1 07:00 for the next day")
    return timedelta(days=int(match[1] or 0), hours=int(match[2]), minutes=int(match[3]))


def _parse_allowed(name: str, fields: Mapping[str, str]) -> tuple[int, int] | None:
    is_quality = fields["phase"] == Phase.QUALITY
    if is_quality != ("allowed" in fields):
        raise _wrong(name, "allowed", "is missing" if is_quality else "is only of a quality step")
    if not is_quality:
        return None
    match = _ALLOWED.fullmatch(fields["allowed"])
    if match is None or int(match[1]) > int(match[2]):
        raise _wrong(name, "allowed", f"is {fields['allowed']!r}, not a range such as 0..20")
    return int(match[1]), int(match[2])


def _parse_fix(name: str, text: str) -> str:
    try:
        text.format(date="", project="", region="")
    except (LookupError, ValueError):
        raise _wrong(name, "fix", "has a placeholder other than {date}, {project} and {region}") from None
    return text


def _wrong(name: str, field: str, problem: str) -> CatalogError:
    return CatalogError(f"queries/{FOLDER}/{name}.sql: the field {field!r} {problem}.")


@cache
def load_steps(folder: Path = QUERIES_DIR / FOLDER) -> tuple[Step, ...]:
    """Every declared step, in order; raises CatalogError."""
    steps = [parse_step(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]
    return tuple(sorted(steps, key=lambda step: step.order))
