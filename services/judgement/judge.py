"""The one judgement of a night: what every page, the handoff note and the watchdog say of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.core.result import SEVERITY_ORDER, Health, worst
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.flow import judge_batch, judge_conservation, judge_staging, judge_writes
from services.judgement.inputs import judge_inputs
from services.judgement.lines import judge_lines
from services.judgement.players import judge_players, list_details
from services.judgement.rows import judge_rows
from services.judgement.statement import Repair, Statement, Subject


@dataclass(frozen=True)
class NightJudgement:
    """`statements` are worst first; the headline is that of the players, or of the worst statement where players are all active."""

    game_date: date
    health: Health
    headline: str
    details: tuple[str, ...]
    statements: tuple[Statement, ...]
    repair: Repair | None

    def get(self, subject: Subject) -> Statement:
        """The statement of one subject."""
        return next(statement for statement in self.statements if statement.subject is subject)


def judge_night(facts: NightFacts, settings: Settings) -> NightJudgement:
    """Every statement about a night from its facts, and the night's health: green only when each of them is proven."""
    players = judge_players(facts, settings)
    statements = (
        players,
        judge_rows(facts, settings),
        judge_inputs(facts, settings),
        judge_lines(facts),
        judge_conservation(facts),
        judge_writes(facts),
        judge_staging(facts),
        judge_batch(facts),
    )
    ordered = tuple(sorted(statements, key=lambda s: SEVERITY_ORDER.index(s.health)))
    if players.health is Health.NONE_EXPECTED:
        return NightJudgement(facts.game_date, players.health, players.text, (), ordered, None)
    health = worst(s.health for s in statements)
    lead = players if SEVERITY_ORDER.index(players.health) <= SEVERITY_ORDER.index(health) else ordered[0]
    headline = lead.text if lead.is_proven or lead is players else f"{lead.subject}: {lead.text}"
    details = list_details(facts.night.value) if facts.night.value is not None else ()
    return NightJudgement(facts.game_date, health, headline, details, ordered, lead.repair)
