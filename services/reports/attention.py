"""What needs a person beside the headline: the statements and signals that are not in order, worst first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.core.result import SEVERITY_ORDER, Health
from services.judgement.judge import NightJudgement
from services.judgement.players import LOSS_PHRASES
from services.judgement.statement import Statement, Subject
from services.nights.missing_players import LossReason
from services.reports.overview import Signal


@dataclass(frozen=True)
class AttentionItem:
    """One line to act on: what is so, what else is known of it, and the page where it is fixed or seen."""

    health: Health
    title: str
    detail: str
    page: str  # file name in pages/ without .py


def list_attention(judgement: NightJudgement, signals: Sequence[Signal]) -> tuple[AttentionItem, ...]:
    """Worst first; without what the headline says: its statement, and rejected writes where they are its cause."""
    items = [
        _to_item(s.health, str(s.subject), s.sentence, s.page)
        for s in judgement.statements
        if not s.is_proven and not _is_in_headline(s, judgement.lead)
    ]
    items += [
        _to_item(signal.health, signal.name, signal.text, signal.page)
        for signal in signals
        if signal.health not in (Health.OK, Health.NONE_EXPECTED)
    ]
    return tuple(sorted(items, key=lambda item: SEVERITY_ORDER.index(item.health)))


def _is_in_headline(statement: Statement, lead: Statement) -> bool:
    is_cause = statement.subject is Subject.WRITES and lead.cause.endswith(LOSS_PHRASES[LossReason.WRITE_REJECTED])
    return statement is lead or is_cause


def _to_item(health: Health, name: str, sentence: str, page: str) -> AttentionItem:
    """The first part of a sentence is what is so; a name before it and what follows it are its detail."""
    first, _, rest = sentence.partition("; ")
    subject, _, what = (
        first.rpartition(": ") if ": " in first and " " not in first.partition(": ")[0] else ("", "", first)
    )
    detail = " · ".join(filter(None, (name, subject, rest)))
    return AttentionItem(health, f"{what[:1].upper()}{what[1:]}", detail, page)
