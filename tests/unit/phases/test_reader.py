"""The steps as they are read: which dates and which columns, and what a table that is absent or refuses becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden

from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.phases.declaration import Phase
from services.phases.reader import RUN_DATES, USUAL_DATES, NightPhases, Runs, StepCount, read_phases
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import memory_clients
from tests.support.memory_rows import context_row
from tests.support.phase_facts import DAY, STEPS, make_runs
from tests.support.seeded_nights import seeded_project

CONTEXT, RUNS = "nba_analytics.upcoming_player_game_context", "nba_reference.processor_run_history"
BEGAN = datetime(2025, 12, 29, 15, 30, tzinfo=UTC)
ENDED = BEGAN + timedelta(minutes=4)


@pytest.fixture
def source() -> Iterator[tuple[MemoryProject, Clients]]:
    with seeded_project({}) as project_and_clients:
        yield project_and_clients


def run_row(run_id: str, **changes: Any) -> dict[str, Any]:
    """A row of the run history: one successful run for DAY."""
    row = {
        "processor_name": "Context",
        "run_id": run_id,
        "status": "success",
        "data_date": DAY,
        "started_at": BEGAN,
        "processed_at": ENDED,
        "duration_seconds": 240.0,
    }
    return {**row, **changes}


def read_runs(source: tuple[MemoryProject, Clients], *rows: dict[str, Any]) -> Runs:
    project, clients = source
    project.insert(RUNS, rows)
    runs = read_phases(clients, DAY, frozenset()).runs
    assert runs
    assert runs.value
    return runs.value


def read_context(phases: NightPhases) -> Any:
    return phases.counts[STEPS["context"]]


def test_a_step_has_the_counts_of_its_date_and_of_the_usual_ones_before(source):
    project, clients = source
    made = datetime(2025, 12, 29, 12, tzinfo=UTC)
    days = [DAY - timedelta(days=n) for n in (-1, 0, USUAL_DATES, USUAL_DATES + 1)]
    project.insert(CONTEXT, [context_row("ann", game_date=day, created_at=made) for day in days])
    counts = read_context(read_phases(clients, DAY)).value
    assert counts.by_date == {day: StepCount(1, None, made, frozenset({"NOP"})) for day in days[1:3]}
    assert counts.source.name == "BigQuery, phases.context"
    assert USUAL_DATES == 21


def test_a_row_without_a_team_counts_and_names_no_part(source):
    project, clients = source
    project.insert(CONTEXT, [context_row("ann"), context_row("bob", team_abbr="")])
    count = read_context(read_phases(clients, DAY)).value.by_date[DAY]
    assert (count.found, count.parts) == (2, frozenset({"NOP"}))


def test_a_quality_step_has_its_total_and_names_no_parts(source):
    project, clients = source
    rows = [{"player_lookup": "ann", "game_date": DAY, "current_points_line": line} for line in (20, 21)]
    project.insert(PREDICTIONS_TABLE, [{**row, "is_active": True, "system_id": "ensemble_v1"} for row in rows])
    result = read_phases(clients, DAY).counts[STEPS["placeholder_lines"]]
    assert result
    assert result.value
    count = result.value.by_date[DAY]
    assert (count.found, count.total, count.parts) == (1, 2, frozenset())


def test_only_the_steps_of_the_phases_asked_for_are_read(source):
    read = read_phases(source[1], DAY, frozenset({Phase.AFTER}))
    assert read.game_date == DAY
    assert {step.phase for step in read.counts} == {Phase.AFTER}
    assert read_phases(source[1], DAY).counts.keys() == set(STEPS.values())


def test_each_source_that_was_read_is_named_once(source):
    names = [each.name for each in read_phases(source[1], DAY, frozenset({Phase.AFTER})).sources]
    after = [step.query for step in STEPS.values() if step.phase is Phase.AFTER]
    assert names == [f"BigQuery, {query}" for query in (*after, "processors.runs")]


def test_a_table_that_is_not_there_takes_its_step_away_and_is_no_problem(source):
    project, clients = source
    for table in (CONTEXT, RUNS):
        del project.tables[table]
    phases = read_phases(clients, DAY, frozenset({Phase.BEFORE}))
    assert (read_context(phases), phases.runs) == (None, None)
    assert phases.counts[STEPS["schedule"]] is not None
    assert phases.problems == ()


def test_a_source_that_refuses_leaves_every_step_unknown_with_its_name_and_time(source):
    def refuse(call: str, *_: Any) -> None:
        raise Forbidden(call)

    clients = memory_clients(source[0], refuse)
    phases = read_phases(clients, DAY, frozenset({Phase.BEFORE}))
    before = [step.title for step in STEPS.values() if step.phase is Phase.BEFORE]
    assert [problem.source for problem in phases.problems] == [*before, "The run history"]
    assert {problem.since for problem in phases.problems} == {clients.now()}
    assert all(problem.message for problem in phases.problems)
    assert read_context(phases).value is None
    assert phases.sources == ()


def test_the_runs_of_a_processor_are_counted_by_their_state(source):
    failed_at, stuck_since = ENDED + timedelta(hours=1), ENDED + timedelta(hours=2)
    runs = read_runs(
        source,
        run_row("a", cloud_run_service="nba-phase3"),
        run_row("b", status="failed", processed_at=failed_at, errors=["quota", "no rows"]),
        run_row("c", status="running", started_at=stuck_since, processed_at=None, duration_seconds=None),
    )
    found = {"runs": 3, "failed": 1, "unfinished": 1, "unfinished_since": stuck_since, "longest_s": 240.0}
    times = {"succeeded_at": ENDED, "failed_at": failed_at}
    assert runs.runs == (make_runs("Context", **found, **times, error="quota; no rows", service="nba-phase3"),)
    assert runs.source.name == "BigQuery, processors.runs"


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        (None, ""),
        ([], ""),
        (["quota"], "quota"),
        ("quota", "quota"),
        (["x" * 600], json.dumps(["x" * 600])[:500]),
    ],
)
def test_a_failed_run_has_the_text_of_its_errors_or_none(source, errors, text):
    (run,) = read_runs(source, run_row("a", status="failed", errors=errors)).runs
    assert (run.error, run.service) == (text, "")


def test_a_run_that_did_not_fail_has_no_error(source):
    (run,) = read_runs(source, run_row("a", errors=["a warning"])).runs
    assert run.error == ""


def test_runs_are_read_for_the_week_before_and_found_by_processor_and_date(source):
    days = [DAY - timedelta(days=n) for n in (-1, 0, RUN_DATES, RUN_DATES + 1)]
    runs = read_runs(
        source,
        *(run_row(f"{day}", data_date=day) for day in days),
        run_row("other", processor_name="Export", data_date=DAY - timedelta(days=1)),
    )
    assert {run.data_date for run in runs.runs if run.processor == "Context"} == set(days[1:3])
    week_before = runs.of("Context", days[2])
    assert week_before
    assert (week_before.processor, week_before.data_date) == ("Context", days[2])
    assert runs.of("Context", DAY - timedelta(days=1)) is None
    assert RUN_DATES == 7
