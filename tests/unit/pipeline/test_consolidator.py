"""A consolidation drops nothing that is not proven, whatever its tables hold and whatever fails between two steps."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from google.api_core.exceptions import Forbidden, ServiceUnavailable
from google.cloud.bigquery import SchemaField

from services.core.tables import PREDICTIONS_TABLE
from services.pipeline import lease as leases
from services.pipeline.manifest import EmptyStaging, NothingStaged, SchemaDrift, StreamingBuffer
from services.pipeline.merge_counts import RowCountMismatch
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed, LeaseLost
from tests.support.memory_clients import memory_clients
from tests.support.memory_rows import NIGHT
from tests.support.write_path import once
from tests.unit.pipeline.conftest import BATCH, made, row

TOMORROW = NIGHT + timedelta(days=1)
QUOTA = Forbidden("Exceeded rate limits", errors=[{"reason": "rateLimitExceeded"}])


def jobs(night, prefix):
    return [job_id for job_id in night.project.jobs if job_id.startswith(f"on-call-{prefix}-")]


# --- dates -----------------------------------------------------------------------------------------------------------


def test_rows_of_another_date_in_the_same_table_are_merged_under_that_date_s_lease(night):
    night.insert(row("cid", 0, game_date=TOMORROW))
    night.stage(row("ann", 5), row("ann", 5, prediction_id="b", game_date=TOMORROW), row("bob", 5, game_date=TOMORROW))
    result = night.consolidate()
    assert night.predictions() == [("ann-5", True), ("b", True), ("bob-5", True), ("cid-0", True)]
    assert (result.staged_rows, result.distinct_keys, result.inserted) == (3, 3, 3)
    assert sorted(jobs(night, "merge")) == ["on-call-merge-2025-12-29-1", "on-call-merge-2025-12-30-1"]
    assert night.tables() == []


def test_a_batch_whose_rows_are_all_of_another_date_is_merged_for_that_date(night):
    night.stage(row("ann", 5, game_date=TOMORROW))
    assert night.consolidate().inserted == 1
    assert jobs(night, "merge") == ["on-call-merge-2025-12-30-1"]


def test_duplicates_of_another_date_neither_change_nor_fail_the_proof(night):
    night.insert(*(row("cid", n, game_date=TOMORROW) for n in (0, 1)))
    assert night.merge(row("ann", 5)).inserted == 1
    assert night.predictions() == [("ann-5", True), ("cid-0", True), ("cid-1", True)]


def test_while_another_consolidates_the_second_date_every_table_is_kept(night):
    warehouse = BigQueryWarehouse(memory_clients(night.project))
    held = leases.acquire(warehouse, TOMORROW, "somebody")
    night.stage(row("ann", 5), row("bob", 5, game_date=TOMORROW))
    with pytest.raises(leases.LeaseHeld, match="somebody consolidates 2025-12-30"):
        night.consolidate()
    assert night.tables("_staging_") != []
    leases.release(warehouse, held)
    result = night.consolidate()
    assert (result.inserted, result.unchanged) == (1, 1)
    assert night.predictions() == [("ann-5", True), ("bob-5", True)]


def test_a_row_without_a_date_keeps_its_table(night):
    fields = [f if f.name != "game_date" else SchemaField("game_date", "DATE") for f in night.fields]
    night.project.create_table(PREDICTIONS_TABLE, fields)
    night.stage(row("ann", 5), row("bob", 5, game_date=None))
    with pytest.raises(RowCountMismatch, match="holds 2 rows, 1 of them with a game date; all tables are kept"):
        night.consolidate()
    assert night.predictions() == []
    assert len(night.tables("_staging_")) == 1


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_batch_without_tables_or_rows_is_refused(night):
    with pytest.raises(NothingStaged, match=f"{BATCH} has no staging table"):
        night.consolidate()
    night.stage(batch=f"{BATCH}_2")  # another batch's
    with pytest.raises(NothingStaged):
        night.consolidate()
    night.stage()
    with pytest.raises(EmptyStaging, match="The 1 staging tables of"):
        night.consolidate()
    assert len(night.tables("_staging_")) == 2


@pytest.mark.parametrize(
    ("field", "difference"),
    [
        (SchemaField("extra", "STRING"), "differing in extra"),
        (SchemaField("line_source", "STRING", "REPEATED"), "differing in line_source"),
        (SchemaField("line_source", "RECORD", fields=[SchemaField("a", "STRING")]), "in line_source, line_source.a"),
    ],
)
def test_tables_with_other_columns_are_named_with_the_rows_they_hold(night, field, difference):
    night.stage(row("ann", 5), unit="p_ann")
    other = night.stage(unit="p_bob")
    night.project.create_table(other, [f for f in night.fields if f.name != field.name] + [field])
    night.project.insert(other, [row("bob", n, line_source=None) for n in range(3)])
    with pytest.raises(SchemaDrift, match=r"1 of 2 staging tables .*, with 3 of 4 rows, .*_p_ann") as refusal:
        night.consolidate()
    assert difference in str(refusal.value)
    assert len(night.tables("_staging_")) == 2


def test_columns_in_another_order_are_drift(night):
    night.stage(row("ann", 5), unit="p_ann")
    other = night.stage(unit="p_bob")
    night.project.create_table(other, night.fields[::-1])
    with pytest.raises(SchemaDrift, match="in another order"):
        night.consolidate()


def test_a_table_with_a_streaming_buffer_is_refused_by_name(night):
    night.stage(row("ann", 5), unit="p_ann")
    name = night.stage(row("bob", 5), unit="p_bob")
    table = night.project.tables[name]
    table.stream([{**table.rows[0], "prediction_id": "buffered"}], night.clock.now())
    with pytest.raises(StreamingBuffer, match=r"1 of 2 staging tables of .* have rows in a streaming buffer .*_p_bob"):
        night.consolidate()
    assert night.predictions() == []
    assert len(night.tables("_staging_")) == 2


# --- the proof -------------------------------------------------------------------------------------------------------


def test_rows_that_the_copy_lacks_keep_every_table(night):
    night.stage(row("ann", 5), row("bob", 5))

    def lose_a_row(_job):
        (name,) = (n for n in night.project.tables if "oncall_compact" in n)
        night.project.tables[name].set_rows(night.project.tables[name].rows[:1], night.clock.now())

    with pytest.raises(RowCountMismatch, match=r"holds 1 rows, the 1 tables of .* hold 2; all are kept"):
        night.consolidate(hook=once("copy", "commit", lose_a_row))
    assert len(night.tables("_staging_")) == 1
    assert night.predictions() == []


def change_predictions(night, change):
    """A hook that changes the rows of the predictions as soon as the MERGE has taken effect."""
    table = night.project.tables[PREDICTIONS_TABLE]
    return once("MERGE", "commit", lambda _: table.set_rows(change([dict(r) for r in table.rows]), night.clock.now()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "staged keys in the table: 2 expected, 1 found"),
        (lambda rows: [{**r, "created_at": made(0)} for r in rows], "staged rows that stand: 2 expected, 0 found"),
        (lambda rows: [*rows, row("eve", 0)], "rows in the table: 4 expected, 5 found"),
        (
            lambda rows: [{**r, "is_active": True} for r in rows],
            "that were superseded before and are no longer: 0 expected, 1",
        ),
        (lambda rows: [*rows, rows[-1]], "keys with several active rows: 0 expected, 1 found"),
        (
            lambda rows: [{**r, "is_active": r["player_lookup"] in "annbob"} for r in rows],
            "superseded rows: 0 expected, 1",
        ),
    ],
)
def test_a_table_that_is_not_as_the_merge_must_leave_it_fails_the_proof(night, change, message):
    night.insert(row("dan", 0, is_active=False), row("cid", 0))
    night.stage(row("ann", 5), row("bob", 5))
    with pytest.raises(RowCountMismatch, match=message) as failure:
        night.consolidate(hook=change_predictions(night, change))
    assert str(failure.value).startswith(f"After the MERGE of {BATCH} for 2025-12-29: ")
    assert str(failure.value).endswith("; all tables are kept.")
    assert len(night.tables("_staging_")) == 1


def test_a_row_that_another_process_writes_between_the_count_and_the_merge_fails_the_proof(night):
    night.stage(row("ann", 5))
    write = once("MERGE", "before", lambda _: night.insert(row("ann", 0)))
    with pytest.raises(RowCountMismatch, match="inserted rows: 1 expected, 0 found; updated rows: 0 expected, 1 found"):
        night.consolidate(hook=write)
    assert len(night.tables("_staging_")) == 1
    assert night.consolidate().unchanged == 1


def test_rows_lost_from_the_copy_before_the_merge_fail_the_proof(night):
    night.stage(row("ann", 5), row("bob", 5))

    def lose_a_row(_):
        (name,) = (n for n in night.project.tables if "oncall_compact" in n)
        night.project.tables[name].set_rows(night.project.tables[name].rows[:1], night.clock.now())

    with pytest.raises(RowCountMismatch, match="staged rows: 1 expected, 2 found; staged keys: 1 expected, 2 found"):
        night.consolidate(hook=once("WITH", "before", lose_a_row))


# --- tables that workers have answered for ---------------------------------------------------------------------------

LOADED = "0123456789abcdef"  # the content of a load, in the name of its table


def calls_of(night, **verified: int) -> Counter[str]:
    """The calls of a consolidation, by name, of a night whose workers have answered for rows of these units."""
    calls: Counter[str] = Counter()

    def count(call, phase, _subject):
        calls.update([call] if phase == "before" else [])

    tables = {f"nba_predictions._staging_{BATCH.replace('-', '_')}_{unit}": rows for unit, rows in verified.items()}
    night.consolidator(count).consolidate(BATCH, NIGHT, tables)
    return calls


def test_what_workers_have_answered_for_is_not_looked_at_again(night):
    counts = []
    for n in (2, 6):
        verified = {}
        for player in range(n):
            verified[f"p_ann{player}_{LOADED}"] = 1
            night.stage(row(f"ann{player}", n), unit=f"p_ann{player}_{LOADED}")
        counts.append(calls_of(night, **verified))
        assert night.tables() == []
    more = {call: n for call, n in (counts[1] - counts[0]).items() if call.startswith("table")}
    assert more == {"tables.delete": 4}, "one call for each more table"


def test_what_workers_have_answered_and_what_is_there_are_proven_by_the_copy(night):
    """A recorded answer may be of fewer rows than the table holds: then the tables are looked at."""
    night.stage(row("ann", 5), row("bob", 5), unit=f"p_ann_{LOADED}")
    night.stage(row("cid", 5), unit="p_cid")
    assert calls_of(night, **{f"p_ann_{LOADED}": 1})["MERGE"] == 1
    assert [name for name, _ in night.predictions()] == ["ann-5", "bob-5", "cid-5"]


def test_an_answer_for_a_table_that_may_change_is_not_believed(night):
    table = night.stage(row("ann", 5), unit="p_ann")
    later = once("MERGE", "after", lambda _: night.stage(row("ann", 6), unit="p_ann"))
    assert night.consolidator(later).consolidate(BATCH, NIGHT, {table: 1}).late_tables == 1
    assert night.consolidator().consolidate(BATCH, NIGHT, {table: 2}).late_tables == 0, (
        "it is looked at, so it can be dropped"
    )
    assert night.tables("_staging_") == []


def test_tables_of_other_columns_that_workers_have_answered_for_are_named(night):
    night.stage(row("ann", 5), unit=f"p_ann_{LOADED}")
    name = night.stage(row("bob", 5), unit=f"p_bob_{LOADED}")
    night.project.tables[name].fields = tuple(night.fields[:-1])
    with pytest.raises(SchemaDrift, match=r"1 of 2 staging tables .* have other columns"):
        calls_of(night, **{f"p_ann_{LOADED}": 1, f"p_bob_{LOADED}": 1})
    assert len(night.tables("_staging_")) == 2


# --- cleanup ---------------------------------------------------------------------------------------------------------


def test_a_table_that_changes_after_the_copy_is_left_for_the_next_round(night):
    night.stage(row("ann", 5), unit="p_ann")
    night.stage(row("bob", 5), unit="p_bob")
    later = once("MERGE", "after", lambda _: night.stage(row("ann", 6), unit="p_ann"))
    assert night.consolidate(hook=later).late_tables == 1
    assert [name.endswith("p_ann") for name in night.tables("_staging_")] == [True]
    assert night.consolidate().late_tables == 0
    assert night.predictions() == [("ann-6", True), ("bob-5", True)]


def test_a_table_that_is_streamed_into_after_the_copy_is_left(night):
    name = night.stage(row("ann", 5))
    table = night.project.tables[name]

    def stream(_):
        modified = table.modified
        table.stream([{**table.rows[0], "prediction_id": "later"}], night.clock.now())
        table.modified = modified  # which BigQuery reports minutes later

    assert night.consolidate(hook=once("MERGE", "after", stream)).late_tables == 1


def test_a_table_that_comes_after_the_manifest_is_counted_as_late(night):
    night.stage(row("ann", 5), unit="p_ann")
    come = once("copy", "after", lambda _: night.stage(row("bob", 5), unit="p_bob"))
    assert night.consolidate(hook=come).late_tables == 1


def test_the_copy_is_named_outside_the_prefix_of_the_customer_s_sweep_and_expires(night):
    night.stage(row("ann", 5))
    seen = []
    night.consolidate(hook=once("MERGE", "before", lambda _: seen.extend(night.project.tables.items())))
    ((name, table),) = ((n, t) for n, t in seen if "compact" in n)
    assert name == "nba_predictions.oncall_compact_batch_2025_12_29_1767078000000_1"
    assert table.expires == night.started + timedelta(days=7)
    assert night.tables() == []


def test_copies_that_a_crash_left_are_dropped_by_the_batch_s_next_consolidation_alone(night):
    night.stage(row("ann", 5))
    others = ["nba_predictions.oncall_compact_batch_2025_12_29_1767078000000_2_1", "nba_predictions.oncall_compact_x_1"]
    left = "nba_predictions.oncall_compact_batch_2025_12_29_1767078000000_7"
    for name in [left, *others]:
        night.project.create_table(name, night.fields)
    seen = []
    night.consolidate(hook=once("copy", "before", lambda _: seen.extend(night.tables("oncall_"))))
    assert left.partition(".")[2] not in seen
    assert [f"nba_predictions.{name}" for name in night.tables()] == others


# --- failures between two steps --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process died."""


