"""The state of a step: one case for each, and what is compared with what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.core.result import Health, Problem, Result
from services.core.settings import Settings
from services.phases.judge import first_trouble, judge_steps
from services.phases.reader import Counts, NightPhases, ProcessorRuns, StepCount
from services.phases.report import StepReport, StepState
from tests.support.phase_facts import DAY, SOURCE, STEPS, TEAMS, at, make_count, make_counts, make_phases, make_runs

SETTINGS = Settings.from_env({})
EVENING = at("19:00")
CONTEXT = "UpcomingPlayerGameContextProcessor"


def judge(phases: NightPhases, name: str = "context", now=EVENING) -> StepReport:
    return next(report for report in judge_steps(phases, SETTINGS, now) if report.step.name == name)


def test_a_step_with_every_team_and_the_usual_count_is_ok_with_its_usual_time():
    report = judge(make_phases(context=make_counts(make_count(60))))
    assert (report.state, report.health, report.text) == (StepState.OK, Health.OK, "60 players, usually 64")
    assert report.usual_time == timedelta(hours=10, minutes=40)
    assert [state for _, state, _ in report.earlier] == [StepState.OK] * 6


def test_a_step_without_a_team_that_plays_is_short_since_it_was_due():
    report = judge(make_phases(context=make_counts(make_count(48, parts=TEAMS - {"LAL"}))))
    assert (report.state, report.health, report.missing) == (StepState.SHORT, Health.CRITICAL, ("LAL",))
    assert report.text == "1 of 4 teams missing: LAL; 48 players, usually 64"
    assert report.problem == "context is missing for 1 team since 11:05 ET"


def test_a_step_below_the_usual_share_is_short_and_warns():
    report = judge(make_phases(features=make_counts(make_count(50))), "features")
    assert (report.state, report.health, report.text) == (StepState.SHORT, Health.WARNING, "50 players, usually 64")


def test_what_is_usual_is_counted_per_team_of_the_date():
    schedule = make_counts(make_count(1, parts=frozenset({"BOS", "LAL"})))
    report = judge(make_phases(schedule=schedule, features=make_counts(make_count(30))), "features")
    assert (report.state, report.usual) == (StepState.OK, 32)


def test_too_few_earlier_dates_show_nothing_usual():
    few = Result(Counts({DAY: make_count(3)}, SOURCE))
    schedule = Result(Counts({DAY: make_count(2)}, SOURCE))
    report = judge(make_phases(schedule=schedule, features=few), "features")
    assert (report.state, report.usual, report.usual_time) == (StepState.OK, None, None)


@pytest.mark.parametrize(
    ("now", "state", "text"),
    [
        ("11:04", StepState.NOT_DUE, "nothing there yet; due 29 Dec 11:05 ET"),
        ("11:05", StepState.LATE, "nothing there"),
    ],
)
def test_a_step_with_nothing_is_late_from_its_due_time_on(now, state, text):
    report = judge(make_phases(context=make_counts(None)), now=at(now))
    assert (report.state, report.text) == (state, text)
    assert report.since == (at("11:05") if state is StepState.LATE else None)


def test_a_failed_run_fails_an_incomplete_step_since_then_with_its_error():
    run = make_runs(CONTEXT, failed=1, succeeded_at=None, failed_at=at("10:58"), error="quota")
    report = judge(make_phases(run, context=make_counts(None)))
    assert (report.state, report.since, report.error) == (StepState.FAILED, at("10:58"), "quota")
    assert report.text == "nothing there; its run failed"
    assert report.health is Health.CRITICAL


def test_a_failed_run_that_a_later_one_made_good_fails_nothing():
    run = make_runs(CONTEXT, failed=1, succeeded_at=at("11:30"), failed_at=at("10:58"), error="quota")
    assert judge(make_phases(run, context=make_counts(make_count()))).state is StepState.OK
    report = judge(make_phases(run, context=make_counts(None)))
    assert (report.state, report.text) == (StepState.LATE, "nothing there")


def test_a_run_that_failed_after_one_that_succeeded_fails_an_incomplete_step():
    run = make_runs(CONTEXT, failed=1, succeeded_at=at("10:40"), failed_at=at("10:58"))
    report = judge(make_phases(run, context=make_counts(None)))
    assert (report.state, report.since) == (StepState.FAILED, at("10:58"))


def test_without_a_run_history_a_step_is_judged_by_its_rows():
    phases = replace(make_phases(context=make_counts(None)), runs=None)
    assert judge(phases).state is StepState.LATE
    assert [report.step.name for report in judge_steps(phases, SETTINGS, EVENING)] == ["schedule", "context"]


def test_a_run_without_an_end_fails_a_step_that_is_due():
    run = make_runs(CONTEXT, unfinished=1, unfinished_since=at("10:35"), succeeded_at=None)
    report = judge(make_phases(run, context=make_counts(None)))
    assert (report.state, report.since, report.text) == (
        StepState.FAILED,
        at("10:35"),
        "nothing there; its run has not ended",
    )
    assert judge(make_phases(run, context=make_counts(None)), now=at("10:50")).state is StepState.NOT_DUE


def test_a_step_whose_table_is_not_there_is_not_connected():
    report = judge(make_phases(context=None))
    assert (report.state, report.health) == (StepState.NOT_CONNECTED, Health.NONE_EXPECTED)
    assert report.text.startswith("nba_analytics.upcoming_player_game_context is not there")


def test_a_table_that_is_never_filled_is_not_connected_rather_than_late():
    report = judge(make_phases(context=Result(Counts({}, SOURCE))))
    assert (report.state, report.health) == (StepState.NOT_CONNECTED, Health.NONE_EXPECTED)
    assert report.text == "nba_analytics.upcoming_player_game_context has no row of this date and of those before"


def test_a_step_that_cannot_be_read_is_unknown_and_no_trouble():
    phases = make_phases(context=Result(None, Problem("Context", EVENING, "BigQuery refused.")))
    report = judge(phases)
    assert (report.state, report.health, report.text) == (StepState.UNKNOWN, Health.UNKNOWN, "BigQuery refused.")
    assert first_trouble(phases, SETTINGS, EVENING) is None


def test_a_count_that_is_not_recorded_is_unknown_not_zero():
    report = judge(make_phases(context=make_counts(replace(make_count(), found=None))))
    assert (report.state, report.text) == (StepState.UNKNOWN, "how many is not recorded")
    assert report.done_at == at("10:40")


def test_a_count_of_zero_is_late_also_where_nothing_shows_what_is_usual():
    report = judge(make_phases(features=Result(Counts({DAY: make_count(0)}, SOURCE))), "features")
    assert (report.state, report.text) == (StepState.LATE, "nothing there")


def test_a_missing_team_is_short_though_the_count_is_as_usual():
    report = judge(make_phases(context=make_counts(make_count(64, parts=TEAMS - {"LAL"}))))
    assert (report.state, report.missing) == (StepState.SHORT, ("LAL",))


@pytest.mark.parametrize(("found", "state"), [(64, StepState.OK), (63, StepState.SHORT)])
def test_exactly_the_share_of_the_usual_count_is_enough(found, state):
    schedule = make_counts(make_count(2, parts=TEAMS | {"UTA"}))
    report = judge(make_phases(schedule=schedule, features=make_counts(make_count(found))), "features")
    assert (report.state, report.usual) == (state, 80)


def test_a_time_that_is_not_yet_is_not_when_a_step_was_done():
    phases = make_phases(context=make_counts(make_count(60)))
    assert judge(phases, now=at("10:39")).done_at is None
    assert judge(phases, now=at("10:40")).done_at == at("10:40")


def test_one_player_is_singular_and_games_are_not_compared_with_the_usual():
    phases = make_phases(context=make_counts(make_count(1)))
    assert judge(phases).text == "1 player, usually 64"
    assert judge(phases, "schedule").text == "2 games"


@pytest.mark.parametrize(("missing", "ending"), [(8, "T7; "), (9, "T7, …; ")])
def test_of_many_missing_teams_eight_are_named(missing, ending):
    teams = frozenset(f"T{n}" for n in range(missing))
    phases = make_phases(schedule=make_counts(make_count(5, parts=teams | {"UTA"})))
    counts = {**phases.counts, STEPS["context"]: make_counts(make_count(9, parts=frozenset({"UTA"})))}
    text = judge(replace(phases, counts=counts)).text
    assert text.startswith(f"{missing} of {missing + 1} teams missing: T0, T1, ")
    assert ending in text


def test_on_a_date_without_games_nothing_is_expected():
    schedule = make_phases(schedule=make_counts(None), context=make_counts(None))
    assert {report.state for report in judge_steps(schedule, SETTINGS, EVENING)[:2]} == {StepState.NONE_EXPECTED}


def test_without_a_schedule_odds_and_context_say_which_teams_play():
    odds = make_counts(make_count(30))
    phases = make_phases(schedule=None, odds=odds, context=make_counts(make_count(48, parts=TEAMS - {"MIA"})))
    assert judge(phases).missing == ("MIA",)


def test_a_schedule_that_lacks_a_date_is_late_where_odds_or_context_name_its_teams():
    odds, without_miami = make_counts(make_count(30)), make_count(48, parts=TEAMS - {"MIA"})
    phases = make_phases(schedule=make_counts(None), odds=odds, context=make_counts(without_miami))
    report = judge(phases, "schedule")
    assert (report.state, report.text) == (StepState.LATE, "nothing there")
    assert judge(phases).missing == ("MIA",)
    assert judge(make_phases(schedule=make_counts(None), odds=odds), "schedule").state is StepState.LATE


def drop_before(counts: Result[Counts], days: int) -> Result[Counts]:
    """The counts without the date that many days before."""
    assert counts.value is not None
    kept = {day: count for day, count in counts.value.by_date.items() if day != DAY - timedelta(days=days)}
    return Result(Counts(kept, SOURCE))


def test_an_earlier_date_with_games_and_without_the_step_is_late_in_its_strip():
    report = judge(make_phases(context=drop_before(make_counts(make_count(60)), 2)))
    assert (report.state, report.usual) == (StepState.OK, 64)
    assert (DAY - timedelta(days=2), StepState.LATE, 0) in report.earlier


def test_earlier_dates_without_a_count_a_time_or_a_game_are_no_obstacle():
    before = [f"{DAY - timedelta(days=n)}" for n in (1, 2)]
    schedule = make_counts(make_count(2), **{before[1]: make_count(0, parts=frozenset())})
    unrecorded = StepCount(None, None, None, TEAMS)
    report = judge(make_phases(schedule=schedule, context=make_counts(make_count(60), **{before[0]: unrecorded})))
    assert (report.state, report.usual, report.usual_time) == (StepState.OK, 64, timedelta(hours=10, minutes=40))


@pytest.mark.parametrize(
    ("nights", "usual"), [(SETTINGS.inputs_min_nights, 64), (SETTINGS.inputs_min_nights - 1, None)]
)
def test_what_is_usual_needs_enough_dates_before_and_this_one_is_none_of_them(nights, usual):
    days = [DAY - timedelta(days=n) for n in range(nights + 1)]
    counts = Result(Counts({day: make_count(day=day) for day in days}, SOURCE))
    report = judge(make_phases(schedule=counts, context=counts))
    assert (report.usual, report.usual_time is None) == (usual, usual is None)


def test_a_step_after_the_predictions_does_not_say_which_teams_play():
    phases = make_phases(schedule=None, context=make_counts(None), box_scores=make_counts(make_count()))
    assert judge(phases).state is StepState.UNKNOWN


def test_a_step_that_names_no_teams_does_not_say_that_none_plays():
    features = make_counts(make_count(60, parts=frozenset()))
    phases = make_phases(schedule=None, context=make_counts(None), features=features)
    assert judge(phases).state is StepState.UNKNOWN
    report = judge(phases, "features")
    assert (report.state, report.usual, report.text) == (StepState.OK, None, "60 players")
    alone = judge(make_phases(schedule=None, features=features), "features")
    assert (alone.state, alone.text) == (StepState.OK, "60 players")


@pytest.mark.parametrize("schedule", [Result(Counts({}, SOURCE)), Result(None, Problem("Schedule", EVENING, "No."))])
def test_a_schedule_that_is_empty_or_unread_does_not_say_that_there_are_no_games(schedule):
    assert judge(make_phases(schedule=schedule, context=make_counts(None))).state is StepState.UNKNOWN


def test_without_any_team_known_a_due_step_is_unknown():
    phases = make_phases(schedule=None, context=make_counts(None))
    assert judge(phases).state is StepState.UNKNOWN
    assert judge(phases, now=at("09:00")).state is StepState.NOT_DUE


@pytest.mark.parametrize(
    ("found", "total", "state", "text"),
    [
        (20, 100, StepState.OK, "20 of 100 rows (20.0%), allowed 0–20%"),
        (21, 100, StepState.FAILED, "21 of 100 rows (21.0%), allowed 0–20%"),
        (60, 300, StepState.OK, "60 of 300 rows (20.0%), allowed 0–20%"),
        (0, 0, StepState.NONE_EXPECTED, "no rows to judge"),
    ],
)
def test_a_quality_step_is_judged_by_its_range_and_warns(found, total, state, text):
    lines = make_counts(make_count(found, total))
    report = judge(make_phases(placeholder_lines=lines), "placeholder_lines")
    assert (report.state, report.text) == (state, text)
    assert report.health in (Health.OK, Health.WARNING, Health.NONE_EXPECTED)


def test_a_quality_step_without_a_row_is_not_due_and_then_has_nothing_to_judge():
    phases = make_phases(placeholder_lines=make_counts(None))
    early, late = (judge(phases, "placeholder_lines", at(now)) for now in ("17:59", "18:00"))
    assert (early.state, early.text) == (StepState.NOT_DUE, "due 29 Dec 18:00 ET")
    assert (late.state, late.text) == (StepState.NONE_EXPECTED, "no rows to judge")


def test_a_quality_step_whose_count_is_not_recorded_is_unknown():
    report = judge(make_phases(placeholder_lines=make_counts(make_count(None, 100))), "placeholder_lines")
    assert (report.state, report.text) == (StepState.UNKNOWN, "how many is not recorded")


def test_a_quality_step_without_a_total_is_judged_in_its_unit():
    report = judge(make_phases(model_age=make_counts(make_count(61))), "model_age")
    assert (report.state, report.text) == (StepState.FAILED, "61 days, allowed 0–60")


@pytest.mark.parametrize(("hours", "state"), [(0.9, StepState.OK), (1.1, StepState.FAILED)])
def test_a_run_is_stuck_an_hour_after_its_start_at_the_earliest(hours, state):
    since = EVENING - timedelta(hours=hours)
    phases = make_phases(make_runs(CONTEXT, unfinished=1, unfinished_since=since), context=make_counts(make_count()))
    report = judge(phases, "stuck_runs")
    assert (report.state, report.found) == (state, int(state is StepState.FAILED))


def test_stuck_runs_have_the_owner_and_the_fix_of_the_longest_one_for_its_own_date():
    run = make_runs("PredictionAccuracyProcessor", unfinished=1, unfinished_since=EVENING - timedelta(hours=5))
    other = make_runs("BackfillProcessor", unfinished=1, unfinished_since=EVENING - timedelta(hours=2))
    phases = make_phases(replace(run, data_date=DAY - timedelta(days=2)), other, grading=make_counts(make_count()))
    step = judge(phases, "stuck_runs").step
    assert step.owner == "Grading"
    assert '"target_date":"2025-12-27"' in step.fix_command(SETTINGS, DAY)
    calm = judge(make_phases(make_runs("BackfillProcessor")), "stuck_runs").step
    assert (calm.owner, calm.fix) == ("Prediction on-call", "")


def test_a_run_that_usually_takes_long_is_not_stuck_before_three_times_that():
    since = EVENING - timedelta(hours=2)
    run = make_runs("BackfillProcessor", unfinished=1, unfinished_since=since, longest_s=3_600.0)
    assert judge(make_phases(run), "stuck_runs").state is StepState.OK


def test_the_first_trouble_is_the_first_step_before_the_predictions():
    late = make_counts(None)
    phases = make_phases(context=late, features=late, grading=late)
    trouble = first_trouble(phases, SETTINGS, at("23:00"))
    assert trouble is not None
    assert trouble.problem == "context is missing since 11:05 ET"
    after_only = make_phases(context=make_counts(make_count()), box_scores=late)
    assert first_trouble(after_only, SETTINGS, EVENING + timedelta(days=1)) is None


def test_a_trouble_is_the_part_of_a_sentence_in_the_words_of_its_step():
    late, short = make_counts(None), make_counts(make_count(50))
    features = judge(make_phases(features=late), "features")
    assert (features.health, features.problem) == (Health.CRITICAL, "features are missing since 11:30 ET")
    assert features.error == ""
    assert judge(make_phases(features=short), "features").problem == "features short: 50 players, usually 64"
    lines = judge(make_phases(placeholder_lines=make_counts(make_count(21, 100))), "placeholder_lines")
    assert lines.problem.startswith("placeholder lines failed: 21 of 100 rows")
    none_found = replace(lines, text="0 rows, allowed 1–2", found=0)
    assert none_found.problem == "placeholder lines failed: 0 rows, allowed 1–2"
    assert replace(features, step=replace(features.step, title="NBA data"), since=None).problem == "NBA data is missing"
    assert replace(features, judged=Health.OK).health is Health.OK


def judge_runs(*runs: ProcessorRuns) -> StepReport:
    return judge(make_phases(*runs), "stuck_runs")


@pytest.mark.parametrize(
    "changes",
    [
        {"unfinished": 1, "unfinished_since": EVENING - timedelta(hours=1)},
        {"unfinished": 1, "unfinished_since": None},
        {"unfinished": 0, "unfinished_since": EVENING - timedelta(days=1)},
    ],
)
def test_a_run_that_has_ended_or_began_an_hour_ago_or_at_no_known_time_is_not_stuck(changes):
    assert judge_runs(make_runs(CONTEXT, **changes)).state is StepState.OK


def test_how_long_a_run_may_take_is_shown_by_the_runs_of_its_own_processor():
    since = EVENING - timedelta(hours=2)
    stuck = make_runs("Export", unfinished=1, unfinished_since=since, longest_s=None)
    report = judge_runs(stuck, make_runs("Backfill", longest_s=20_000.0))
    assert (report.state, report.text) == (StepState.FAILED, "1 run: Export of 29 Dec since 29 Dec 17:00 ET")
    assert (report.step.owner, report.step.fix) == ("Prediction on-call", "")
    report = judge_runs(stuck, make_runs("Export", longest_s=240.0))
    assert report.text == "1 run: Export of 29 Dec since 29 Dec 17:00 ET, longest run 4 min"


@pytest.mark.parametrize(("count", "more"), [(3, False), (4, True)])
def test_of_many_stuck_runs_three_are_named(count, more):
    since = EVENING - timedelta(hours=2)
    report = judge_runs(*(make_runs(f"P{n}", unfinished=1, unfinished_since=since) for n in range(count)))
    assert report.text.startswith(f"{count} runs: P0 of 29 Dec since")
    assert report.text.partition("; and ")[2] == ("1 more" if more else "")
    assert "P2 of" in report.text


def test_a_run_history_that_cannot_be_read_is_unknown():
    unread = replace(make_phases(), runs=Result(None, Problem("The run history", EVENING, "BigQuery refused.")))
    report = judge(unread, "stuck_runs")
    assert (report.state, report.text) == (StepState.UNKNOWN, "BigQuery refused.")
