"""Runs that are recorded as running for longer than their processor's runs take. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.clock import format_eastern
from services.core.text import format_duration, pluralize
from services.phases.declaration import Phase, Step
from services.phases.reader import NightPhases, ProcessorRuns

STUCK_AFTER, STUCK_FACTOR = timedelta(hours=1), 3  # at least so long, and so many times the longest successful run
STUCK_RUNS = Step(
    "stuck_runs", 160, "Stuck runs", Phase.QUALITY, "Prediction on-call", "runs", timedelta(), allowed=(0, 0)
)
MAX_NAMED = 3


@dataclass(frozen=True)
class StuckRun:
    """A processor's runs of one date that have no end. `usual` is its longest successful run; None without one."""

    runs: ProcessorRuns
    owner: str
    fix: Step | None
    usual: timedelta | None

    @property
    def text(self) -> str:
        """e.g. Phase6Export of 26 Dec since 26 Dec 13:05 ET, longest run 4 min."""
        since = (
            f" since {format_eastern(self.runs.unfinished_since, '%-d %b %H:%M')}" if self.runs.unfinished_since else ""
        )
        usual = f", longest run {format_duration(self.usual)}" if self.usual is not None else ""
        return f"{self.runs.processor} of {self.runs.data_date:%-d %b}{since}{usual}"


def list_stuck_runs(phases: NightPhases, now: datetime) -> tuple[StuckRun, ...]:
    """The runs up to the game date that are overdue by themselves, the longest first; none where runs were not read."""
    runs = phases.runs.value.runs if phases.runs is not None and phases.runs.value is not None else ()
    steps = {step.processor: step for step in phases.counts if step.processor and step.phase is not Phase.QUALITY}
    found = []
    for run in runs:
        longest = [r.longest_s for r in runs if r.processor == run.processor and r.longest_s is not None]
        usual = timedelta(seconds=max(longest)) if longest else None
        limit = max(STUCK_AFTER, STUCK_FACTOR * (usual or timedelta()))
        if run.unfinished and run.unfinished_since is not None and now - run.unfinished_since > limit:
            step = steps.get(run.processor)
            found.append(StuckRun(run, step.owner if step else STUCK_RUNS.owner, step, usual))
    return tuple(sorted(found, key=lambda stuck: stuck.runs.unfinished_since or now))


def judge_stuck_runs(phases: NightPhases, now: datetime) -> tuple[Step, bool, str, int] | None:
    """The step, whether it is unknown, its text and how many runs; None where there is no run history."""
    if phases.runs is None:
        return None
    if phases.runs.value is None:
        return STUCK_RUNS, True, phases.runs.problem.message if phases.runs.problem else "unknown", 0
    stuck = list_stuck_runs(phases, now)
    count = sum(s.runs.unfinished for s in stuck)
    if not stuck:
        return STUCK_RUNS, False, "no run is running for longer than usual", 0
    more = f"; and {len(stuck) - MAX_NAMED} more" if len(stuck) > MAX_NAMED else ""
    return STUCK_RUNS, False, f"{pluralize(count, 'run')}: {'; '.join(s.text for s in stuck[:MAX_NAMED])}{more}", count
