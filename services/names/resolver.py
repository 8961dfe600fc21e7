"""Resolves a name: to itself, else through one alias, else not at all; queries/parts/name_resolution.sql agrees."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class ResolutionMethod(StrEnum):
    """The way by which a name is resolved; the values are those of the SQL."""

    EXACT = "exact"
    ALIAS = "through an alias"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class Resolution:
    """The resolution of one name. `lookup` is None when it does not resolve."""

    method: ResolutionMethod
    lookup: str | None


def resolve(name: str, known_lookups: Collection[str], aliases: Mapping[str, Collection[str]]) -> Resolution:
    """Resolve `name` among `known_lookups`. `aliases`: each active alias with its canonical names.

    One hop and no further, so that a chain or a cycle is never followed; an alias of two canonicals, or of itself, does not resolve.
    """
    if name in known_lookups:
        return Resolution(ResolutionMethod.EXACT, name)
    canonicals = set(aliases.get(name, ())) - {name}
    if len(canonicals) == 1 and (canonical := canonicals.pop()) in known_lookups:
        return Resolution(ResolutionMethod.ALIAS, canonical)
    return Resolution(ResolutionMethod.UNRESOLVED, None)
