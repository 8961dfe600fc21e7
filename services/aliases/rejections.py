"""Matches that a person has judged wrong: an inactive alias row whose note has the reason, and the action that recorded it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from services.names.registry import Alias, NameRegistry

_NOTE = re.compile(r"Not the same player, by action (?P<action_id>\w+): (?P<reason>.*)", re.DOTALL)


@dataclass(frozen=True)
class Rejection:
    """Two names, or two player ids, that are not the same player: why, by whom and since when."""

    alias: str
    canonical: str
    reason: str
    rejected_by: str
    at: datetime | None
    action_id: str


def rejection_note(action_id: str, reason: str) -> str:
    """The note of the alias row that records a rejection."""
    return f"Not the same player, by action {action_id}: {reason}"


def read_rejection(row: Alias) -> Rejection | None:
    """The rejection that an alias row records; None for an alias."""
    match = None if row.active else _NOTE.fullmatch(row.notes or "")
    if match is None:
        return None
    return Rejection(row.alias, row.canonical, match["reason"], row.created_by, row.processed_at, match["action_id"])


def list_rejections(registry: NameRegistry) -> tuple[Rejection, ...]:
    """Every rejected match, by name."""
    return tuple(rejection for row in registry.aliases if (rejection := read_rejection(row)) is not None)


def rejected_pairs(registry: NameRegistry) -> frozenset[tuple[str, str]]:
    """The pairs that are not to be suggested again."""
    return frozenset((rejection.alias, rejection.canonical) for rejection in list_rejections(registry))
