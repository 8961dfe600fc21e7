"""What is wanted of aliases: additions and deactivations, typed or pasted; correcting and turning round are both at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from services.actions.verb import Facts
from services.core.errors import BadInput
from services.names.normalization import shared_lookup

MOST_AT_ONCE = 200
_HEADER = re.compile(r"\s*alias(_lookup)?\s*,\s*(nba_)?canonical(_lookup)?\s*$", re.IGNORECASE)
_LOOKUP = re.compile(r"[a-z0-9]{2,80}$")


class Do(StrEnum):
    """What is wanted of one alias. Correcting and turning round are a deactivation and an addition in one save."""

    ADD = "add"
    DEACTIVATE = "deactivate"


@dataclass(frozen=True)
class Edit:
    do: Do
    alias: str
    canonical: str
    alias_display: str = ""  # as people write it; empty: the registry's way, or the lookup itself


def turn_round(alias: str, canonical: str) -> tuple[Edit, Edit]:
    return Edit(Do.DEACTIVATE, alias, canonical), Edit(Do.ADD, canonical, alias)


def correct(alias: str, wrong: str, right: str) -> tuple[Edit, Edit]:
    return Edit(Do.DEACTIVATE, alias, wrong), Edit(Do.ADD, alias, right)


def with_turns(edits: Iterable[Edit], active: Mapping[str, Collection[str]]) -> tuple[Edit, ...]:
    """The edits, with each addition whose other direction is active made a turning round."""
    turned: list[Edit] = []
    for edit in edits:
        if edit.do is Do.ADD and edit.alias in active.get(edit.canonical, ()):
            turned.append(Edit(Do.DEACTIVATE, edit.canonical, edit.alias))
        turned.append(edit)
    return tuple(dict.fromkeys(turned))


def parse(text: str) -> tuple[Edit, ...]:
    """Additions from pasted `alias,canonical` lines; raises BadInput naming the first line that is not one."""
    return tuple(parse_lines(text).values())


def parse_lines(text: str) -> Mapping[int, Edit]:
    """The same by line number. A header and empty lines are passed over."""
    edits: dict[int, Edit] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or _HEADER.match(line):
            continue
        parts = [part.strip() for part in line.replace("→", ",").replace("\t", ",").split(",")]
        if len(parts) != 2 or not all(parts):
            raise BadInput(f"Line {number} is not `alias,canonical`: {line.strip()[:80]!r}.", "Nothing was taken over.")
        alias, canonical = (shared_lookup(part) for part in parts)
        if not alias or not canonical:
            raise BadInput(f"Line {number} has a name without letters: {line.strip()[:80]!r}.", "Nothing was saved.")
        edit = Edit(Do.ADD, alias, canonical, parts[0] if parts[0] != alias else "")
        first = next((n for n, e in edits.items() if (e.alias, e.canonical) == (alias, canonical)), None)
        if first is not None:
            raise BadInput(f"Line {number} says the same as line {first}: {line.strip()[:80]!r}.", "Keep one of them.")
        edits[number] = edit
    if not edits:
        raise BadInput("No line names an alias.", "Paste lines like `herbjones,herbertjones`.")
    return edits


def as_args(edits: Iterable[Edit]) -> dict[str, Any]:
    """The edits as a verb takes them."""
    return {"edits": [asdict(edit) for edit in edits]}


def edits_of(args: Facts) -> tuple[Edit, ...]:
    told = args.get("edits")
    if not isinstance(told, list) or not told:
        raise BadInput("No alias was chosen; nothing chosen never means all.", "Add at least one line.")
    if len(told) > MOST_AT_ONCE:
        raise BadInput(f"{len(told)} edits at once; at most {MOST_AT_ONCE} are saved together.", "Save them in parts.")
    try:
        edits = tuple(Edit(**{**each, "do": Do(each["do"])}) for each in told)
    except (TypeError, KeyError, ValueError):
        raise BadInput("An edit is not written as this desk writes them.", "Use the form.") from None
    for edit in edits:
        if edit.do is Do.ADD and not (_LOOKUP.match(edit.alias) and _LOOKUP.match(edit.canonical)):
            raise BadInput(
                f"{edit.alias!r} → {edit.canonical!r} are not both lookups: a–z and 0–9 only.", "Nothing was saved."
            )
    pairs = [(edit.alias, edit.canonical) for edit in edits]
    if twice := next((pair for pair in pairs if pairs.count(pair) > 1), None):
        raise BadInput(f"{twice[0]} → {twice[1]} stands twice among the edits.", "Keep one of them.")
    return edits
