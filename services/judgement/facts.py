"""What a night is judged on: each reading known, outdated, partial or unknown on its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.batches.ledger import BatchRecord
from services.batches.reader import Batch, Batches
from services.batches.state import IN_PROGRESS_STATES
from services.core.result import Problem, Result, list_outdated
from services.core.settings import Settings
from services.nights.coverage import CoverageHistory
from services.nights.player_stages import NightStatus
from services.phases.judge import first_trouble
from services.phases.reader import NightPhases
from services.phases.report import StepReport
from services.telemetry.dml_jobs import DmlReport

USUAL_NIGHTS = 21  # how many nights before one show what is usual


def nights_before(game_date: date) -> tuple[date, date]:
    """The first and the last of the nights that show what is usual for a night."""
    return game_date - timedelta(days=USUAL_NIGHTS), game_date - timedelta(days=1)


@dataclass(frozen=True)
class NightFacts:
    """`usual` are the nights before this one. `record` is the newest batch in our ledger; None where a coordinator keeps none."""

    game_date: date
    now: datetime
    night: Result[NightStatus]
    batches: Result[Batches]
    writes: Result[DmlReport]
    usual: Result[CoverageHistory]
    record: Result[BatchRecord | None]
    phases: NightPhases | None = None  # the steps before the predictions, where they are read already

    @property
    def outdated(self) -> tuple[Problem, ...]:
        """Why its values may not be what is so now, each source once."""
        return list_outdated((self.night, self.batches, self.writes, self.usual, self.record))

    @property
    def newest_batch(self) -> Batch | None:
        """The run that started last; None when there is none, or when batches could not be read."""
        return self.batches.value.newest if self.batches.value else None

    @property
    def is_running(self) -> bool:
        """Whether the newest batch is in progress, so that what is missing may still come."""
        return self.newest_batch is not None and self.newest_batch.state in IN_PROGRESS_STATES

    @property
    def first_tip_off(self) -> datetime | None:
        """When the first game with odds begins; None where that is unknown."""
        return min(self.night.value.tip_offs, default=None) if self.night.value is not None else None

    def failed_step(self, settings: Settings) -> StepReport | None:
        """The first step before the predictions that is missing, short or failed; None without one, or where none is read."""
        return first_trouble(self.phases, settings, self.now) if self.phases is not None else None

    def may_complete(self, settings: Settings) -> bool:
        """Whether a batch runs and the night's deadline has not come, so that what is missing now is not judged yet."""
        return self.is_running and not self.is_overdue(settings)

    def is_overdue(self, settings: Settings) -> bool:
        """Whether a run must have covered the night by now: its first tip-off is near or past."""
        lead = timedelta(minutes=settings.run_deadline_before_tipoff_min)
        return self.first_tip_off is not None and self.now >= self.first_tip_off - lead
