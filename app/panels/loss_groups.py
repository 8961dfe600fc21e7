"""Missing players by reason: what a whole group has in common is said once, and each row leads to its player."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import streamlit as st

from app.components.html_table import Column, Link, table_html
from app.state import session
from services.core.text import pluralize, to_printable
from services.nights.missing_players import REASONS_BY_SEVERITY, MissingPlayer

_COLUMNS = (
    Column("Player"),
    Column("Team", minor=True),
    Column("Opponent", minor=True),
    Column("Evidence", grows=True),
    Column("Lookup key", minor=True),
    Column("Batch ID", minor=True),
)


def render(entries: Sequence[MissingPlayer]) -> None:
    """A table for each reason, the worst first."""
    ordered = sorted(entries, key=lambda entry: REASONS_BY_SEVERITY.index(entry.reason))
    for _, group in groupby(ordered, key=lambda entry: entry.reason):
        st.html(to_html(tuple(group)))


def to_html(group: Sequence[MissingPlayer]) -> str:
    """The players of one reason under its stage, its fix and the evidence that they share."""
    first = group[0]
    common, evidence = split_evidence([entry.evidence for entry in group])
    notes = [f"Dropped at: {first.dropped_at}", common, f"Suggested fix: {first.repair}"]
    rows = [
        (
            Link(entry.player.player_name or entry.player.player_lookup, "player", _player_params(entry)),
            entry.player.team,
            entry.player.opponent,
            own,
            entry.player.player_lookup,
            entry.player.batch_id,
        )
        for entry, own in zip(group, evidence, strict=True)
    ]
    title = f"{pluralize(len(group), 'player')}: {first.reason}"
    text = escape(to_printable(" · ".join(filter(None, notes))))
    return f'<div class="losses"><h3>{escape(title)}</h3><p>{text}</p>{table_html(_COLUMNS, rows, title)}</div>'


def split_evidence(evidence: Sequence[str]) -> tuple[str, list[str]]:
    """What all of several have in common, "" without it, and what is left of each."""
    if len(evidence) > 1 and len(set(evidence)) == 1:
        return evidence[0], [""] * len(evidence)
    tails = {text.partition(" · ")[2] for text in evidence}
    if len(evidence) > 1 and len(tails) == 1 and tails != {""}:
        return tails.pop(), [text.partition(" · ")[0] for text in evidence]
    return "", list(evidence)


def _player_params(entry: MissingPlayer) -> dict[str, str]:
    return {**session.link_params(), "player": entry.player.player_lookup}
