"""Alias edits: additions and deactivations, typed or pasted. Correcting or reversing an alias is one of each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.actions.plan import Params
from services.core.errors import InvalidInput
from services.names.normalization import normalize_registry_name

MAX_EDITS = 200
_CSV_HEADER = re.compile(r"\s*alias(_lookup)?\s*,\s*(nba_)?canonical(_lookup)?\s*$", re.IGNORECASE)
MAX_NAME_LENGTH = 100  # characters of a name, as it is pasted and as it is saved
_LOOKUP_PATTERN = re.compile(rf"[a-z0-9]{{2,{MAX_NAME_LENGTH}}}\Z")
_NAME_SIGNS = frozenset(" .-'’‘`\N{NO-BREAK SPACE}\N{HYPHEN}\N{NON-BREAKING HYPHEN}")
_QUOTED_LENGTH = 60


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


@dataclass(frozen=True)
class ParsedLines:
    """Pasted lines: the addition or the problem of each, by line number; header and empty lines have neither."""

    edits: Mapping[int, Edit]
    problems: Mapping[int, str]

    @property
    def count(self) -> int:
        """How many lines say something."""
        return len(self.edits) + len(self.problems)


def parse_lines(text: str) -> ParsedLines:
    """Additions from pasted `alias, canonical` lines. Names are read by the registry's rule; what is no name is refused."""
    edits: dict[int, Edit] = {}
    problems: dict[int, str] = {}
    numbers: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or _CSV_HEADER.match(line):
            continue
        edit = _parse_line(line)
        if isinstance(edit, str):
            problems[number] = edit
        elif (first := numbers.setdefault((edit.alias, edit.canonical), number)) != number:
            problems[number] = f"duplicates line {first}."
        else:
            edits[number] = edit
    return ParsedLines(edits, problems)


def _parse_line(line: str) -> Edit | str:
    """The addition of a line, or why it has none."""
    parts = [part.strip() for part in line.replace("→", ",").replace("\t", ",").split(",")]
    if len(parts) != 2 or not all(parts):
        return f"expected `alias, canonical`, not {_quote(line)}."
    for part in parts:
        if len(part) > MAX_NAME_LENGTH:
            return f"{_quote(part)} has {len(part):,} characters; at most {MAX_NAME_LENGTH}."
        if not all(letter.isalnum() or letter in _NAME_SIGNS or unicodedata.combining(letter) for letter in part):
            return f"{_quote(part)} has signs that are in no name."
    alias, canonical = (normalize_registry_name(part) for part in parts)
    if not alias or not canonical:
        return f"{_quote(line)} has a name without letters."
    return Edit(EditKind.ADD, alias, canonical, parts[0] if parts[0] != alias else "")


def _quote(text: str) -> str:
    text = text.strip()
    return f"“{text[:_QUOTED_LENGTH]}{'…' if len(text) > _QUOTED_LENGTH else ''}”"


def to_params(edits: Iterable[Edit]) -> dict[str, Any]:
    """The edits as parameters of an action type."""
    return {"edits": [asdict(edit) for edit in edits]}


def from_params(params: Params) -> tuple[Edit, ...]:
    items = params.get("edits")
    if not isinstance(items, list) or not items:
        raise InvalidInput("Select at least one alias.", "Accept a suggestion or paste a line.")
    if len(items) > MAX_EDITS:
        raise InvalidInput(
            f"{len(items)} changes at once; at most {MAX_EDITS} are saved together.", "Save them in parts."
        )
    try:
        edits = tuple(Edit(**{**item, "do": EditKind(item["do"])}) for item in items)
    except (TypeError, KeyError, ValueError):
        raise InvalidInput("Invalid edit format.", "Use the form.") from None
    for edit in edits:
        if edit.do is EditKind.ADD and not (
            _LOOKUP_PATTERN.match(edit.alias) and _LOOKUP_PATTERN.match(edit.canonical)
        ):
            raise InvalidInput(
                f"{edit.alias!r} → {edit.canonical!r}: a lookup key has 2 to {MAX_NAME_LENGTH} of a–z and 0–9.",
                "Nothing was saved.",
            )
    pairs = [(edit.alias, edit.canonical) for edit in edits]
    if duplicate := next((pair for pair in pairs if pairs.count(pair) > 1), None):
        raise InvalidInput(f"Duplicate edit {duplicate[0]} → {duplicate[1]}.", "Keep one of them.")
    return edits
