"""The pipeline of a date: the worst step first in its headline, the predictions among the steps, nothing unread called done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.core.result import Health, Problem, Result
from services.judgement.judge import judge_night
from services.phases.reader import NightPhases
from services.phases.report import StepState
from services.reports.pipeline import Pipeline, build_pipeline
from tests.support.factories import NOW, make_night, make_player, player_without_rows
from tests.support.night_facts import SETTINGS, make_facts
from tests.support.phase_facts import TEAMS, make_count, make_counts, make_phases

DONE = make_counts(make_count())
SHORT = make_counts(make_count(48, parts=TEAMS - {"LAL"}))


def build(phases: NightPhases, now: datetime = NOW, **facts: Any) -> Pipeline:
    read = make_facts(now=now, **facts)
    return build_pipeline(phases, read, judge_night(read, SETTINGS), SETTINGS, now)


def test_the_headline_is_the_first_step_that_failed_whatever_follows_from_it():
    lost = make_night(player_without_rows(player_lookup="a"), make_player(player_lookup="b"))
    pipeline = build(make_phases(context=SHORT, placeholder_lines=make_counts(make_count(90, 100))), night=Result(lost))
    assert [report.step.name for report in pipeline.troubles] == ["context", "predictions", "placeholder_lines"]
    assert pipeline.headline == "Context is missing for 1 team since 11:05 ET"
    assert pipeline.health is Health.CRITICAL


def test_the_predictions_are_as_the_night_is_judged_between_the_steps():
    pipeline = build(make_phases(features=DONE, grading=DONE))
    assert [report.step.name for report in pipeline.steps] == [
        "schedule",
        "features",
        "predictions",
        "grading",
        "stuck_runs",
    ]
    predictions = pipeline.get("predictions")
    assert predictions is not None
    assert (predictions.state, predictions.found, predictions.total) == (StepState.OK, 158, 158)


def test_a_night_with_every_step_done_says_so_and_counts_those_that_are_not_due():
    assert build(make_phases(features=DONE, grading=None)).headline == "4 of 4 steps done"
    early = build(make_phases(features=DONE, grading=make_counts(None)))
    assert early.headline == "4 of 5 steps done, the others are not yet due"


def test_a_step_that_cannot_be_read_is_counted_as_unknown():
    unread: Result[Any] = Result(None, Problem("Features", NOW, "BigQuery refused."))
    pipeline = build(make_phases(features=unread))
    assert (pipeline.health, pipeline.headline) == (Health.UNKNOWN, "1 of 4 steps unknown")


def test_a_night_that_is_not_run_yet_is_not_due_and_late_after_its_deadline():
    waiting = make_night(player_without_rows(generated_rows=0), was_run=False)
    soon, late = waiting.tip_offs[0] - timedelta(hours=4), waiting.tip_offs[0]
    assert _predictions(build(make_phases(), soon, night=Result(waiting))) is StepState.NOT_DUE
    assert _predictions(build(make_phases(), late, night=Result(waiting))) is StepState.LATE


def _predictions(pipeline: Pipeline) -> StepState:
    report = pipeline.get("predictions")
    assert report is not None
    return report.state
