"""Which run a line, a row and a table of a coordinator without a ledger belong to, where ids, dates or times are missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.batches.log_batches import LogBatch, StagedTable, collect_log_batches
from services.batches.log_runs import LogRun, date_at, find_log_runs, is_of_another_date
from services.batches.state import BatchState
from services.telemetry.log_reader import LogLine

NIGHT, NEXT = date(2025, 12, 29), date(2025, 12, 30)
AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
START = f"Starting prediction batch for {NIGHT}"
SUCCESS = "Consolidation SUCCESS: 9 rows merged"


def make_id(minutes: float = 0, day: date = NIGHT) -> str:
    """The id of a batch that began so many minutes after AT."""
    return f"batch_{day}_{int((AT + timedelta(minutes=minutes)).timestamp())}"


def make_line(message: str, minutes: float = 0) -> LogLine:
    return LogLine(AT + timedelta(minutes=minutes), "prediction-coordinator", "r", "INFO", message, "i")


def make_row(batch_id: str | None, minutes: float | None = 1) -> Any:
    at = None if minutes is None else AT + timedelta(minutes=minutes)
    return {"player_lookup": "p", "batch_id": batch_id, "success": True, "run_date": at, "created_at": at}


def messages_by_id(lines: list[LogLine], recorded: dict[str, datetime] | None = None) -> dict[str, list[str]]:
    """The messages of each run, by its id."""
    return {run.batch_id: [line.message for line in run.lines] for run in find_log_runs(lines, recorded)}


def ids_of(runs: list[LogRun], rows: list[Any], tables: list[StagedTable] | None = None) -> list[tuple[str, int]]:
    """The id of each batch with the number of its rows."""
    return [(batch.batch_id, len(batch.rows)) for batch in collect_log_batches(runs, rows, tables or [], set())]


# --- lines ----------------------------------------------------------------------------------------------------------------


def test_a_batch_of_the_ledger_whose_first_line_was_read_is_one_run():
    recorded = {make_id(): AT + timedelta(seconds=2)}
    lines = [make_line(f"{START} (batch={make_id()})"), make_line("Published 10/10 prediction requests", 1)]
    assert messages_by_id(lines, recorded) == {make_id(): [line.message for line in lines]}


def test_a_second_start_line_of_one_id_begins_no_second_run():
    lines = [make_line(f"{START} (batch={make_id()})"), make_line(f"{START} (batch={make_id()})", 1)]
    assert len(find_log_runs(lines)) == 1


def test_an_end_after_a_later_run_has_begun_is_that_runs():
    began = [make_line(f"{START} (batch={make_id()})"), make_line(f"Executing MERGE for batch={make_id()}", 1)]
    later = make_line(f"{START} (batch={make_id(5)})", 5)
    ended = make_line(SUCCESS, 6)
    assert messages_by_id([*began, later, ended])[make_id(5)] == [later.message, SUCCESS]
    recorded = {make_id(5): AT + timedelta(minutes=5)}
    assert messages_by_id([*began, ended], recorded)[make_id(5)] == [SUCCESS]


def test_what_precedes_the_first_line_of_a_run_is_no_line_of_the_run_before():
    lines = [make_line(START), make_line(f"Creating prediction requests for {NEXT}", 1)]
    assert messages_by_id(lines) == {"": [START]}


def test_a_refused_start_leaves_a_run_that_had_gone_on():
    lines = [make_line(START), make_line("Published 10/10 prediction requests", 1), make_line("already in progress", 2)]
    assert messages_by_id(lines) == {"": [START, "Published 10/10 prediction requests"]}


def test_an_end_whose_beginning_was_not_read_is_a_run_of_the_night_of_its_hour():
    [run] = find_log_runs([make_line(SUCCESS)])
    assert (run.game_date, run.batch_id, run.announced) == (NIGHT, "", False)


def test_a_run_without_a_name_is_named_only_by_an_id_of_its_date_and_time():
    for other in (make_id(30), make_id(day=NEXT)):
        runs = find_log_runs([make_line(START), make_line(f"Executing MERGE for batch={other}", 31)])
        assert [run.batch_id for run in runs] == ["", other]
    runs = find_log_runs([make_line(START), make_line(f"Executing MERGE for batch={make_id(1)}", 31)])
    assert [run.batch_id for run in runs] == [make_id(1)]


def test_a_line_after_the_end_of_another_dates_run_is_of_this_dates_which_goes_on():
    own = LogRun(NIGHT, make_id(), AT, [make_line("x"), make_line("x", 180)], announced=True)
    at = AT + timedelta(minutes=60)
    other = LogRun(NEXT, make_id(60, NEXT), at, [make_line("y", 60), make_line("y", 65)], announced=True)
    assert is_of_another_date(make_line("z", 69), (own, other), NIGHT)
    assert not is_of_another_date(make_line("z", 120), (own, other), NIGHT)


def test_a_run_without_a_date_gives_none_to_what_follows_it():
    dated = LogRun(NEXT, make_id(0, NEXT), AT, announced=True)
    undated = LogRun(None, "fallback_1767037620", AT + timedelta(minutes=5), announced=True)
    assert date_at(AT + timedelta(minutes=6), (dated, undated)) == NEXT


# --- rows and tables ------------------------------------------------------------------------------------------------------


def test_rows_without_a_time_are_of_no_batch():
    assert ids_of([], [make_row(make_id(), None), make_row(None, None)]) == []


def test_tables_of_a_batch_of_the_ledger_are_no_second_batch():
    table = StagedTable(f"_staging_{make_id().replace('-', '_')}_worker_1", AT)
    assert collect_log_batches([], [], [table], {make_id()}) == []


def test_an_id_names_the_unnamed_run_that_began_at_its_time_and_no_other():
    run = LogRun(NIGHT, "", AT, [make_line(START)], announced=True)
    assert ids_of([run], [make_row(make_id(1))]) == [(make_id(1), 1)]
    assert ids_of([run], [make_row(make_id(120), 121)]) == [("", 0), (make_id(120), 1)]
    assert ids_of([run], [make_row(make_id()), make_row(make_id(1))]) == [(make_id(), 1), (make_id(1), 1)]


def test_an_id_without_a_time_names_the_unnamed_run_that_had_begun_last_by_then():
    undated = "20251229_194700"
    first, second = (LogRun(NIGHT, "", AT + timedelta(minutes=m), [make_line(START, m)]) for m in (0, 60))
    assert ids_of([first, second], [make_row(undated, 61)]) == [("", 0), (undated, 1)]
    assert ids_of([second], [make_row(undated, 5)]) == [("", 0), (undated, 1)]


def test_a_batch_that_says_it_triggers_its_consolidation_and_falls_silent_is_no_longer_consolidating():
    complete = make_line(f"Batch {make_id()} complete! Triggering consolidation...")
    batch = LogBatch(make_id(), LogRun(NIGHT, make_id(), AT, [complete], announced=True))
    assert batch.state(AT + timedelta(minutes=5)) is BatchState.CONSOLIDATING
    assert batch.state(AT + timedelta(minutes=30)) is BatchState.UNVERIFIED_SUCCESS