def kill(_):
    raise Killed


@pytest.mark.parametrize(
    ("call", "phase"),
    [("copy", "after"), ("WITH", "after"), ("MERGE", "before"), ("MERGE", "after"), ("tables.delete", "before")],
)
def test_a_consolidation_that_died_is_done_again_after_its_lease(night, call, phase):
    night.insert(row("ann", 0, current_points_line=Decimal("3.5")))
    night.stage(row("ann", 5), unit="p_ann")
    night.stage(row("bob", 5), unit="p_bob")
    with pytest.raises(Killed):
        night.consolidate(hook=once(call, phase, kill))
    night.clock.sleep(601)
    result = night.consolidate()
    assert result.distinct_keys == 2
    assert night.predictions() == [("ann-0", False), ("ann-5", True), ("bob-5", True)]
    assert night.tables() == []


def test_a_merge_that_bigquery_refuses_for_a_while_is_repeated_under_a_new_fence(night):
    night.stage(row("ann", 5))

    def refuse(_):
        raise QUOTA

    result = night.consolidate(hook=once("MERGE", "job", refuse))
    assert (result.fence, result.merge_job_id) == (2, "on-call-merge-2025-12-29-2")
    assert night.tables() == []


def test_a_merge_that_is_refused_again_and_again_fails_after_three_retries_with_all_tables_kept(night):
    night.stage(row("ann", 5))
    started = night.clock.now()

    def refuse(call, phase, _subject):
        if (call, phase) == ("MERGE", "job"):
            raise QUOTA

    with pytest.raises(JobFailed, match="Exceeded rate limits"):
        night.consolidate(hook=refuse)
    assert len(jobs(night, "merge")) == 4
    assert timedelta(seconds=17) < night.clock.now() - started < timedelta(seconds=25), "2.5 s, 5 s, 10 s"
    assert len(night.tables("_staging_")) == 1


