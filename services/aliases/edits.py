"""Alias edits: additions and deactivations, typed or pasted. Correcting or reversing an alias is one of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.actions.plan import Params
from services.core.errors import InvalidInput
from services.names.normalization import normalize_registry_name

MAX_EDITS = 200
_CSV_HEADER = re.compile(r"\s*alias(_lookup)?\s*,\s*(nba_)?canonical(_lookup)?\s*$", re.IGNORECASE)
_LOOKUP_PATTERN = re.compile(r"[a-z0-9]{2,80}$")


class EditKind(StrEnum):
    """What to do with one alias. Correcting and reversing are a deactivation and an addition in one save."""

    ADD = "add"
    DEACTIVATE = "deactivate"


@dataclass(frozen=True)
class Edit:
    do: EditKind
    alias: str
    canonical: str
    alias_display: str = ""  # as people write it; empty: as the registry writes it, else the lookup itself


def reverse(alias: str, canonical: str) -> tuple[Edit, Edit]:
    return Edit(EditKind.DEACTIVATE, alias, canonical), Edit(EditKind.ADD, canonical, alias)


def replace_canonical(alias: str, old_canonical: str, new_canonical: str) -> tuple[Edit, Edit]:
    return Edit(EditKind.DEACTIVATE, alias, old_canonical), Edit(EditKind.ADD, alias, new_canonical)


def reverse_conflicting(edits: Iterable[Edit], active: Mapping[str, Collection[str]]) -> tuple[Edit, ...]:
    """The edits, where each addition whose reverse is active also deactivates that reverse."""
    expanded: list[Edit] = []
    for edit in edits:
        if edit.do is EditKind.ADD and edit.alias in active.get(edit.canonical, ()):
            expanded.append(Edit(EditKind.DEACTIVATE, edit.canonical, edit.alias))
        expanded.append(edit)
    return tuple(dict.fromkeys(expanded))


def parse_lines(text: str) -> Mapping[int, Edit]:
    """Additions from pasted `alias,canonical` lines, by line number; a header and empty lines are skipped.

    Raises InvalidInput naming the first line that is not one, or that repeats another.
    """
    edits: dict[int, Edit] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or _CSV_HEADER.match(line):
            continue
        parts = [part.strip() for part in line.replace("→", ",").replace("\t", ",").split(",")]
        if len(parts) != 2 or not all(parts):
            raise InvalidInput(
                f"Line {number} is not `alias,canonical`: {line.strip()[:80]!r}.", "Nothing was taken over."
            )
        alias, canonical = (normalize_registry_name(part) for part in parts)
        if not alias or not canonical:
            raise InvalidInput(
                f"Line {number} has a name without letters: {line.strip()[:80]!r}.", "Nothing was saved."
            )
        edit = Edit(EditKind.ADD, alias, canonical, parts[0] if parts[0] != alias else "")
        first_line = next((n for n, e in edits.items() if (e.alias, e.canonical) == (alias, canonical)), None)
        if first_line is not None:
            raise InvalidInput(
                f"Line {number} says the same as line {first_line}: {line.strip()[:80]!r}.", "Keep one of them."
            )
        edits[number] = edit
    if not edits:
        raise InvalidInput("No line names an alias.", "Paste lines like `herbjones,herbertjones`.")
    return edits


def to_params(edits: Iterable[Edit]) -> dict[str, Any]:
    """The edits as parameters of an action type."""
    return {"edits": [asdict(edit) for edit in edits]}


def from_params(params: Params) -> tuple[Edit, ...]:
    items = params.get("edits")
    if not isinstance(items, list) or not items:
        raise InvalidInput("No alias was chosen; nothing chosen never means all.", "Add at least one line.")
    if len(items) > MAX_EDITS:
        raise InvalidInput(
            f"{len(items)} edits at once; at most {MAX_EDITS} are saved together.", "Save them in parts."
        )
    try:
        edits = tuple(Edit(**{**item, "do": EditKind(item["do"])}) for item in items)
    except (TypeError, KeyError, ValueError):
        raise InvalidInput("An edit is not written as this desk writes them.", "Use the form.") from None
    for edit in edits:
        if edit.do is EditKind.ADD and not (
            _LOOKUP_PATTERN.match(edit.alias) and _LOOKUP_PATTERN.match(edit.canonical)
        ):
            raise InvalidInput(
                f"{edit.alias!r} → {edit.canonical!r} are not both lookups: a–z and 0–9 only.", "Nothing was saved."
            )
    pairs = [(edit.alias, edit.canonical) for edit in edits]
    if duplicate := next((pair for pair in pairs if pairs.count(pair) > 1), None):
        raise InvalidInput(f"{duplicate[0]} → {duplicate[1]} stands twice among the edits.", "Keep one of them.")
    return edits
