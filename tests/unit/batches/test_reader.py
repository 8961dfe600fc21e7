"""A batch of the customer's coordinator, put together from log lines, run rows and staging tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.log_reader import Action, ActionLog, ActionState
from services.batches.log_batches import StagedTable, collect_log_batches
from services.batches.log_runs import date_of_line, find_log_runs, is_of_another_date
from services.batches.reader import _StateRow, read_batches, read_open_dates
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.core.result import DataSource, Health
from services.core.settings import Settings
from services.gcp.query_catalog import QueryResult
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.telemetry.log_reader import LogLine, LogLines

GAME_DATE = date(2025, 12, 29)
BATCH = "batch_2025-12-29_1767037620"
STARTED = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
NOW = STARTED + timedelta(minutes=3)
START_LINE = f"Starting prediction batch for {GAME_DATE} (correlation_id=1a2b3c4d, parent=None)"


def make_line(message, time=NOW, service="prediction-coordinator"):
    return LogLine(time, service, "r", "INFO", message, "i")


def make_rows(players=60, batch_id: str | None = BATCH, at=STARTED + timedelta(minutes=2), success=True):
    return [
        {"player_lookup": f"p{n}", "batch_id": batch_id, "success": success, "run_date": at, "created_at": at}
        for n in range(players)
    ]


def collect(lines=(), rows=(), tables=(), game_date=GAME_DATE, recorded_ids=()):
    runs = [run for run in find_log_runs(lines) if run.game_date == game_date]
    return collect_log_batches(runs, rows, [StagedTable(*table) for table in tables], set(recorded_ids))


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ((), BatchState.RUNNING),
        ((f"Batch {BATCH} complete! 158/158 players, status=success",), BatchState.UNVERIFIED_SUCCESS),
        ((f"Batch {BATCH} complete! Triggering consolidation...",), BatchState.CONSOLIDATING),
        (("Consolidation SUCCESS: 3950 rows merged from 158 staging tables",), BatchState.UNVERIFIED_SUCCESS),
        (("✅ Consolidation complete: 140 rows merged from 28 staging tables",), BatchState.UNVERIFIED_SUCCESS),
        (("Consolidation FAILED: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("❌ Consolidation failed: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("Consolidation EXCEPTION: timeout",), BatchState.CONSOLIDATION_FAILED),
        ((f"MERGE returned 0 rows for batch={BATCH}!",), BatchState.CONSOLIDATION_FAILED),
        ((f"Batch {BATCH} STALLED at 102/104 (98.1%)",), BatchState.STALLED),
        (("Consolidation FAILED: 400", "Consolidation SUCCESS: 9 rows merged"), BatchState.UNVERIFIED_SUCCESS),
        (("Consolidation SUCCESS: 9 rows merged", "Consolidation FAILED: 400"), BatchState.CONSOLIDATION_FAILED),
    ],
)
def test_the_last_decisive_line_decides_the_batch_state_in_every_spelling(messages, state):
    lines = [make_line(START_LINE, STARTED), *map(make_line, messages)]
    (batch,) = collect(lines, make_rows())
    assert (batch.name, batch.state(NOW)) == (BATCH, state)


def test_a_batch_without_a_final_message_ends_after_ten_minutes_of_silence():
    (batch,) = collect((), make_rows())
    assert batch.state(NOW) is BatchState.RUNNING
    assert batch.state(NOW + timedelta(minutes=12)) is BatchState.UNVERIFIED_SUCCESS


def test_the_final_message_of_an_earlier_batch_is_ignored():
    earlier_start = make_line(START_LINE, STARTED - timedelta(hours=3, minutes=2))
    earlier_end = make_line("Consolidation FAILED: 400", STARTED - timedelta(hours=3))
    batches = collect([earlier_start, earlier_end, make_line(START_LINE, STARTED)], make_rows())
    states = {batch.name: batch.state(NOW) for batch in batches}
    assert states == {"batch begun 11:45 ET": BatchState.CONSOLIDATION_FAILED, BATCH: BatchState.RUNNING}


def test_a_started_batch_without_rows_is_listed_with_its_published_requests():
    start_line = make_line(START_LINE, STARTED)
    published_line = make_line(f"Published 158/158 prediction requests [batch={BATCH}]", STARTED)
    (requested,) = collect([start_line, published_line])
    assert (requested.name, requested.requested, requested.generated) == (BATCH, 158, 0)
    assert requested.state(NOW) is BatchState.REQUESTED
    (blocked,) = collect([start_line])
    assert (blocked.state(STARTED + timedelta(minutes=11)), blocked.requested) == (BatchState.STALLED, None)
    assert "no request was published" in blocked.status_text


def test_a_start_that_was_refused_is_no_batch():
    refused = [make_line(START_LINE), make_line("Batch already in progress")]
    (batch,) = collect([make_line(START_LINE, STARTED), make_line("Published 28/28 prediction requests"), *refused])
    assert batch.started == STARTED
    assert batch.requested == 28


def test_a_batch_of_the_ledger_is_not_listed_twice():
    start_line = make_line(f"Starting prediction batch for {GAME_DATE} (batch={BATCH}, by=scheduler)", STARTED)
    assert collect([start_line], make_rows(), recorded_ids=[BATCH]) == []


OURS = f"batch_{GAME_DATE}_1767074400000"  # of our coordinator, 06:00 UTC on the 30th


@pytest.mark.parametrize(
    "line", ["Consolidation SUCCESS: 2250 rows merged from 90 staging tables", "Consolidation FAILED: 400"]
)
def test_the_end_of_a_consolidation_without_an_id_belongs_to_the_batch_whose_consolidation_began_last(line):
    """A resumed batch begins anew without a start line; versions before 3.4 ended their consolidation without an id."""
    resumed = STARTED + timedelta(hours=9)
    lines = [
        make_line(
            f"Starting prediction batch for {GAME_DATE} (batch={OURS}, by=scheduler)", STARTED - timedelta(hours=1)
        ),
        make_line(START_LINE, STARTED),
        make_line(f"Batch {BATCH} STALLED at 68/158 (43.0%)", STARTED + timedelta(minutes=20)),
        make_line(f"Executing consolidation MERGE for batch={OURS}", resumed),
        make_line(line, resumed + timedelta(seconds=5)),
    ]
    (batch,) = collect(lines, make_rows(), recorded_ids=[OURS])
    assert (batch.name, batch.state(resumed)) == (BATCH, BatchState.STALLED)
    assert batch.status_text == f"Batch {BATCH} STALLED at 68/158 (43.0%)"


def test_a_line_without_an_id_belongs_to_a_batch_until_the_next_of_its_date_begins():
    """The line that a re-run begins with may be missing: then the ledger says when it began."""
    lines = [
        make_line(START_LINE, STARTED),
        make_line("Batch complete! 158/158 players in 20.0s (3950 predictions)", STARTED + timedelta(minutes=2)),
        make_line("Consolidation SUCCESS: 2250 rows merged from 90 staging tables", STARTED + timedelta(hours=11)),
    ]
    runs = find_log_runs(lines, {OURS: STARTED + timedelta(hours=10)})
    assert [line.message for run in runs if run.batch_id != OURS for line in run.lines] == [
        line.message for line in lines[:2]
    ]


PERFECT_DATE = date(2025, 12, 30)
PERFECT_BATCH = "batch_2025-12-30_1767072990"
PERFECT_START = datetime(2025, 12, 30, 5, 36, 30, tzinfo=UTC)
PERFECT_NIGHT = [
    "Published 28/28 prediction requests",
    "Batch complete! 28/28 players in 18.4s (700 predictions)",
    f"Executing consolidation MERGE for batch={PERFECT_BATCH} with 28 staging tables",
    f"Consolidation MERGE complete: 140 rows affected in 4876.3ms (batch={PERFECT_BATCH})",
    "✅ Consolidation complete: 140 rows merged from 28 staging tables",
    f"✅ Published unified batch summary for {PERFECT_BATCH} (message_id=1, correlation_id=2)",
]


def perfect_lines():
    start = make_line(f"Starting prediction batch for {PERFECT_DATE} (correlation_id=1, parent=None)", PERFECT_START)
    later = [make_line(m, PERFECT_START + timedelta(seconds=4 * n)) for n, m in enumerate(PERFECT_NIGHT, 1)]
    return [start, *later]


@pytest.mark.parametrize("rows", [28, 0])
def test_a_batch_is_named_by_its_consolidation_where_run_rows_name_none_or_are_missing(rows):
    run_rows = make_rows(rows, None, PERFECT_START + timedelta(seconds=9))
    (batch,) = collect(perfect_lines(), run_rows, game_date=PERFECT_DATE)
    assert (batch.name, batch.requested, batch.generated) == (PERFECT_BATCH, 28, 28)
    assert batch.state(PERFECT_START + timedelta(hours=9)) is BatchState.UNVERIFIED_SUCCESS
    assert collect(perfect_lines(), (), game_date=GAME_DATE) == []


def test_a_batch_is_named_by_its_staging_tables_where_its_log_names_none():
    start = make_line("Starting prediction batch for 2025-12-30 (x)", PERFECT_START)
    table = "_staging_batch_2025_12_30_1767072990_prediction_worker_00011_zw5_0a49f283"
    failure = make_line("❌ Consolidation failed: Invalid MERGE query: 400", PERFECT_START + timedelta(minutes=1))
    (batch,) = collect([start, failure], tables=[(table, PERFECT_START)], game_date=PERFECT_DATE)
    assert (batch.name, batch.state(NOW)) == (PERFECT_BATCH, BatchState.CONSOLIDATION_FAILED)
    (alone,) = collect(tables=[(table, PERFECT_START)], game_date=PERFECT_DATE)
    assert (alone.name, alone.started, alone.generated) == (PERFECT_BATCH, PERFECT_START, None)
    assert alone.state(PERFECT_START + timedelta(hours=1)) is BatchState.STALLED
    assert "1 staging table left" in alone.status_text


def test_rows_without_an_id_belong_to_the_run_that_had_begun_last():
    starts = [make_line(START_LINE, STARTED + timedelta(hours=n)) for n in (0, 5)]
    rows = [*make_rows(3, None), *make_rows(2, None, STARTED + timedelta(hours=5, minutes=1))]
    assert [len(batch.rows) for batch in collect(starts, rows)] == [3, 2]
    (alone,) = collect((), make_rows(4, None))
    assert (alone.name, alone.generated) == ("batch begun 14:49 ET", 4)


def test_a_line_belongs_to_the_date_of_its_run_and_not_to_the_night_of_its_hour():
    evening = datetime(2025, 12, 30, 22, 0, tzinfo=UTC)  # 17:00 ET on the 30th, for the 31st
    runs = find_log_runs([make_line("Starting prediction batch for 2025-12-31 (x)", evening)])
    rejected = make_line("Error writing to BigQuery: 400 x", evening + timedelta(seconds=9), "prediction-worker")
    assert date_of_line(rejected, runs) == date(2025, 12, 31)
    before = make_line("Error writing to BigQuery: 400 x", evening - timedelta(seconds=9), "prediction-worker")
    assert date_of_line(before, runs) == date(2025, 12, 30)
    named = make_line(f"STAGING WRITE FAILED for x: 400 (batch={BATCH}, worker=w)", evening + timedelta(minutes=1))
    assert date_of_line(named, runs) == GAME_DATE
    dated = make_line("PERMANENT failure for x on 2025-12-28 - acknowledging", evening + timedelta(minutes=1))
    assert date_of_line(dated, runs) == date(2025, 12, 28)


EVENING = datetime(2025, 12, 30, 22, 0, tzinfo=UTC)
REGEN = "regen_2025-12-28_stale_lines_1767143400"  # begun 01:10 UTC on the 31st
TWO_RUNS = [
    make_line("Starting prediction batch for 2025-12-31 (x)", EVENING),
    make_line("Batch complete! 40/40 players in 33.8s (1000 predictions)", EVENING + timedelta(seconds=34)),
    make_line(f"🎉 Batch {REGEN} complete! Triggering consolidation...", datetime(2025, 12, 31, 1, 10, 34, tzinfo=UTC)),
]


@pytest.mark.parametrize(
    ("message", "at", "belongs_elsewhere"),
    [
        ("Error writing to staging: 400", EVENING + timedelta(seconds=20), True),
        ("Error writing to staging: 400", EVENING + timedelta(hours=2), False),  # that run is over
        ("No features available for a on 2025-12-30", EVENING + timedelta(seconds=20), False),
        ("No features available for a on 2025-12-31", EVENING + timedelta(hours=2), True),
        ("Error writing to staging: 400", datetime(2025, 12, 31, 1, 10, 5, tzinfo=UTC), True),  # before its first line
    ],
)
def test_a_line_of_another_dates_run_is_told_by_its_words_or_by_the_hours_of_that_run(message, at, belongs_elsewhere):
    runs = find_log_runs(TWO_RUNS)
    assert is_of_another_date(make_line(message, at), runs, PERFECT_DATE) is belongs_elsewhere


def test_a_run_whose_first_lines_are_missing_begins_by_its_id():
    *_, regen = find_log_runs(TWO_RUNS)
    assert regen.begun == datetime(2025, 12, 31, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("state", BatchState)
def test_a_date_is_open_while_a_batch_is_under_way_or_a_failure_has_stopped_it(monkeypatch, state):
    """By the batch's newest state: what an operator stopped, and what has ended, is not open."""
    rows = (
        {"batch_id": BATCH, "game_date": GAME_DATE, "sequence": n, "state": s} for n, s in ((2, state), (1, "running"))
    )
    result: Any = SimpleNamespace(rows=tuple(rows))
    monkeypatch.setattr("services.batches.reader.query_catalog.run_query", lambda *_, **__: result)
    ended = {"consolidated", "stopped", "abandoned", "reported success"}
    clients: Any = None
    assert read_open_dates(clients, GAME_DATE, GAME_DATE) == (set() if state in ended else {GAME_DATE})


