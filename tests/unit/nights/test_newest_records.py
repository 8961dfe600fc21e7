"""The newest batch that asked for a player decides what is known of him: an earlier one's rejected write is history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from services.nights.missing_players import LossReason, classify_missing
from services.nights.player_stages import PlayerStatus, explain_unnamed, to_player_status
from services.nights.rows import OutcomeRow, PlayerRow, WorkerRunRow
from services.nights.sources import NightData
from services.nights.worker_log import Generation, Rejection, WorkerLog
from services.telemetry.log_reader import LogLine
from tests.support.alert_factories import STARTED
from tests.support.factories import make_night

LATER = STARTED + timedelta(hours=11)
ERROR = "400 Too many DML statements outstanding against table x"
ANN: PlayerRow = {
    "player_lookup": "ann",
    "player_name": "Ann",
    "game_id": "g",
    "team": "NOP",
    "opponent": "NYK",
    "away_team": "NYK",
    "home_team": "NOP",
    "has_odds": True,
    "in_context": True,
    "shares_lookup_with": "",
    "minutes": 30.0,
    "status": "ACTIVE",
    "ready": True,
    "alias_canonical": None,
}


def batch_id(started: datetime) -> str:
    return f"batch_2025-12-29_{started.timestamp():.0f}"


def make_outcome(started: datetime, outcome: str, **changes: Any) -> OutcomeRow:
    row: dict[str, Any] = {
        "player_lookup": "ann",
        "batch_id": batch_id(started),
        "outcome": outcome,
        "reason": outcome,
        "message": "",
        "produced_rows": None,
        "staged_rows": None,
        "staging_table": None,
        "attempts": 1,
        "recorded_at": started + timedelta(minutes=2),
    }
    return cast(OutcomeRow, {**row, **changes})


def make_run(started: datetime, **changes: Any) -> WorkerRunRow:
    at = started + timedelta(minutes=1)
    row: dict[str, Any] = {
        "player_lookup": "ann",
        "batch_id": batch_id(started),
        "success": True,
        "predictions_generated": 25,
        "skip_reason": None,
        "error_message": None,
        "run_date": at,
        "created_at": at,
    }
    return cast(WorkerRunRow, {**row, **changes})


def make_line(at: datetime, message: str = ERROR) -> LogLine:
    return LogLine(at, "prediction-worker", "r", "ERROR", message, "i")


def make_log(at: datetime) -> WorkerLog:
    """A player whose rows were generated and rejected at that time."""
    return WorkerLog(
        generated_rows={"ann": Generation(make_line(at), 25)}, rejected={"ann": Rejection(make_line(at), ERROR)}
    )


def status(log: WorkerLog, run: WorkerRunRow | None, outcome: OutcomeRow | None) -> PlayerStatus:
    data = NightData(
        players=(ANN,),
        tip_offs=(),
        written={},
        left_games=(),
        unlisted_games=(),
        systems=(),
        active_players=0,
        game_inputs=(),
        lines=(),
        absent_columns=frozenset(),
        worker_runs={"ann": run} if run else {},
        ledger_rows={"ann": outcome} if outcome else {},
        staged={},
        worker_log=log,
    )
    return to_player_status(ANN, data)


def reason(player: PlayerStatus) -> LossReason | None:
    missing = classify_missing(player, make_night(player))
    return missing.reason if missing else None


FIRST_RUN = make_log(STARTED + timedelta(minutes=1))


def test_a_rejected_write_of_the_only_batch_is_the_loss():
    player = status(FIRST_RUN, make_run(STARTED), None)
    assert (reason(player), player.generated_rows) == (LossReason.WRITE_REJECTED, 25)


@pytest.mark.parametrize("outcome", ["no answer", "internal error"])
def test_no_answer_of_the_newest_batch_replaces_the_rejected_write_of_an_earlier_one(outcome):
    player = status(FIRST_RUN, make_run(STARTED), make_outcome(LATER, outcome))
    assert (reason(player), player.write_error, player.generated_rows) == (LossReason.UNEXPLAINED, None, None)
    assert player.batch_id == batch_id(LATER)


def test_not_generated_by_the_newest_batch_replaces_what_an_earlier_one_generated():
    player = status(FIRST_RUN, make_run(STARTED), make_outcome(LATER, "not generated", produced_rows=0))
    assert reason(player) is LossReason.NOT_GENERATED


def test_a_line_of_an_earlier_run_that_did_not_generate_is_history():
    log = WorkerLog(not_generated={"ann": make_line(STARTED)})
    assert status(log, None, None).generated_rows == 0
    assert status(log, None, make_outcome(LATER, "no answer")).generated_rows is None


def test_a_rejected_write_in_our_ledger_is_history_once_another_run_asked_for_the_player():
    rejected = make_outcome(STARTED, "write rejected", message=ERROR, produced_rows=25)
    assert reason(status(WorkerLog(), None, rejected)) is LossReason.WRITE_REJECTED
    again = status(
        WorkerLog(), make_run(LATER, success=False, predictions_generated=0, skip_reason="no line"), rejected
    )
    assert (reason(again), again.generation_error, again.batch_id) == (
        LossReason.NOT_GENERATED,
        "no line",
        batch_id(LATER),
    )


def test_a_rejected_write_of_the_newest_batch_is_the_loss():
    log = make_log(LATER + timedelta(minutes=1))
    player = status(log, make_run(STARTED), make_outcome(LATER, "write rejected", produced_rows=25))
    assert reason(player) is LossReason.WRITE_REJECTED
    assert player.write_error is not None
    assert player.write_error.at == LATER + timedelta(minutes=1)


def test_a_run_row_that_names_no_batch_belongs_to_the_batch_that_had_begun():
    unnamed = make_run(LATER, batch_id=None)
    assert status(WorkerLog(), unnamed, make_outcome(LATER, "no answer")).generated_rows == 25
    assert status(WorkerLog(), unnamed, None).generated_rows == 25
    earlier = make_run(STARTED, batch_id=None)
    assert status(WorkerLog(), earlier, make_outcome(LATER, "no answer")).generated_rows is None


def test_rows_that_an_earlier_batch_staged_stay_staged():
    staged = make_outcome(STARTED, "staged", produced_rows=25, staged_rows=25, staging_table="d._staging_x")
    player = status(WorkerLog(), make_run(LATER, predictions_generated=None), staged)
    assert (player.staged_rows, player.staging_table) == (25, "d._staging_x")


def test_rejected_writes_without_a_name_explain_nobody_whom_a_later_batch_asked_for():
    unnamed = WorkerLog(unnamed=(Rejection(make_line(STARTED + timedelta(minutes=1)), ERROR),))
    lost = status(unnamed, make_run(STARTED), None)
    asked_again = status(unnamed, make_run(STARTED), make_outcome(LATER, "no answer"))
    assert [reason(player) for player in explain_unnamed((lost,), unnamed)] == [LossReason.WRITE_REJECTED]
    assert [reason(player) for player in explain_unnamed((asked_again,), unnamed)] == [LossReason.UNEXPLAINED]


def test_the_times_of_generated_and_staged_are_those_of_the_records_that_say_so():
    def times(log: WorkerLog, run: WorkerRunRow | None, outcome: OutcomeRow | None) -> tuple[Any, Any]:
        player = status(log, run, outcome)
        return player.generated_at, player.staged_at

    run, outcome = make_run(STARTED), make_outcome(STARTED, "staged", produced_rows=25, staged_rows=25)
    assert times(make_log(LATER), run, None) == (LATER, None)
    assert times(WorkerLog(), run, None) == (run["created_at"], None)
    assert times(WorkerLog(), make_run(STARTED, predictions_generated=0), None) == (None, None)
    assert times(WorkerLog(), None, outcome) == (None, outcome["recorded_at"])
    assert times(WorkerLog(), None, make_outcome(STARTED, "write rejected")) == (None, None)
