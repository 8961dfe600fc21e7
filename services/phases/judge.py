"""Whether each step of a game date is done: against the teams that play, against what is usual and against its time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from statistics import median

from services.core.clock import ET, format_eastern
from services.core.result import Result
from services.core.settings import Settings
from services.gcp import query_catalog
from services.phases.declaration import Phase, Step
from services.phases.reader import Counts, NightPhases, ProcessorRuns, StepCount
from services.phases.report import TROUBLES, StepReport, StepState
from services.phases.stuck_runs import judge_stuck_runs

SCHEDULE = "schedule"  # the step that says which teams play
MAX_NAMED = 8  # teams that a text names


@dataclass(frozen=True)
class DateFacts:
    """What a step is judged on for one date: the teams of its games (None: not known), and now."""

    day: date
    teams: frozenset[str] | None
    now: datetime


def judge_steps(phases: NightPhases, settings: Settings, now: datetime) -> tuple[StepReport, ...]:
    """Every step that was read, in order, and last the runs that never ended."""
    teams = _teams_by_date(phases.counts)
    reports = [_judge(step, phases, teams, settings, now) for step in _in_order(phases)]
    stuck = judge_stuck_runs(phases, now)
    return (*reports, stuck) if stuck is not None else tuple(reports)


def first_trouble(phases: NightPhases, settings: Settings, now: datetime) -> StepReport | None:
    """The first step before the predictions that is in trouble; None without one."""
    teams = _teams_by_date(phases.counts)
    before = (step for step in _in_order(phases) if step.phase is Phase.BEFORE)
    reports = (_judge(step, phases, teams, settings, now, with_earlier=False) for step in before)
    return next((report for report in reports if report.state in TROUBLES), None)


def _in_order(phases: NightPhases) -> list[Step]:
    return sorted(phases.counts, key=lambda step: step.order)


def _teams_by_date(counts: Mapping[Step, Result[Counts] | None]) -> Mapping[date, frozenset[str]] | None:
    """The teams of each date: those of the schedule, or those that odds and context name on a date that it lacks.

    None where nothing was read.
    """
    readings = {
        s.name: r.value.by_date for s, r in counts.items() if s.parts and s.phase is Phase.BEFORE and r and r.value
    }
    scheduled = readings.pop(SCHEDULE, {})
    teams = {day: count.parts for day, count in scheduled.items()}
    for by_date in readings.values():
        for day in by_date.keys() - scheduled.keys():
            teams[day] = teams.get(day, frozenset()) | by_date[day].parts
    return teams or None


def _judge(
    step: Step,
    phases: NightPhases,
    teams: Mapping[date, frozenset[str]] | None,
    settings: Settings,
    now: datetime,
    *,
    with_earlier: bool = True,
) -> StepReport:
    reading = phases.counts[step]
    if reading is None:
        tables = " or ".join(query_catalog.load(step.query).source_tables)
        return StepReport(step, StepState.NOT_CONNECTED, f"{tables} is not there, or lacks a column of this step")
    if reading.value is None:
        return StepReport(step, StepState.UNKNOWN, reading.problem.message if reading.problem else "unknown")
    counts = reading.value.by_date
    if not counts:
        table = query_catalog.load(step.query).source_tables[0]
        return StepReport(step, StepState.NOT_CONNECTED, f"{table} has no row of this date and of those before")
    runs = phases.runs.value if phases.runs is not None else None
    is_scheduled = any(s.name == SCHEDULE and r and r.value and r.value.by_date for s, r in phases.counts.items())

    def judge_date(day: date) -> StepReport:
        known = teams.get(day, frozenset() if is_scheduled else None) if teams is not None else None
        run = runs.of(step.processor, day) if runs is not None and step.processor else None
        return judge_step(step, DateFacts(day, known, now), counts, teams or {}, run, settings)

    report = judge_date(phases.game_date)
    earlier = sorted(day for day in (teams or counts) if day < phases.game_date) if with_earlier else ()
    cells = tuple((day, judged.state, judged.found) for day, judged in ((day, judge_date(day)) for day in earlier))
    return StepReport(**{**vars(report), "earlier": cells})


def judge_step(
    step: Step,
    on: DateFacts,
    counts: Mapping[date, StepCount],
    teams: Mapping[date, frozenset[str]],
    run: ProcessorRuns | None,
    settings: Settings,
) -> StepReport:
    """One step for one date."""
    is_due, count = on.now >= step.due_at(on.day), counts.get(on.day)
    if on.teams is not None and not on.teams:
        return StepReport(step, StepState.NONE_EXPECTED, "no games")
    if step.phase is Phase.QUALITY:
        return _judge_quality(step, count, is_due, on)
    if on.teams is None and count is None:
        text = "whether there are games is not known: no schedule, odds or context names one"
        return StepReport(step, StepState.UNKNOWN if is_due else StepState.NOT_DUE, text)
    found = count.found if count is not None else 0
    if found is None:
        return StepReport(step, StepState.UNKNOWN, "how many is not recorded", done_at=count.done_at if count else None)
    missing = tuple(sorted((on.teams or frozenset()) - (count.parts if count else frozenset()))) if step.parts else ()
    usual = _usual_count(on, counts, teams, settings)
    pct = settings.inputs_usual_pct if step.usual_pct is None else step.usual_pct
    is_complete = found > 0 and not missing and (usual is None or found >= usual * pct / 100)
    state, since = _state(step, on, run, is_complete, is_due, found)
    return StepReport(
        step,
        state,
        _text(step, state, found, usual, missing, on, run),
        found,
        None,
        usual,
        count.done_at if count and count.done_at and count.done_at <= on.now else None,
        _usual_time(on, counts, settings),
        missing,
        since,
        run,
    )


def _state(
    step: Step, on: DateFacts, run: ProcessorRuns | None, is_complete: bool, is_due: bool, found: int
) -> tuple[StepState, datetime | None]:
    """The state, and since when it is in trouble."""
    if is_complete:
        return StepState.OK, None
    if run is not None and run.failed_at and (run.succeeded_at is None or run.failed_at > run.succeeded_at):
        return StepState.FAILED, run.failed_at
    if not is_due:
        return StepState.NOT_DUE, None
    if run is not None and run.unfinished and run.unfinished_since:
        return StepState.FAILED, run.unfinished_since
    return (StepState.SHORT if found else StepState.LATE), step.due_at(on.day)


def _text(
    step: Step,
    state: StepState,
    found: int,
    usual: int | None,
    missing: tuple[str, ...],
    on: DateFacts,
    run: ProcessorRuns | None,
) -> str:
    unit = step.unit if found != 1 else step.unit.removesuffix("s")
    parts = [f"{found:,} {unit}" + (f", usually {usual:,}" if usual is not None and step.usual_pct != 0 else "")]
    if missing and found:
        names = ", ".join(missing[:MAX_NAMED]) + (", …" if len(missing) > MAX_NAMED else "")
        parts = [f"{len(missing)} of {len(on.teams or ())} teams missing: {names}", *parts]
    elif not found:
        parts = ["nothing there yet" if state is StepState.NOT_DUE else "nothing there"]
    if state is StepState.NOT_DUE:
        parts.append(f"due {format_eastern(step.due_at(on.day), '%-d %b %H:%M')}")
    if state is StepState.FAILED and run is not None:
        parts.append("its run failed" if run.failed_at else "its run has not ended")
    return "; ".join(parts)


def _usual_count(
    on: DateFacts,
    counts: Mapping[date, StepCount],
    teams: Mapping[date, frozenset[str]],
    settings: Settings,
) -> int | None:
    """What earlier dates had per team, for as many teams; None where too few dates show it."""
    shares = [
        (counts[day].found or 0) / len(playing) if day in counts else 0.0
        for day, playing in teams.items()
        if day < on.day and playing
    ]
    if len(shares) < settings.inputs_min_nights or not on.teams:
        return None
    return round(median(shares) * len(on.teams))


def _usual_time(on: DateFacts, counts: Mapping[date, StepCount], settings: Settings) -> timedelta | None:
    """When the step is usually done."""
    times = [
        time_on_date(c.done_at, day).total_seconds()
        for day, c in counts.items()
        if day < on.day and c.done_at is not None
    ]
    return timedelta(seconds=median(times)) if len(times) >= settings.inputs_min_nights else None


def time_on_date(at: datetime, day: date) -> timedelta:
    """The wall-clock time in US Eastern since a date's midnight; negative on the day before."""
    return at.astimezone(ET).replace(tzinfo=None) - datetime.combine(day, time())


def _judge_quality(step: Step, count: StepCount | None, is_due: bool, on: DateFacts) -> StepReport:
    if count is None or count.total == 0:
        state = StepState.NONE_EXPECTED if is_due else StepState.NOT_DUE
        due = format_eastern(step.due_at(on.day), "%-d %b %H:%M")
        return StepReport(step, state, "no rows to judge" if is_due else f"due {due}")
    if count.found is None:
        return StepReport(step, StepState.UNKNOWN, "how many is not recorded", done_at=count.done_at)
    low, high = step.allowed or (0, 0)
    value = count.found if count.total is None else 100 * count.found / count.total
    text = f"{count.found:,} {step.unit}, allowed {low}–{high}"
    if count.total is not None:
        text = f"{count.found:,} of {count.total:,} {step.unit} ({value:.1f}%), allowed {low}–{high}%"
    state = StepState.OK if low <= value <= high else StepState.FAILED
    return StepReport(step, state, text, count.found, count.total, done_at=count.done_at)