@pytest.mark.parametrize("batch_id", ["fallback_1767075605200", "20251230_231502_481920"])
def test_a_message_without_a_run_whose_table_is_left_is_not_consolidated_and_not_stalled(batch_id):
    table = f"_staging_{batch_id}_prediction_worker_00011_zw5_0a49f283"
    (batch,) = collect((), make_rows(1, batch_id), tables=[(table, STARTED)])
    assert batch.state(NOW) is BatchState.RUNNING
    late = NOW + timedelta(days=1)
    assert (batch.name, batch.state(late)) == (batch_id, BatchState.CONSOLIDATION_FAILED)
    assert batch.status_text == "1 staging table left: no coordinator consolidates a message without a run"
    assert batch.state(late, log_read=False) is BatchState.UNVERIFIED_SUCCESS


def make_consolidation(**changes: Any) -> Action:
    fields: dict[str, Any] = {
        "action_id": "a",
        "key": "k",
        "attempt": 1,
        "action_name": CONSOLIDATE_BATCH.name,
        "target": BATCH,
        "title": "Consolidate",
        "actor": "nora",
        "role": "operator",
        "reason": "",
        "state": ActionState.DONE,
        "message": "25 rows added.",
        "started_at": NOW,
        "last_event_at": NOW,
        "ended_at": NOW,
        "recorded_by": "",
        "plan_json": "",
        "facts": {"inserted": 25, "updated": 2, "unchanged": 1},
    }
    return Action(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, BatchState.CONSOLIDATED),
        ({"target": "batch_2025-12-29_1767037621"}, BatchState.CONSOLIDATION_FAILED),
        ({"action_name": "staging.drop"}, BatchState.CONSOLIDATION_FAILED),
        ({"state": ActionState.FAILED}, BatchState.CONSOLIDATION_FAILED),
        ({"state": ActionState.UNVERIFIED}, BatchState.CONSOLIDATION_FAILED),
        ({"ended_at": STARTED + timedelta(minutes=1)}, BatchState.CONSOLIDATION_FAILED),
    ],
    ids=["of it", "of another", "another action", "failed", "unverified", "before its last line"],
)
def test_a_batch_of_another_coordinator_is_consolidated_once_that_was_done_from_here(monkeypatch, changes, state):
    """Its log never shows it: Runs called it failed for ever."""
    failure = [make_line(START_LINE, STARTED), make_line("Consolidation FAILED: 400", STARTED + timedelta(minutes=2))]
    batches = read(monkeypatch, failure, make_rows(), actions=[make_consolidation(**changes)])
    (batch,) = batches.batches
    assert (batch.batch_id, batch.state, batch.record_source) == (BATCH, state, "logs")
    if state is BatchState.CONSOLIDATED:
        assert (batch.health, batch.written_rows, batch.ended) == (Health.OK, 28, NOW)
        assert batch.status_text == "consolidated from here by nora: 25 rows added."