def test_an_answer_that_is_lost_is_asked_for_again_and_changes_nothing(night):
    for n, call in enumerate(("copy", "MERGE", "tables.delete", "tables.get", "tables.list", "WITH")):

        def lose(_):
            raise ServiceUnavailable("lost")

        phase = "before" if call in ("tables.get", "tables.list") else "after"
        night.stage(row("ann", n + 1, predicted_points=Decimal(n)), unit="p_ann")
        night.consolidate(hook=once(call, phase, lose))
        assert night.predictions("prediction_id", "predicted_points") == [(f"ann-{n + 1}", Decimal(n))], call
        assert night.tables() == [], call


def test_the_lease_is_renewed_before_copy_merge_and_release_so_slow_steps_keep_it(night):
    night.stage(row("ann", 5), row("bob", 5, game_date=TOMORROW))

    def be_slow(call, phase, _subject):
        if (call, phase) in {("copy", "inside"), ("copy", "after"), ("MERGE", "after")}:
            night.clock.sleep(400)
            with pytest.raises(leases.LeaseHeld, match=r"^test-[0-9a-f]{8} consolidates 2025-12-29"):
                leases.acquire(BigQueryWarehouse(memory_clients(night.project)), NIGHT, "another")

    assert night.consolidate(hook=be_slow).inserted == 2


