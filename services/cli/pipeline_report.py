"""The report about the steps before and after the predictions of a night, and one step in detail."""

from __future__ import annotations

from datetime import date

from services.cli.night_reports import judge, list_night_problems
from services.cli.report import Report, Row, Table
from services.core.errors import InvalidInput
from services.core.settings import Settings
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.phases.declaration import load_steps
from services.phases.reader import NightPhases, read_phases
from services.phases.report import TROUBLES, StepReport
from services.reports.pipeline import build_pipeline


def pipeline_report(clients: Clients, game_date: date, name: str = "") -> Report:
    """Every step of the date and the runs behind them, or one step with its dates before; raises InvalidInput for another name."""
    with concurrent_reads() as pool:
        asked = pool.submit(read_phases, clients, game_date)
        facts, judgement = judge(clients, game_date)
    phases, settings = asked.result(), clients.settings
    pipeline = build_pipeline(phases, facts, judgement, settings, clients.now())
    if name and (step := pipeline.get(name)) is None:
        known = ", ".join(report.step.name for report in pipeline.steps)
        raise InvalidInput(f"{name!r} is not a step.", f"Steps are {known}.")
    problems = tuple(dict.fromkeys((*phases.problems, *list_night_problems(facts))))
    sources = tuple(dict.fromkeys((*phases.sources, *judgement.sources)))
    if name and step is not None:
        return _step_report(step, game_date, phases, settings)
    return Report(
        f"Pipeline of {game_date}",
        pipeline.health,
        pipeline.headline,
        tuple(report.problem for report in pipeline.troubles[1:]),
        (
            Table("steps", tuple(_to_row(report, game_date, settings) for report in pipeline.steps), "No steps."),
            Table("runs", tuple(_run_rows(phases)), "No runs are recorded for this date."),
        ),
        problems,
        sources,
    )


def _to_row(report: StepReport, game_date: date, settings: Settings) -> Row:
    return {
        "step": report.step.name,
        "state": str(report.state),
        "found": report.found,
        "usual": report.usual if report.usual is not None else report.total,
        "done": report.done_at,
        "owner": report.step.owner,
        "what": f"{report.text}; {report.error}" if report.error else report.text,
        "fix": report.step.fix_command(settings, game_date) if report.state in TROUBLES else "",
    }


def _run_rows(phases: NightPhases) -> list[Row]:
    runs = phases.runs.value.runs if phases.runs is not None and phases.runs.value is not None else ()
    return [
        {
            "processor": run.processor,
            "runs": run.runs,
            "failed": run.failed,
            "without an end": run.unfinished,
            "succeeded": run.succeeded_at,
            "longest (s)": run.longest_s,
            "error": run.error,
        }
        for run in sorted(runs, key=lambda run: run.processor)
        if run.data_date == phases.game_date
    ]


def _step_report(report: StepReport, game_date: date, phases: NightPhases, settings: Settings) -> Report:
    dates = [*report.earlier, (game_date, report.state, report.found)]
    rows = tuple({"game date": str(day), "state": str(state), "found": found} for day, state, found in reversed(dates))
    fix = report.step.fix_command(settings, game_date)
    details = [f"Owner: {report.step.owner}", f"Fix: {fix}" if fix else "", report.error]
    if report.step in load_steps():
        details.append(f"Query: {' '.join(query_catalog.load(report.step.query).sql.split())}")
    return Report(
        f"{report.step.title} of {game_date}",
        report.health,
        report.text,
        tuple(filter(None, details)),
        (Table("dates", rows, "No dates."),),
        phases.problems,
        phases.sources,
    )
