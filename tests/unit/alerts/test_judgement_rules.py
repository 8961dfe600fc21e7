"""The judgement's statements as alert rules: a green night fires none, and each of the Purpose's shrunken nights fires its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.alerts.evaluation import evaluate_rules
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Result
from services.core.settings import Settings
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.game_inputs import GameInputs
from services.nights.written_rows import SystemRows
from tests.support.alert_factories import (
    NOW,
    SETTINGS,
    failed_result,
    make_batch,
    make_night_snapshot,
    make_snapshot,
    ok_result,
)
from tests.support.factories import NIGHT, TIP_OFF, make_history, make_night, make_player
from tests.support.phase_facts import TEAMS, at, make_count, make_counts, make_phases

SYSTEMS = ("ensemble_v1", "moving_average", "similarity_balanced_v1", "xgboost_v1", "zone_matchup_v1")
USUAL = make_history(*[dict.fromkeys(SYSTEMS, (114, 570))] * 3)
RULES = ("system_absent", "rows_short", "inputs_shrunk")
WHOLE = dict.fromkeys(SYSTEMS, 5)


def make_night_of(keys: dict[str, int], **changes: Any) -> Any:
    rows = sum(keys.values())
    fields = {"active_rows": rows, "written_rows": rows, "keys": tuple(keys.items())}
    return make_night(*[make_player(player_lookup=f"p{n}", **fields) for n in range(128)], **changes)


def fire(
    night: Any, settings: Settings = SETTINGS, now: datetime = NOW, **changes: Any
) -> dict[str, tuple[Health, str]]:
    """Health and message of the three rules."""
    snapshot = make_snapshot(make_night_snapshot(night=ok_result(night), **{"usual": ok_result(USUAL), **changes}))
    results = {r.rule.name: (r.health, r.message) for r in evaluate_rules(snapshot, settings, now)}
    return {name: results[name] for name in RULES}


def test_a_whole_night_fires_none_of_them():
    assert set(fire(make_night_of(WHOLE)).values()) == {(Health.OK, "")}


def test_a_system_without_a_row_is_absent_and_its_rows_are_short():
    fired = fire(make_night_of({**WHOLE, "xgboost_v1": 0}))
    assert fired["system_absent"] == (Health.CRITICAL, "xgboost_v1: 0 of 128 players")
    assert fired["rows_short"][0] is Health.CRITICAL


def test_one_row_of_each_system_is_short_and_no_system_is_absent():
    fired = fire(make_night_of(dict.fromkeys(SYSTEMS, 1)))
    assert fired["system_absent"] == (Health.OK, "")
    assert fired["rows_short"][0] is Health.CRITICAL
    assert "2,560 of 3,200 rows missing" in fired["rows_short"][1]


def test_rows_are_not_short_while_a_batch_runs_in_time():
    running = ok_result(Batches((make_batch(state=BatchState.RUNNING, ended=None),), ()))
    night = make_night_of({**WHOLE, "xgboost_v1": 0})
    fired = fire(night, batches=running, now=TIP_OFF - timedelta(hours=4))
    assert fired["system_absent"] == (Health.OK, "")
    assert fired["rows_short"] == (Health.UNKNOWN, "")
    late = fire(night, batches=running, now=TIP_OFF)
    assert {late["system_absent"][0], late["rows_short"][0]} == {Health.CRITICAL}


def test_a_system_may_be_short_within_its_own_threshold():
    keys = {**WHOLE, "xgboost_v1": 4}
    assert fire(make_night_of(keys))["rows_short"][0] is Health.CRITICAL
    by_system = {"ROWS_CRITICAL_PCT_BY_SYSTEM": "xgboost_v1=70", "ROWS_WARNING_PCT_BY_SYSTEM": "xgboost_v1=75"}
    assert fire(make_night_of(keys), Settings.from_env(by_system))["rows_short"][0] is Health.WARNING


def test_doubled_rows_are_another_rules():
    doubled = tuple(SystemRows(s, 128, keys=640, active=1280, doubled=640) for s in SYSTEMS)
    assert fire(make_night_of(WHOLE, systems=doubled))["rows_short"] == (Health.OK, "")


@pytest.mark.parametrize(("was_run", "health"), [(False, Health.WARNING), (True, Health.CRITICAL)])
def test_fewer_eligible_players_a_game_than_usual_are_shrunk_inputs(was_run, health):
    days = tuple(
        NightCoverage(NIGHT - timedelta(days=n), 9, 135, 288, 126, 126, 3150, (), Health.OK) for n in range(1, 10)
    )
    games = tuple(GameInputs((f"A{n}", f"H{n}"), (16, 16), 15) for n in range(9))
    players = [make_player(player_lookup=f"p{n}") for n in range(36)]
    fired = fire(make_night(*players, was_run=was_run, game_inputs=games), usual=ok_result(CoverageHistory(days, ())))
    assert fired["inputs_shrunk"] == (health, "36 eligible in 9 games: 4 a game, usually 14")


@pytest.mark.parametrize("source", ["night", "usual"])
def test_without_one_of_their_sources_they_are_unknown(source):
    snapshot = make_snapshot(make_night_snapshot(**{source: failed_result()}))
    results = {r.rule.name: r.health for r in evaluate_rules(snapshot, SETTINGS, NOW)}
    assert {results["rows_short"], results["system_absent"]} == {Health.UNKNOWN}


def evaluate(night: Any) -> Any:
    """The result of the rule about the steps before the predictions."""
    return next(r for r in evaluate_rules(make_snapshot(night), SETTINGS, at("19:00")) if r.rule.name == "input_step")


def test_a_step_before_the_predictions_fires_with_its_owner_and_its_fix():
    short = make_phases(context=make_counts(make_count(48, parts=TEAMS - {"LAL"})))
    outcome = evaluate(make_night_snapshot(phases=short))
    assert (outcome.health, outcome.since) == (Health.CRITICAL, at("11:05"))
    assert outcome.message.startswith("context is missing for 1 team since 11:05 ET; 1 of 4 teams missing: LAL")
    assert "owner: Analytics; fix: gcloud scheduler jobs run same-day-phase3" in outcome.message


def test_steps_that_are_done_are_ok_and_unread_ones_no_data():
    done = make_phases(context=make_counts(make_count()))
    assert evaluate(make_night_snapshot(phases=done)).health is Health.OK
    unread: Result[Any] = Result(None, Problem("Context", NOW, "BigQuery refused."))
    for phases in (None, make_phases(schedule=unread, context=unread)):
        assert evaluate(make_night_snapshot(phases=phases)).health is Health.UNKNOWN
