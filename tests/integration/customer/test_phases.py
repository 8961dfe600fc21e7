"""The steps before and after the predictions on the customer's nights: each state of a step is on one of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.core.settings import Settings
from services.gcp import query_catalog
from services.phases.declaration import load_steps
from services.phases.judge import first_trouble, judge_steps
from services.phases.reader import read_phases
from services.phases.report import StepState

NIGHTS: dict[str, Any] = {"first_date": date(2025, 12, 22), "last_date": date(2025, 12, 31)}


def read_states(clients, day: int) -> dict[str, StepState]:
    phases = read_phases(clients, date(2025, 12, day))
    assert not phases.problems
    return {report.step.name: report.state for report in judge_steps(phases, Settings.from_env({}), clients.now())}


@pytest.mark.parametrize("step", load_steps(), ids=lambda step: step.name)
def test_every_declared_query_has_the_columns_of_a_step(customer_clients, step):
    rows = query_catalog.run_query(customer_clients, step.query, **NIGHTS).rows
    assert rows
    required = {"game_date", "found", "done_at"} | ({"parts"} if step.parts else set())
    assert required <= set(rows[0]) <= required | {"total"}


TROUBLED = {
    23: {"context": StepState.FAILED},
    25: {"odds": StepState.FAILED, "model_age": StepState.FAILED, "grading": StepState.LATE},
    26: {"schedule": StepState.LATE, "export": StepState.FAILED, "stuck_runs": StepState.FAILED},
    27: {"placeholder_lines": StepState.FAILED, "over_under": StepState.FAILED},
    28: {"default_features": StepState.FAILED, "quality_gate": StepState.FAILED},
    30: {"box_scores": StepState.FAILED},
    31: {"injuries": StepState.FAILED},
}


def test_every_step_fails_on_some_night_but_the_features():
    """Features fail by what is in them: defaults, and the quality gate. A shortage would take six nights before the incident's."""
    failing = {name for steps in TROUBLED.values() for name in steps}
    assert {step.name for step in load_steps()} - failing == {"features"}


@pytest.mark.parametrize(("day", "troubled"), TROUBLED.items())
def test_each_night_has_the_trouble_that_was_there(customer_clients, day, troubled):
    quiet = {StepState.OK, StepState.NOT_DUE, StepState.NONE_EXPECTED}
    states = {name: state for name, state in read_states(customer_clients, day).items() if state not in quiet}
    if day >= 27:
        del states["stuck_runs"]  # the export of the 26th is still "running"
    assert states == troubled


def test_the_first_step_that_failed_is_named_with_its_teams_and_its_time(customer_clients):
    phases = read_phases(customer_clients, date(2025, 12, 23))
    trouble = first_trouble(phases, customer_clients.settings, customer_clients.now())
    assert trouble is not None
    assert trouble.problem == "context is missing for 7 teams since 11:05 ET"
    assert "13 of 20 teams written" in trouble.error


def test_runs_are_counted_once_though_each_has_two_rows(customer_clients):
    rows = query_catalog.run_query(customer_clients, "processors.runs", **NIGHTS).rows
    by_key = {(row["data_date"].day, row["processor_name"]): row for row in rows}
    assert by_key[29, "PredictionCoordinator"]["runs"] == by_key[29, "PredictionCoordinator"]["succeeded"] == 1
    assert by_key[26, "Phase6Export"]["unfinished"] == 1
    assert all(row["error"] for row in rows if row["failed"])