@pytest.mark.parametrize(("call", "phase"), [("copy", "after"), ("WITH", "after"), ("MERGE", "after")])
def test_a_process_that_was_taken_over_drops_nothing(night, call, phase):
    night.stage(row("ann", 5))

    def take_over(_):
        night.clock.sleep(601)
        leases.acquire(BigQueryWarehouse(memory_clients(night.project)), NIGHT, "another")

    with pytest.raises(LeaseLost):
        night.consolidate(hook=once(call, phase, take_over))
    assert len(night.tables("_staging_")) == 1


def test_the_lease_is_released_after_success_and_after_failure(night):
    with pytest.raises(NothingStaged):
        night.consolidate()
    night.stage(row("ann", 5))
    assert night.consolidate().fence == 2
    assert night.merge(row("ann", 6)).fence == 3


def test_a_consolidation_of_an_hour_that_progresses_keeps_its_lease_and_a_dead_one_loses_it_in_ten_minutes(
    night, monkeypatch
):
    monkeypatch.setattr("services.pipeline.consolidator.SOURCES_PER_COPY", 1)
    another = BigQueryWarehouse(memory_clients(night.project))
    for n in range(6):
        night.stage(row(f"ann{n}", n), unit=f"p_ann{n}")

    def be_slow(call, phase, _subject):
        if (call, phase) in {("copy", "before"), ("MERGE", "after")}:
            night.clock.sleep(560 if call == "copy" else 400)
            with pytest.raises(leases.LeaseHeld):
                leases.acquire(another, NIGHT, "another")
        if (call, phase) == ("MERGE", "after"):
            raise Killed

    with pytest.raises(Killed):
        night.consolidate(hook=be_slow)
    assert night.clock.now() - night.started > timedelta(hours=1)
    night.clock.sleep(600 - 400)
    assert leases.acquire(another, NIGHT, "another").fence == 2


