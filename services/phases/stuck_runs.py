"""Runs that are recorded as running for longer than their processor's runs take. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.core.clock import format_eastern
from services.core.text import format_duration, pluralize
from services.phases.declaration import Phase, Step
from services.phases.reader import NightPhases, ProcessorRuns
from services.phases.report import StepReport, StepState

STUCK_AFTER, STUCK_FACTOR = timedelta(hours=1), 3  # at least so long, and so many times the longest successful run
STUCK_RUNS = Step(
    "stuck_runs", 160, "Stuck runs", Phase.QUALITY, "Prediction on-call", "runs", timedelta(), allowed=(0, 0)
)
MAX_NAMED = 3


@dataclass(frozen=True)
class StuckRun:
    """A processor's runs of one date that have no end. `usual` is its longest successful run; None without one."""

    runs: ProcessorRuns
    since: datetime
    usual: timedelta | None

    @property
    def text(self) -> str:
        """e.g. Phase6Export of 26 Dec since 26 Dec 13:05 ET, longest run 4 min."""
        since = format_eastern(self.since, "%-d %b %H:%M")
        usual = f", longest run {format_duration(self.usual)}" if self.usual is not None else ""
        return f"{self.runs.processor} of {self.runs.data_date:%-d %b} since {since}{usual}"


def list_stuck_runs(runs: Sequence[ProcessorRuns], now: datetime) -> tuple[StuckRun, ...]:
    """The runs that are overdue by themselves, the longest first."""
    found = []
    for run in runs:
        longest = [r.longest_s for r in runs if r.processor == run.processor and r.longest_s is not None]
        usual = timedelta(seconds=max(longest)) if longest else None
        limit = max(STUCK_AFTER, STUCK_FACTOR * (usual or timedelta()))
        if run.unfinished and run.unfinished_since is not None and now - run.unfinished_since > limit:
            found.append(StuckRun(run, run.unfinished_since, usual))
    return tuple(sorted(found, key=lambda stuck: stuck.since))


def judge_stuck_runs(phases: NightPhases, now: datetime) -> StepReport | None:
    """How many runs up to the game date are stuck, and which; None where there is no run history."""
    if phases.runs is None:
        return None
    if phases.runs.value is None:
        problem = phases.runs.problem
        return StepReport(STUCK_RUNS, StepState.UNKNOWN, problem.message if problem else "unknown")
    stuck = list_stuck_runs(phases.runs.value.runs, now)
    if not stuck:
        return StepReport(STUCK_RUNS, StepState.OK, "no run is running for longer than usual", 0)
    count = sum(s.runs.unfinished for s in stuck)
    more = f"; and {len(stuck) - MAX_NAMED} more" if len(stuck) > MAX_NAMED else ""
    text = f"{pluralize(count, 'run')}: {'; '.join(s.text for s in stuck[:MAX_NAMED])}{more}"
    return StepReport(_owned_by(stuck[0], phases), StepState.FAILED, text, count)


def _owned_by(stuck: StuckRun, phases: NightPhases) -> Step:
    """The step with the owner and the fix of the step that a stuck run belongs to, for that run's date."""
    runs = stuck.runs
    steps = (step for step in phases.counts if step.phase is not Phase.QUALITY and step.processor == runs.processor)
    step = next(steps, None)
    if step is None:
        return STUCK_RUNS
    return replace(STUCK_RUNS, owner=step.owner, fix=step.fix.replace("{date}", runs.data_date.isoformat()))
