"""What is said of a night's rows: which are missing, of which system, which are doubled; unknown while it runs or is unread."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Result
from services.judgement.facts import NightFacts
from services.judgement.judge import judge_night
from services.judgement.rows import judge_rows
from services.judgement.statement import Repair, Subject
from services.nights.rows import LINE_OF_ROW
from services.nights.written_rows import SystemRows
from tests.support.alert_factories import SETTINGS, failed_result, make_batch, make_write_report, ok_result
from tests.support.factories import NIGHT, NOW, TIP_OFF, make_history, make_night, make_player

SYSTEMS = ("ensemble_v1", "moving_average", "similarity_balanced_v1", "xgboost_v1", "zone_matchup_v1")
USUAL = make_history(*[dict.fromkeys(SYSTEMS, (114, 570))] * 3)


def make_night_of(keys: dict[str, int], count: int = 128, **changes: Any) -> Any:
    rows = sum(keys.values())
    players = [
        make_player(player_lookup=f"p{n}", active_rows=rows, written_rows=rows, keys=tuple(keys.items()), **changes)
        for n in range(count)
    ]
    return make_night(*players)


WHOLE = make_night_of(dict.fromkeys(SYSTEMS, 5))


def make_facts(night: Any, state: BatchState = BatchState.CONSOLIDATED, **changes: Any) -> NightFacts:
    batches = Batches((make_batch(state=state),), ())
    facts = NightFacts(
        NIGHT,
        NOW,
        ok_result(night),
        ok_result(batches),
        ok_result(make_write_report()),
        ok_result(USUAL),
        ok_result(None),
    )
    return replace(facts, **changes)


def test_a_whole_night_is_green_with_its_number():
    statement = judge_rows(make_facts(WHOLE), SETTINGS)
    assert (statement.health, statement.part, statement.whole) == (Health.OK, 3200, 3200)
    assert statement.text == "all 3,200 expected rows of the active players are there, no duplicate keys"


def test_four_of_five_systems_deleted_names_the_worst_system_and_the_rows():
    statement = judge_rows(make_facts(make_night_of({"ensemble_v1": 5})), SETTINGS)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 640, 3200)
    assert statement.text == (
        "moving_average: 0 of 128 players, and 3 more systems short; 2,560 of 3,200 rows missing (128 players incomplete)"
    )
    assert statement.repair is Repair.RERUN_PLAYERS


def test_one_row_left_for_each_player_is_critical():
    statement = judge_rows(make_facts(make_night_of({"ensemble_v1": 1}, count=130)), SETTINGS)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 130, 3250)


def test_every_row_doubled_is_critical_and_is_repaired_by_removing_duplicates():
    doubled = tuple(SystemRows(s, 172, keys=860, active=1720, doubled=860) for s in SYSTEMS)
    night = replace(make_night_of(dict.fromkeys(SYSTEMS, 5), count=172), systems=doubled)
    statement = judge_rows(make_facts(night), SETTINGS)
    assert (statement.health, statement.text) == (Health.CRITICAL, "4,300 duplicate keys")
    assert (statement.repair, statement.part, statement.whole) == (Repair.REMOVE_DUPLICATES, 0, 4300)


def test_a_single_row_missing_is_a_warning_and_never_green():
    night = make_night(*WHOLE.players[1:], make_player(player_lookup="ann", keys=(("ensemble_v1", 24),)))
    facts = make_facts(night)
    statement = judge_rows(facts, SETTINGS)
    assert (statement.health, statement.text) == (Health.WARNING, "1 of 3,200 rows missing (1 player incomplete)")
    assert judge_night(facts, SETTINGS).health is not Health.OK


def test_a_system_has_thresholds_of_its_own():
    keys = dict.fromkeys(SYSTEMS, 5) | {"xgboost_v1": 4}
    facts = make_facts(make_night_of(keys, generated_rows=24))
    assert judge_rows(facts, SETTINGS).health is Health.CRITICAL
    tolerant = SETTINGS.model_copy(
        update={
            "rows_critical_pct_by_system": (("xgboost_v1", 70.0),),
            "rows_warning_pct_by_system": (("xgboost_v1", 75.0),),
        }
    )
    assert judge_rows(facts, tolerant).health is Health.WARNING


def test_before_the_run_nothing_is_missing():
    night = replace(make_night(make_player(active_rows=0, written_rows=0)), was_run=False)
    assert judge_rows(make_facts(night), SETTINGS).health is Health.NONE_EXPECTED


def test_while_a_batch_runs_missing_rows_are_unknown_and_doubled_ones_are_not():
    partial = make_night_of({"ensemble_v1": 5})
    in_time = make_facts(partial, BatchState.RUNNING, now=TIP_OFF - timedelta(hours=4))
    statement = judge_rows(in_time, SETTINGS)
    assert (statement.health, statement.repair) == (Health.UNKNOWN, None)
    assert statement.text.startswith("as of 15:00 ET (20:00 UTC), batch running; moving_average: 0 of 128 players")
    doubled = replace(WHOLE, systems=(SystemRows("ensemble_v1", 1, 1, 2, 1),))
    assert judge_rows(make_facts(doubled, BatchState.RUNNING), SETTINGS).health is Health.CRITICAL


def test_past_its_deadline_a_running_batch_leaves_missing_rows_as_they_are_now():
    statement = judge_rows(make_facts(make_night_of({"ensemble_v1": 5}), BatchState.RUNNING), SETTINGS)
    assert (statement.health, statement.repair) == (Health.CRITICAL, None)
    assert statement.text.startswith("as of 01:45 ET (06:45 UTC), batch running; moving_average: 0 of 128 players")


PROBLEM = Problem("worker runs", NOW, "no answer")


@pytest.mark.parametrize(
    "changes",
    [
        {"night": failed_result()},
        {"night": Result(WHOLE, outdated=PROBLEM)},
        {"night": ok_result(replace(WHOLE, problems=(PROBLEM,)))},
        {"usual": failed_result()},
        {"usual": Result(USUAL, outdated=PROBLEM)},
    ],
)
def test_a_source_that_cannot_be_read_or_is_old_makes_the_rows_unknown(changes):
    assert judge_rows(replace(make_facts(WHOLE), **changes), SETTINGS).health is Health.UNKNOWN


def test_rows_that_are_known_to_be_missing_stay_critical_without_the_nights_before():
    facts = make_facts(make_night_of({"ensemble_v1": 1}), usual=failed_result())
    assert judge_rows(facts, SETTINGS).health is Health.CRITICAL


def test_without_record_and_earlier_nights_the_expected_rows_are_not_recorded():
    night = make_night_of({"ensemble_v1": 5}, recorded_rows=None)
    statement = judge_rows(make_facts(night, usual=ok_result(make_history())), SETTINGS)
    assert (statement.health, statement.recorded) == (Health.NONE_EXPECTED, False)


def test_no_rows_are_expected_of_a_night_that_was_not_run_or_has_nobody_active():
    not_run = make_night(make_player(active_rows=0, written_rows=0), was_run=False)
    no_games = make_night(games=0, was_run=False)
    nobody = make_night(make_player(active_rows=0, written_rows=0))
    for night, text in (
        (not_run, "not run yet, no rows expected"),
        (no_games, "no games, no rows expected"),
        (nobody, "no active players, no rows expected"),
    ):
        statement = judge_rows(make_facts(night), SETTINGS)
        assert (statement.subject, statement.health, statement.text) == (Subject.ROWS, Health.NONE_EXPECTED, text)
        old = judge_rows(replace(make_facts(night), night=Result(night, outdated=PROBLEM)), SETTINGS)
        assert old.health is Health.UNKNOWN


def test_a_night_that_was_not_run_expects_no_rows_though_some_are_active():
    """Whether a contradiction is one is said of its players."""
    statement = judge_rows(make_facts(replace(WHOLE, was_run=False)), SETTINGS)
    assert statement.health is Health.NONE_EXPECTED


def test_where_rows_have_no_line_duplicates_are_not_recorded():
    night = replace(WHOLE, absent_columns=frozenset((LINE_OF_ROW,)))
    assert judge_rows(make_facts(night), SETTINGS).text.endswith("are there, duplicate keys are not recorded")


NOTHING_USUAL = ok_result(make_history())
UNRECORDED = make_night_of({"ensemble_v1": 5}, recorded_rows=None)


def test_rows_whose_expected_number_is_not_recorded_are_counted():
    statement = judge_rows(make_facts(UNRECORDED, usual=NOTHING_USUAL), SETTINGS)
    assert statement.text == "640 active rows, no duplicate keys; how many are expected is not recorded"
    assert (statement.subject, statement.page) == (Subject.ROWS, "coverage")


@pytest.mark.parametrize("reading", ["night", "usual"])
def test_expected_rows_that_an_old_reading_does_not_record_are_unknown(reading):
    facts = make_facts(UNRECORDED, usual=NOTHING_USUAL)
    old = replace(facts, **{reading: replace(getattr(facts, reading), outdated=PROBLEM)})
    assert judge_rows(old, SETTINGS).health is Health.UNKNOWN


def test_duplicates_and_an_unread_history_are_never_merely_not_recorded():
    doubled = replace(UNRECORDED, systems=(SystemRows("ensemble_v1", 128, 640, 641, 1),))
    assert judge_rows(make_facts(doubled, usual=NOTHING_USUAL), SETTINGS).health is Health.CRITICAL
    assert judge_rows(make_facts(UNRECORDED, usual=failed_result()), SETTINGS).health is Health.UNKNOWN


def test_one_absent_system_is_critical_however_small_its_part_of_the_rows():
    names = [f"system_{n:02}" for n in range(20)]
    usual = make_history(*[dict.fromkeys(names, (114, 570))] * 3)
    facts = make_facts(make_night_of(dict.fromkeys(names[1:], 5), recorded_rows=None), usual=ok_result(usual))
    statement = judge_rows(facts, SETTINGS)
    assert (statement.health, statement.text) == (
        Health.CRITICAL,
        "system_00: 0 of 128 players; 640 of 12,800 rows missing (128 players incomplete)",
    )


@pytest.mark.parametrize(("warning", "critical", "health"), [(80, 75, "ok"), (81, 80, "warning"), (90, 81, "critical")])
def test_a_share_of_rows_at_a_threshold_is_on_its_better_side(warning, critical, health):
    facts = make_facts(make_night_of({"ensemble_v1": 20}))  # of 25 that were generated
    limits = SETTINGS.model_copy(update={"rows_warning_pct": float(warning), "rows_critical_pct": float(critical)})
    assert judge_rows(replace(facts, usual=NOTHING_USUAL), limits).health == health


def test_a_system_of_which_each_player_has_rows_is_short_in_rows():
    keys = dict.fromkeys(SYSTEMS, 5) | {"xgboost_v1": 4}
    text = judge_rows(make_facts(make_night_of(keys, generated_rows=24)), SETTINGS).text
    assert text == "xgboost_v1: 512 of 640 rows; 128 of 3,200 rows missing (128 players incomplete)"


def test_a_running_batch_with_all_its_rows_needs_no_time_in_its_sentence():
    facts = make_facts(WHOLE, BatchState.RUNNING, now=TIP_OFF - timedelta(hours=4))
    statement = judge_rows(facts, SETTINGS)
    assert (statement.health, statement.text[:9]) == (Health.OK, "all 3,200")


def test_a_whole_night_needs_no_repair():
    assert judge_rows(make_facts(WHOLE), SETTINGS).repair is None


def test_the_judgement_of_the_night_has_the_rows():
    judgement = judge_night(make_facts(make_night_of({"ensemble_v1": 5})), SETTINGS)
    assert judgement.get(Subject.ROWS).health is judgement.health is Health.CRITICAL
