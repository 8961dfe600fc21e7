"""A batch's stages are those that were recorded, each of its players is listed with what became of him, its lines are its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.batches.ledger import BatchRecord, PlayerOutcome
from services.batches.state import BatchState
from services.core.result import Health
from services.runs.batch_details import (
    BatchStage,
    ledger_players,
    ledger_stages,
    lines_of_batch,
    write_stages,
    writes_of_batch,
)
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.log_reader import LogLine
from tests.support.alert_factories import BATCH, STARTED, make_batch, make_rejection_burst, make_write_report
from tests.support.factories import NIGHT, NOW, make_attempt, make_player, player_without_rows

SECOND = timedelta(seconds=1)


def record(state: BatchState, sequence: int, after_s: int, **changes) -> BatchRecord:
    return BatchRecord(BATCH, NIGHT, state, sequence, "c1", recorded_at=STARTED + after_s * SECOND, **changes)


def test_each_stage_lasts_until_the_next_state_is_recorded_and_the_last_of_a_running_batch_still_does():
    records = [
        record(BatchState.REQUESTED, 1, 0, requested=158),
        record(BatchState.RUNNING, 2, 5, requested=158, generated=20),
        record(BatchState.RUNNING, 3, 65, requested=158, generated=140),  # its progress, once a minute
        record(BatchState.STAGED, 4, 90, staged_rows=3950),
        record(BatchState.CONSOLIDATING, 5, 91),
    ]
    running = list(ledger_stages(records, NOW))
    at = [STARTED + seconds * SECOND for seconds in (0, 5, 90, 91)]
    assert running == [
        BatchStage("Requested", at[0], at[1], "158 players"),
        BatchStage("Generating", at[1], at[2], "140 of 158 players"),
        BatchStage("Staged", at[2], at[3], "3,950 rows staged"),
        BatchStage("Consolidating", at[3], None),
    ]
    ended = record(BatchState.CONSOLIDATED, 6, 100, inserted=3950, updated=0, unchanged=0)
    [*_, merging, last] = ledger_stages([*records, ended], NOW)
    assert (merging.end, last.start, last.end) == (ended.recorded_at, ended.recorded_at, ended.recorded_at)
    assert last.detail == "3,950 inserted, 0 updated, 0 unchanged"
    assert list(ledger_stages([], NOW)) == []


def test_every_requested_player_is_listed_with_the_recorded_outcome_and_whether_rows_are_active():
    outcomes = {
        lookup: PlayerOutcome(lookup, lookup, outcome, reason, produced_rows=25)
        for lookup, outcome, reason in (
            ("ann", "staged", ""),
            ("bob", "staged", ""),
            ("cid", "write rejected", "schema"),
            ("dan", "not asked", ""),
        )
    }
    night = {
        "ann": make_player(player_lookup="ann", player_name="Ann"),
        "bob": player_without_rows(player_lookup="bob"),
    }

    def states(state: BatchState) -> dict[str, tuple[str, Health]]:
        players = ledger_players(make_batch(state=state), [*outcomes, "eve"], outcomes, night)
        return {player.player_lookup: (player.state, player.health) for player in players}

    assert states(BatchState.CONSOLIDATED) == {
        "ann": ("active", Health.OK),
        "bob": ("inactive", Health.CRITICAL),
        "cid": ("write rejected", Health.CRITICAL),
        "dan": ("not requested", Health.WARNING),
        "eve": ("no answer", Health.CRITICAL),
    }
    assert states(BatchState.RUNNING)["bob"] == ("staged", Health.NONE_EXPECTED)
    assert states(BatchState.RUNNING)["eve"] == ("requested", Health.NONE_EXPECTED)


def line(after_s: int, message: str) -> LogLine:
    return LogLine(STARTED + after_s * SECOND, "prediction-worker", "r-1", "INFO", message, str(after_s))


def test_a_line_belongs_to_the_batch_that_it_names_or_else_to_the_one_that_ran():
    batch = make_batch(ended=STARTED + 180 * SECOND)
    lines = [
        line(-3600, "an hour before"),
        line(10, "Successfully generated 25 predictions"),
        line(20, "batch_2025-12-28_1 complete!"),
        line(190, "after its end"),
        line(220, "the next batch's"),
        line(4000, f"{BATCH} was resumed"),
    ]
    found = lines_of_batch(batch, lines, STARTED + 200 * SECOND, NOW)
    assert [entry.message for entry in found] == [lines[1].message, lines[3].message, lines[5].message]


def test_a_batch_without_a_ledger_has_its_writes_by_the_job_history_where_all_of_it_was_read():
    batch = make_batch(ended=STARTED + 180 * SECOND, status_text="complete! 158/158", requested=158)
    attempts = (
        make_attempt(at=STARTED + 30 * SECOND),
        make_attempt(at=STARTED + 60 * SECOND, ok=False),
        make_attempt(at=STARTED + 9000 * SECOND),  # of a later run
    )
    report = DmlReport(STARTED, NOW, 3, 1, (), (), 1, None, None, attempts, 1, Health.OK, ())
    [requested, writing, reported] = write_stages(batch, report)
    assert (requested.detail, writing.detail, reported.detail) == (
        "158 players",
        "1 written, 1 rejected",
        "complete! 158/158",
    )
    assert (writing.start, writing.end) == (STARTED + 30 * SECOND, STARTED + 60 * SECOND)
    in_part = replace(report, attempted=None)
    assert [stage.name for stage in write_stages(batch, in_part)] == ["Requested", "Reported"]
    assert list(write_stages(make_batch(started=None), report)) == []


def test_the_writes_of_a_batch_are_those_within_its_time_counted_by_the_minute():
    before, after = (make_attempt(job_id=f"o{s}", at=STARTED + s * SECOND, ok=False) for s in (-60, 3600))
    report = make_write_report(before, make_attempt(at=STARTED), *make_rejection_burst(90), after)
    of_batch = writes_of_batch(make_batch(), report)
    assert of_batch is not None
    assert (of_batch.attempted, of_batch.rejected) == (91, 90)
    assert [(at - STARTED.replace(second=0), *counts) for at, *counts in of_batch.by_minute] == [
        (0 * SECOND, 11, 10),
        (60 * SECOND, 60, 60),
        (120 * SECOND, 20, 20),
    ]
    assert of_batch.alert_at == report.alert_at
    calm = writes_of_batch(make_batch(started=STARTED - 7200 * SECOND, ended=STARTED - 7100 * SECOND), report)
    assert calm is not None
    assert (calm.attempted, calm.alert_at) == (0, None)
    assert writes_of_batch(make_batch(started=None), report) is None
    assert writes_of_batch(make_batch(), replace(report, attempted=None)) is None, "some of them may not have been read"