def test_the_lease_is_free_and_the_end_recorded_before_a_staging_table_is_dropped(night):
    night.stage(row("ann", 5), unit="p_ann")
    steps = []

    def note(call, phase, _subject):
        steps.extend([call] if (call, phase) == ("tables.delete", "before") else [])

    def on_merged(result):
        steps.append("recorded")
        assert (result.inserted, result.late_tables, result.active_players, result.active_rows) == (1, 0, 1, 1)
        leases.acquire(BigQueryWarehouse(memory_clients(night.project)), NIGHT, "another")

    night.consolidator(note).consolidate(BATCH, NIGHT, on_merged=on_merged)
    assert steps == ["tables.delete", "recorded", "tables.delete"], "first the copy"


def test_the_predictions_of_a_date_are_read_twice_and_first_while_the_tables_are_copied(night):
    night.stage(row("ann", 5))
    steps = []

    def note(call, phase, subject):
        if phase == "before" and (call == "copy" or PREDICTIONS_TABLE.rpartition(".")[2] in str(subject)):
            steps.append(call)

    night.consolidate(hook=note)
    assert steps.count("tabledata.list") == 2
    assert steps.index("tabledata.list") < steps.index("copy")


def test_more_tables_than_one_copy_takes_are_copied_in_parts(night, monkeypatch):
    monkeypatch.setattr("services.pipeline.consolidator.SOURCES_PER_COPY", 2)
    for n in range(5):
        night.stage(row(f"ann{n}", n), unit=f"p_ann{n}")
    result = night.consolidate()
    assert (len(result.tables), result.staged_rows, result.inserted) == (5, 5, 5)
    assert jobs(night, "copy") == [f"on-call-copy-{BATCH}-2025-12-29-1-{part}" for part in range(3)]


