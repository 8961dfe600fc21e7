"""The one judgement of a night: what every page, the handoff note and the watchdog say of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from services.core.result import SEVERITY_ORDER, DataSource, Health
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.flow import judge_batch, judge_conservation, judge_staging, judge_writes
from services.judgement.inputs import judge_inputs
from services.judgement.lines import judge_lines
from services.judgement.names import judge_names
from services.judgement.players import judge_players, list_details
from services.judgement.rows import judge_rows
from services.judgement.statement import Repair, Statement, Subject


@dataclass(frozen=True)
class NightJudgement:
    """`statements` are worst first; the headline is that of the first, which is the players' where none is worse."""

    game_date: date
    health: Health
    headline: str
    details: tuple[str, ...]
    statements: tuple[Statement, ...]
    lead: Statement  # the one of the headline

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """What repairs the night, each once: first what the headline asks for."""
        return tuple(dict.fromkeys(s.repair for s in self.statements if s.repair is not None and not s.is_proven))

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """Everything that the statements are based on, each once."""
        return tuple(dict.fromkeys(source for statement in self.statements for source in statement.sources))

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
        judge_names(facts, settings),
        judge_conservation(facts, settings),
        judge_writes(facts, settings),
        judge_staging(facts, settings),
        judge_batch(facts),
    )
    ordered = tuple(sorted(statements, key=lambda s: SEVERITY_ORDER.index(s.health)))
    is_wrong = any(statement.health in (Health.CRITICAL, Health.WARNING) for statement in statements)
    if players.health is Health.NONE_EXPECTED and not is_wrong:
        return NightJudgement(facts.game_date, players.health, players.text, (), ordered, players)
    lead = ordered[0]
    headline = lead.sentence if lead is players else f"{lead.subject}: {lead.sentence}"
    details = list_details(facts.night.value) if facts.night.value is not None else ()
    details = details if lead is players else (players.sentence, *details)
    return NightJudgement(facts.game_date, lead.health, headline, details, ordered, lead)
