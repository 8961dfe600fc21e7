"""The result of one rule: firing, OK or without data; with the formats that several rules share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from services.alerts.facts import NightSnapshot
from services.alerts.rule import Rule
from services.core.clock import format_eastern
from services.core.commands import curl_command
from services.core.result import Health
from services.core.settings import Settings
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement, judge_night
from services.judgement.statement import Subject
from services.nights.missing_players import MissingPlayer
from services.nights.player_stages import NightStatus

FIRING = {Health.CRITICAL, Health.WARNING}


@dataclass(frozen=True)
class RuleResult:
    """The result of a rule: OK, UNKNOWN (no data), or firing; `cause` and `game_date` are the incident it belongs to."""

    rule: Rule
    health: Health
    message: str
    cause: str
    game_date: date | None = None
    batch_id: str = ""
    since: datetime | None = None  # when its cause began; None: not known

    @property
    def firing(self) -> bool:
        source_down = self.health is Health.UNKNOWN and self.cause.startswith("sight")
        return self.health in FIRING or (source_down and bool(self.message))

    def format_command(self, settings: Settings) -> str:
        """The rule's command with this night, this batch and the project's own names in it."""
        return self.rule.command.format(
            rerun=curl_command(settings, "/start", {"game_date": str(self.game_date or ""), "force": True}),
            resume=curl_command(settings, "/resume", {"batch_id": self.batch_id}),
            worker=settings.worker_service,
            region=settings.region,
            project=settings.project,
        )


@dataclass(frozen=True)
class Outcome:
    """A rule's answer before it is put under its rule."""

    health: Health
    message: str = ""
    cause: str = ""
    since: datetime | None = None


OK, NO_DATA = Outcome(Health.OK), Outcome(Health.UNKNOWN)


@dataclass(frozen=True)
class NightContext:
    """What the rules of a night are evaluated on."""

    snapshot: NightSnapshot
    settings: Settings
    now: datetime
    staged_batch_ids: frozenset[str] | None = None  # the batches with a staging table; None: not known

    @property
    def facts(self) -> NightFacts:
        """What the night is judged on."""
        read = self.snapshot
        return NightFacts(
            read.game_date, self.now, read.night, read.batches, read.night_writes, read.usual, read.ledger, read.phases
        )

    @cached_property
    def judgement(self) -> NightJudgement:
        """The judgement that every page shows."""
        return judge_night(self.facts, self.settings)

    def judged(self, subject: Subject) -> Outcome:
        """A rule whose health and words are those of one statement."""
        statement = self.judgement.get(subject)
        if statement.health is Health.UNKNOWN:
            return NO_DATA
        return Outcome(statement.health, statement.sentence) if statement.health in FIRING else OK

    @property
    def zero_progress_timeout(self) -> timedelta:
        """How long a batch may be without progress, or without a log line."""
        return timedelta(minutes=self.settings.zero_progress_min)

    @property
    def coverage_due(self) -> bool:
        """Whether a run must have covered the night by now."""
        return self.facts.is_overdue(self.settings)

    @property
    def played_night(self) -> NightStatus | None:
        """The night, where it can be read and has games."""
        night = self.snapshot.night.value
        return night if night is not None and (night.games or night.players) else None


def all_active(night: NightStatus | None) -> bool:
    eligible = night.eligible_players if night else ()
    return bool(eligible) and all(p.active_rows for p in eligible)


def first_rejection(missing: Iterable[MissingPlayer]) -> datetime | None:
    """When the first of these players' writes was rejected; None where none was."""
    return min((m.player.write_error.at for m in missing if m.player.write_error is not None), default=None)


def format_total(count: int | None) -> str:
    return f" of {count}" if count is not None else ""


def format_count(count: int | None) -> str:
    return "unknown" if count is None else str(count)


def format_clock_time(at: datetime | None) -> str:
    return format_eastern(at, "%H:%M:%S") if at else "unknown time"
