"""What is said of one step of a game date: its state, what was found against what is usual, and how bad that is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.core.clock import format_eastern
from services.core.result import Health
from services.core.text import pluralize
from services.phases.declaration import Phase, Step
from services.phases.reader import ProcessorRuns


class StepState(StrEnum):
    """What a step's state is called."""

    OK = "ok"
    SHORT = "short"
    LATE = "late"
    FAILED = "failed"
    NOT_DUE = "not yet due"
    NOT_CONNECTED = "not connected"
    NONE_EXPECTED = "none expected"
    UNKNOWN = "unknown"


TROUBLES = frozenset({StepState.SHORT, StepState.LATE, StepState.FAILED})
_QUIET = frozenset({StepState.NOT_DUE, StepState.NOT_CONNECTED, StepState.NONE_EXPECTED})


@dataclass(frozen=True)
class StepReport:
    """A step of one game date. `since` is when its trouble began; `usual_time` is counted from midnight, US Eastern.

    `usual` and `usual_time` are None where too few earlier dates show them. `earlier` has the dates before with their states.
    """

    step: Step
    state: StepState
    text: str
    found: int | None = None
    total: int | None = None
    usual: int | None = None
    done_at: datetime | None = None
    usual_time: timedelta | None = None
    missing: tuple[str, ...] = ()
    since: datetime | None = None
    run: ProcessorRuns | None = None
    earlier: tuple[tuple[date, StepState, int | None], ...] = ()
    judged: Health | None = None  # where another judgement decides

    @property
    def health(self) -> Health:
        """Before and after the predictions a trouble loses players; a quality step warns."""
        if self.judged is not None:
            return self.judged
        if self.state in TROUBLES:
            is_warning = self.step.phase is Phase.QUALITY or (self.state is StepState.SHORT and not self.missing)
            return Health.WARNING if is_warning else Health.CRITICAL
        if self.state in _QUIET:
            return Health.NONE_EXPECTED
        return Health.OK if self.state is StepState.OK else Health.UNKNOWN

    @property
    def error(self) -> str:
        """What its newest failed run reported."""
        return self.run.error if self.run is not None else ""

    @property
    def problem(self) -> str:
        """What is wrong, as the part of a sentence: context is missing for 7 teams since 11:05 ET."""
        name = self.step.title[0].lower() + self.step.title[1:] if self.step.title[1:2].islower() else self.step.title
        verb = "are" if name.endswith("s") else "is"
        since = f" since {format_eastern(self.since)}" if self.since is not None else ""
        if self.missing and self.found:
            return f"{name} {verb} missing for {pluralize(len(self.missing), 'team')}{since}"
        if self.step.phase is not Phase.QUALITY and not self.found:
            return f"{name} {verb} missing{since}"
        return f"{name} {self.state}: {self.text}"