def test_the_result_names_batch_date_and_tables(night):
    night.insert(row("ann", 9), row("bob", 0, current_points_line=Decimal("3.5")))
    night.stage(row("ann", 5), row("bob", 5), row("bob", 4))
    result = night.consolidate()
    assert (result.batch_id, result.game_date, result.fence) == (BATCH, date(2025, 12, 29), 1)
    assert [name.rpartition(".")[2] for name in result.tables] == ["_staging_batch_2025_12_29_1767078000000_p_unit"]
    assert (result.staged_rows, result.distinct_keys, result.collapsed_rows) == (3, 2, 1)
    assert (result.inserted, result.updated, result.unchanged) == (1, 0, 1)
    assert (result.outdated, result.deactivated) == (1, 1)


def test_the_result_has_every_outcome_in_the_sum_it_belongs_to(night):
    higher = {"current_points_line": Decimal("33.5")}
    night.insert(
        *(row("ann", 0, system_id=system) for system in ("changed", "renewed")),
        row("ann", 5, system_id="same"),
        row("ann", 9, system_id="outdated"),
        row("ann", 9, system_id="superseded", **higher),
        row("ann", 0, system_id="added", **higher),  # retired
        row("ann", 0, system_id="moved", game_id="20251229_BOS_MIA"),
        *(row("bob", minute) for minute in (0, 1)),  # a duplicate
    )
    systems = ("added", "renewed", "same", "outdated", "superseded")
    night.stage(
        *(row("ann", 5, system_id=system) for system in systems),
        row("ann", 5, system_id="changed", predicted_points=Decimal(9)),
        row("ann", 4, system_id="added"),  # collapsed
    )
    result = night.consolidate()
    assert (result.staged_rows, result.distinct_keys, result.collapsed_rows) == (7, 6, 1)
    assert (result.inserted, result.updated, result.unchanged) == (2, 1, 3)
    assert (result.outdated, result.deactivated) == (2, 3)
