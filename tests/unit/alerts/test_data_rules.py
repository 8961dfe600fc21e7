"""The rules about a night's data: each fires from its threshold on, on its own night, and unknown is never OK."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.incidents import group_by_cause
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.clock import night_window
from services.core.result import Health
from services.core.settings import Settings
from tests.support.alert_factories import (
    BATCH,
    NIGHT,
    NOW,
    SETTINGS,
    STARTED,
    make_batch,
    make_batch_record,
    make_night_snapshot,
    make_players,
    make_snapshot,
    make_source_times,
    ok_result,
)
from tests.support.factories import TIP_OFF, make_night, player_without_rows

OTHER_NIGHT = NIGHT - timedelta(days=5)
SECOND = timedelta(seconds=1)
DEADLINE = TIP_OFF - timedelta(minutes=SETTINGS.run_deadline_before_tipoff_min)


def results_of(rule: str, snapshot: Any, now: Any = NOW, settings: Settings = SETTINGS) -> list[tuple[Any, ...]]:
    """Date, health and message of each result of a rule."""
    results = [r for r in evaluate_rules(snapshot, settings, now) if r.rule.name == rule]
    return [(r.game_date, r.health, r.message) for r in results]


# --- duplicates -----------------------------------------------------------------------------------------------------------


def test_duplicates_of_any_recent_date_are_an_alert_of_that_date():
    snapshot = make_snapshot(duplicates=ok_result({OTHER_NIGHT: 112}))
    assert results_of("duplicates", snapshot) == [
        (NIGHT, Health.OK, ""),
        (OTHER_NIGHT, Health.CRITICAL, "112 keys have more than one active row"),
    ]
    [incident] = group_by_cause(evaluate_rules(snapshot, SETTINGS, NOW))
    assert (incident.cause, incident.game_date) == ("rows", OTHER_NIGHT)


def test_duplicates_of_a_checked_night_are_of_its_batch():
    snapshot = make_snapshot(duplicates=ok_result({NIGHT: 1}))
    assert results_of("duplicates", snapshot) == [(NIGHT, Health.CRITICAL, "1 key has more than one active row")]
    [incident] = group_by_cause(evaluate_rules(snapshot, SETTINGS, NOW))
    assert incident.leading_result.batch_id == BATCH


# --- players without an answer ----------------------------------------------------------------------------------------------


def unanswered(counts: dict[str, int], active: int = 68, settings: Settings = SETTINGS, **changes: Any) -> Any:
    record = make_batch_record(state=BatchState.STALLED, requested=90, details={"outcomes": counts}, **changes)
    lost = [player_without_rows(player_lookup=f"lost{n}") for n in range(158 - active)]
    night = make_night(*make_players(active), *lost)
    snapshot = make_snapshot(make_night_snapshot(ledger=ok_result(record), night=ok_result(night)))
    [(_, health, message)] = results_of("unanswered", snapshot, settings=settings)
    return health, message


def test_players_without_an_answer_are_counted_by_outcome():
    assert unanswered({"staged": 68, "no answer": 20, "internal error": 2}) == (
        Health.CRITICAL,
        f"{BATCH}: 22 of 90 players without an answer (2 internal error, 20 no answer)",
    )


def test_the_other_outcomes_are_answers():
    assert unanswered({"staged": 68, "not generated": 20, "write rejected": 2}) == (Health.OK, "")


def test_unanswered_players_count_from_the_threshold_on():
    settings = Settings.from_env({"UNANSWERED_PLAYERS": "3"})
    assert unanswered({"no answer": 2}, settings=settings)[0] is Health.OK
    assert unanswered({"no answer": 3}, settings=settings)[0] is Health.CRITICAL


def test_a_batch_in_progress_and_a_night_that_is_complete_wait_for_no_answer():
    snapshot = make_night_snapshot(
        ledger=ok_result(make_batch_record(state=BatchState.RUNNING, details={"outcomes": {"no answer": 9}})),
        night=ok_result(make_night(player_without_rows())),
    )
    assert results_of("unanswered", make_snapshot(snapshot)) == [(NIGHT, Health.OK, "")]
    assert unanswered({"no answer": 9}, active=158) == (Health.OK, "")


# --- a run outside its time -----------------------------------------------------------------------------------------------


def run_at(*starts: Any, now: Any = NOW, tip_off: Any = TIP_OFF) -> Any:
    batches = Batches(tuple(make_batch(batch_id=f"b{n}", started=start) for n, start in enumerate(starts)), ())
    night = ok_result(make_night(*make_players(158), tip_offs=(tip_off,) if tip_off else ()))
    [(_, health, message)] = results_of(
        "run_time", make_snapshot(make_night_snapshot(batches=ok_result(batches), night=night)), now
    )
    return health, message


@pytest.mark.parametrize(
    ("start", "health"),
    [
        (TIP_OFF - timedelta(hours=36) - SECOND, Health.WARNING),
        (TIP_OFF - timedelta(hours=36), Health.OK),
        (TIP_OFF - SECOND, Health.OK),
        (TIP_OFF, Health.WARNING),
    ],
)
def test_the_first_run_is_in_time_from_36_h_before_the_first_tip_off_to_it(start, health):
    assert run_at(start)[0] is health


def test_the_sentence_has_the_start_and_the_distance_to_the_first_tip_off():
    assert run_at(TIP_OFF + timedelta(minutes=30))[1] == (
        "the first run began 19:30:00 ET, 0.5 h after the first tip-off"
    )
    assert run_at(TIP_OFF - timedelta(hours=40))[1] == (
        "the first run began 03:00:00 ET, 40.0 h before the first tip-off"
    )


def test_a_repair_after_the_first_tip_off_is_no_run_outside_its_time():
    assert run_at(TIP_OFF + timedelta(hours=6), STARTED)[0] is Health.OK


def test_a_run_outside_its_time_ends_with_its_night():
    end = night_window(NIGHT)[1]
    assert run_at(TIP_OFF, now=end - SECOND)[0] is Health.WARNING
    assert run_at(TIP_OFF, now=end)[0] is Health.OK


def test_without_a_run_or_a_tip_off_no_run_is_outside_its_time():
    assert run_at()[0] is run_at(None)[0] is run_at(TIP_OFF, tip_off=None)[0] is Health.OK


# --- stale sources --------------------------------------------------------------------------------------------------------


def test_a_source_older_than_usual_at_the_deadline_is_named_with_both_times():
    times = make_source_times(DEADLINE, odds_before_h=5.5)
    assert results_of("source_stale", make_snapshot(source_times=ok_result(times)), DEADLINE) == [
        (NIGHT, Health.WARNING, "odds was last refreshed 12:00:00 ET, 4.0 h earlier than usual")
    ]


def test_a_source_without_a_row_of_the_date_is_named():
    times = tuple(t for t in make_source_times(DEADLINE) if (t.game_date, t.source) != (NIGHT, "context"))
    assert results_of("source_stale", make_snapshot(source_times=ok_result(times)), DEADLINE) == [
        (NIGHT, Health.WARNING, "context has no row of this date at the run deadline, 17:30:00 ET")
    ]


def test_a_source_is_not_late_before_the_deadline():
    times = make_source_times(DEADLINE, odds_before_h=9)
    assert results_of("source_stale", make_snapshot(source_times=ok_result(times)), DEADLINE - SECOND) == [
        (NIGHT, Health.OK, "")
    ]