def test_an_action_log_that_cannot_be_read_leaves_the_state_and_is_a_problem(monkeypatch):
    failure = [make_line(START_LINE, STARTED), make_line("Consolidation FAILED: 400", STARTED + timedelta(minutes=2))]
    batches = read(monkeypatch, failure, make_rows(), actions=None)
    assert [batch.state for batch in batches.batches] == [BatchState.CONSOLIDATION_FAILED]
    assert [problem.source for problem in batches.problems] == ["action log"]
    merged = [make_line(START_LINE, STARTED), make_line("Consolidation SUCCESS: 9 rows merged")]
    calm = read(monkeypatch, merged, make_rows(), actions=None)
    assert calm.problems == ()  # it is read only for a batch that did not end


def test_a_line_without_an_id_after_the_start_of_a_batch_of_the_ledger_is_not_an_earlier_batchs(monkeypatch):
    resumed = STARTED + timedelta(minutes=1)
    lines = [make_line(START_LINE, STARTED), make_line("Consolidation SUCCESS: 2250 rows merged", NOW)]
    states = [{"batch_id": OURS, "state": "consolidated", "recorded_at": resumed}]
    batches = read(monkeypatch, lines, make_rows(at=STARTED), states=states)
    texts = {batch.batch_id: batch.status_text for batch in batches.batches}
    assert texts == {OURS: "consolidated", BATCH: START_LINE}


