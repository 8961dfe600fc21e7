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


def test_the_judgement_of_the_night_has_the_rows():
    judgement = judge_night(make_facts(make_night_of({"ensemble_v1": 5})), SETTINGS)
    assert judgement.get(Subject.ROWS).health is judgement.health is Health.CRITICAL