def read(monkeypatch, lines, rows, actions: Any = (), states: Any = ()):
    """The batches of GAME_DATE by these records; `actions` None: the action log cannot be read."""
    source = DataSource("a test", NOW)
    state_row = dict.fromkeys(_StateRow.__annotations__) | {"game_date": GAME_DATE, "sequence": 1}
    answers: dict[str, Any] = {
        "batches.states_by_date": [state_row | state for state in states],
        "nights.worker_runs": rows,
    }

    def read_actions(*_: Any) -> ActionLog:
        if actions is None:
            raise OnCallError("The action log does not answer.")
        return ActionLog(tuple(actions), source)

    module = "services.batches.reader"
    monkeypatch.setattr(
        f"{module}.query_catalog.run_query", lambda _, name, **__: QueryResult(tuple(answers[name]), source)
    )
    monkeypatch.setattr(f"{module}.log_reader.read_night_log", lambda *_, **__: LogLines(tuple(lines), source))
    monkeypatch.setattr(f"{module}.list_tables_of_date", lambda *_: ())
    monkeypatch.setattr(f"{module}.read_action_log", read_actions)
    clients: Any = SimpleNamespace(now=lambda: NOW + timedelta(minutes=30), settings=Settings.from_env({}))
    return read_batches(clients, GAME_DATE)
