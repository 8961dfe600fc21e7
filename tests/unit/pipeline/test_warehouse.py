"""BigQuery's side of each step: what a used id does, what a table must hold, which jobs may be read, what may be dropped."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier, Event
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, ServiceUnavailable
from google.cloud.bigquery import SchemaField

from services.core.errors import AccessDenied, OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import BIGQUERY_TIMEOUT_S
from services.pipeline import job_polling
from services.pipeline import warehouse as warehouses
from services.pipeline.consolidator import Consolidator
from services.pipeline.job_polling import MAX_JOB_WAIT_S
from services.pipeline.rate_limiter import QUOTA_PER_S
from services.pipeline.row_encoding import encode_rows
from services.pipeline.warehouse import (
    COMPACT_TTL,
    BigQueryWarehouse,
    JobFailed,
    StagingNotVerified,
    StagingTableInfo,
)
from tests.support.memory_clients import memory_clients
from tests.support.memory_rows import NIGHT, prediction_row
from tests.unit.pipeline.conftest import BATCH, Night, made, row

TABLE, OTHER_TABLE = (f"nba_predictions._staging_batch_2025_12_29_1767078000000_p_{name}" for name in ("ann", "bob"))
PREFIX = "_staging_batch_2025_12_29_1767078000000"


class Permits:
    """A rate limiter that notes what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def acquire(self, *method_and_scope: str) -> None:
        self.asked.append(method_and_scope)


def open_warehouse(night: Night, hook: Any = lambda *_: None, permits: Any = None) -> BigQueryWarehouse:
    limiter: Any = permits or Permits()
    return BigQueryWarehouse(memory_clients(night.project, hook), limiter)


def load(warehouse: BigQueryWarehouse, *rows: dict[str, Any], job_id: str = "load-1", table: str = TABLE) -> int:
    return warehouse.load(table, encode_rows(rows, warehouse.get_columns()), job_id)


def test_a_load_writes_a_table_once_and_takes_one_call(night):
    permits, calls = Permits(), []
    warehouse = open_warehouse(night, lambda call, phase, _: calls.append(call) if phase == "before" else None, permits)
    warehouse.get_columns()
    calls.clear()
    assert load(warehouse, row("ann", 1), row("bob", 1)) == 2
    assert set(calls) == {"load", "jobs.get"}
    assert night.project.tables[TABLE].expires is None, "rows that are not merged do not vanish"
    with pytest.raises(JobFailed, match="Already Exists"):
        load(warehouse, row("ann", 2), job_id="load-2")
    assert [r["prediction_id"] for r in night.project.rows(TABLE)] == ["ann-1", "bob-1"]
    assert [method for (method,) in permits.asked if method != "jobs.get"] == [
        "tables.get",
        "jobs.insert",
        "jobs.insert",
    ]


def test_a_used_id_is_adopted_while_its_table_holds_what_it_loaded(night):
    warehouse = open_warehouse(night)
    load(warehouse, row("ann", 1), row("bob", 1))
    rows = night.project.tables[TABLE].rows
    assert load(warehouse, row("ann", 2), row("bob", 2)) == 2
    assert night.project.tables[TABLE].rows == rows
    night.project.tables[TABLE].set_rows(rows[:1], night.clock.now())
    with pytest.raises(StagingNotVerified, match=rf"^{TABLE} holds 1 of the 2 rows that load-1 loaded\."):
        load(warehouse, row("ann", 1), row("bob", 1))
    warehouse.drop(TABLE)
    with pytest.raises(StagingNotVerified, match=rf"^{TABLE} holds 0 of the 2 rows that load-1 loaded\."):
        load(warehouse, row("ann", 1), row("bob", 1))


def test_a_load_of_fewer_rows_than_were_sent_is_not_verified(night):
    def lose_a_row(call: str, phase: str, job: Any) -> None:
        if (call, phase) == ("load", "commit"):
            job.output_rows -= 1

    with pytest.raises(StagingNotVerified, match=rf"^{TABLE} holds 1 of the 2 rows that load-1 loaded\.") as error:
        load(open_warehouse(night, lose_a_row), row("ann", 1), row("bob", 1))
    assert error.value.hint == "The unit will be delivered again."


def fail(call: str, error: Exception, phase: str = "job") -> Any:
    def hook(this_call: str, this_phase: str, _subject: Any) -> None:
        if (this_call, this_phase) == (call, phase):
            raise error

    return hook


def test_a_failed_job_has_used_its_id_up_and_a_lost_answer_has_not(night):
    broken = fail("load", BadRequest("No such field.", errors=[{"reason": "invalid", "message": "No such field."}]))
    with pytest.raises(JobFailed, match=r"^load-1 failed: No such field\.") as raised:
        load(open_warehouse(night, broken), row("ann", 1))
    assert isinstance(raised.value.__cause__, BadRequest)
    with pytest.raises(JobFailed):
        load(open_warehouse(night), row("ann", 1))
    with pytest.raises(ServiceUnavailable):
        load(open_warehouse(night, fail("load", ServiceUnavailable("lost"), "after")), row("ann", 2), job_id="load-2")
    assert load(open_warehouse(night), row("ann", 2), job_id="load-2") == 1


def test_a_wait_that_was_interrupted_is_no_failed_job(night):
    def interrupted(**_: Any) -> None:
        raise ServiceUnavailable("the connection broke")

    job = SimpleNamespace(done=interrupted, error_result=None, job_type="load", labels={}, job_id="load-1")
    warehouse = open_warehouse(night)
    with pytest.raises(ServiceUnavailable):
        warehouse._start_or_adopt("load-1", lambda: job)


def test_staging_tables_are_listed_with_their_rows_columns_and_version(night):
    permits = Permits()
    warehouse = open_warehouse(night, permits=permits)
    assert warehouse.list_staging_tables(PREFIX) == ()
    night.stage(row("ann", 1), unit="p_ann")
    night.project.create_table(
        f"nba_predictions.{PREFIX}_p_bob",
        [SchemaField("r", "RECORD", fields=[SchemaField("n", "INTEGER"), SchemaField("t", "STRING", "REPEATED")])],
    )
    night.project.tables[f"nba_predictions.{PREFIX}_p_bob"].stream([{"r": None}], night.clock.now())
    night.project.create_table("nba_predictions._staging_other", [SchemaField("r", "STRING")])
    listed = warehouse.list_staging_tables(PREFIX)
    assert (listed, permits.asked) == ((TABLE, OTHER_TABLE), [("tables.list",)] * 2)
    first, second = warehouse.describe_tables(listed)
    table = night.project.tables[TABLE]
    assert (first.table, first.rows, first.streaming, first.version) == (TABLE, 1, False, f"{table.modified}/1")
    assert ("predicted_points", "NUMERIC") in first.columns
    assert second == StagingTableInfo(
        f"nba_predictions.{PREFIX}_p_bob",
        0,
        (("r", "RECORD"), ("r.n", "INTEGER"), ("r.t", "STRING[]")),
        second.version,
        streaming=True,
    )
    assert permits.asked[2:] == [("tables.get",)] * 2


def test_a_table_that_is_dropped_while_it_is_described_is_none(night):
    night.stage(row("ann", 1), unit="p_ann")

    def drop(call: str, phase: str, _subject: Any) -> None:
        if call == "tables.get":
            night.project.tables.pop(TABLE, None)

    assert open_warehouse(night, drop).describe_tables([TABLE]) == ()


def test_a_copy_appends_to_its_target_which_expires(night):
    permits = Permits()
    sources = [night.stage(row("ann", 1), unit="p_ann"), night.stage(row("bob", 1), unit="p_bob")]
    target = "nba_predictions.oncall_compact"
    warehouse = open_warehouse(night, permits=permits)
    assert warehouse.copy(sources, target, "copy-1") == 2
    assert warehouse.copy(sources, target, "copy-1") == 2, "a used id is adopted"
    assert warehouse.copy(sources[:1], target, "copy-2") == 3
    assert (
        night.project.tables[target].expires == night.clock.now() + COMPACT_TTL == night.clock.now() + timedelta(days=7)
    )
    assert [p for p in permits.asked if p[0] != "jobs.get"] == [
        ("table.update", target),
        ("jobs.insert",),
        ("tables.patch",),
    ] * 3


def test_every_call_of_a_load_and_its_consolidation_waits_for_a_permit(night):
    permits, calls = Permits(), Counter[str]()

    def count(call: str, phase: str, _subject: Any) -> None:
        calls.update([call if call[0].islower() and "." in call else "jobs.insert"] if phase == "before" else [])

    warehouse = open_warehouse(night, count, permits)
    load(warehouse, row("ann", 1), row("bob", 1), table=f"{TABLE}_0123456789abcdef")
    Consolidator(warehouse, "test").consolidate(BATCH, NIGHT)
    paced = Counter(method for method, *_ in permits.asked)
    del paced["table.update"]
    assert paced["jobs.get"] <= calls["jobs.get"] <= paced["jobs.get"] + 3, "beside the results of three queries"
    assert paced | {"jobs.get": 0} == calls | {"jobs.get": 0}
    assert set(paced) <= set(QUOTA_PER_S)


def test_rows_are_read_by_key_with_their_versions_and_activity(night):
    line = Decimal("20.5")
    night.insert(row("ann", 1), row("ann", 2, is_active=False), row("bob", 1, game_date=NIGHT + timedelta(days=1)))
    rows = list(open_warehouse(night).read_rows(PREDICTIONS_TABLE, NIGHT))
    assert len({key for key, _ in rows}) == 1
    assert [(v.created_at, v.is_active) for _, v in rows] == [(made(1), True), (made(2), False)]
    staged = night.stage(row("ann", 1), row("bob", 1, game_date=NIGHT + timedelta(days=1), current_points_line=line))
    assert len(dict(open_warehouse(night).read_rows(staged))) == 2, "without a date every row"
    assert len(dict(open_warehouse(night).read_rows(staged, NIGHT))) == 1


def count_calls(night: Night, table: str, game_date: date | None) -> tuple[list[str], int]:
    calls: list[str] = []

    def note(call: str, _phase: str, subject: Any) -> None:
        calls.append(f"{call} {getattr(subject, 'table_id', '')}")

    found = list(open_warehouse(night, note).read_rows(table, game_date))
    return [c.strip() for c in calls if c.startswith(("tabledata.list", "SELECT"))], len(found)


def test_rows_are_listed_where_a_listing_is_complete_and_short_and_queried_elsewhere(night, monkeypatch):
    night.insert(row("ann", 1))
    assert count_calls(night, PREDICTIONS_TABLE, NIGHT) == (
        [f"tabledata.list {PREDICTIONS_TABLE.partition('.')[2]}$20251229"],
        1,
    )
    staged = night.stage(row("ann", 1), row("bob", 1))
    listed, rows = count_calls(night, staged, NIGHT)
    assert (listed, rows) == ([f"tabledata.list {staged.partition('.')[2]}"], 2)
    monkeypatch.setattr(warehouses, "MAX_UNPARTITIONED_LIST_ROWS", 2)
    assert count_calls(night, staged, NIGHT)[0] == listed, "two are not too many"
    monkeypatch.setattr(warehouses, "MAX_UNPARTITIONED_LIST_ROWS", 1)
    calls, rows = count_calls(night, staged, NIGHT)
    assert (calls[0].split()[0], rows) == ("SELECT", 2)
    assert count_calls(night, staged, None) == (listed, 2), "a table of its own is listed whole, however long"
    night.project.tables[PREDICTIONS_TABLE].stream([prediction_row_with_every_column(night)], night.clock.now())
    calls, rows = count_calls(night, PREDICTIONS_TABLE, NIGHT)
    assert (calls[0].split()[0], rows) == ("SELECT", 2), "a listing lacks what is streamed"


def prediction_row_with_every_column(night: Night) -> dict[str, Any]:
    empty: dict[str, Any] = {f.name: [] if f.mode == "REPEATED" else None for f in night.fields}
    return {**empty, **prediction_row("cid")}


def test_a_job_id_is_claimed_once_and_its_labels_can_be_read(night):
    warehouse = open_warehouse(night)
    assert warehouse.get_claim("claim-1") is None
    created = night.clock.now()
    assert warehouse.claim_job_id("claim-1", {"holder": "a"})
    assert not open_warehouse(night).claim_job_id("claim-1", {"holder": "b"})
    assert warehouse.get_claim("claim-1") == {"holder": "a", "created": created.isoformat()}


def test_a_job_that_this_account_may_not_read_names_the_role_and_a_full_quota_does_not(night):
    denied = open_warehouse(night, fail("jobs.get", Forbidden("Access Denied: Job p:j: no permission"), "before"))
    for ask in (denied.get_claim, denied.wait_for_job):
        with pytest.raises(AccessDenied, match=r"may not read the job job-9 of another account\.") as raised:
            ask("job-9")
        assert "roles/bigquery.resourceViewer" in raised.value.hint
        assert isinstance(raised.value.__cause__, Forbidden)
    quota = Forbidden(
        "Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a table, pending + running",
        errors=[{"reason": "quotaExceeded"}],
    )
    with pytest.raises(Forbidden):
        open_warehouse(night, fail("jobs.get", quota, "before")).get_claim("job-9")


@pytest.fixture
def waiting(night, monkeypatch):
    """A warehouse whose job reports these states in turn, the last one for ever; and the pauses."""
    pauses: list[float] = []
    time = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        time.now += seconds

    def prepare(*states: str) -> tuple[BigQueryWarehouse, list[float]]:
        remaining = list(states)
        warehouse = open_warehouse(night)

        def get_job(_: str) -> SimpleNamespace:
            return SimpleNamespace(state=remaining.pop(0) if len(remaining) > 1 else remaining[0])

        monkeypatch.setattr(warehouse, "_get_job", get_job)
        return warehouse, pauses

    monkeypatch.setattr(job_polling, "time", SimpleNamespace(monotonic=lambda: time.now, sleep=sleep))
    return prepare


def test_a_job_is_waited_for_until_it_has_ended_and_not_for_ever(waiting):
    warehouse, pauses = waiting("PENDING", "RUNNING", "DONE")
    warehouse.wait_for_job("job-1")
    assert pauses == [0.25, 0.25]
    pauses.clear()
    warehouse, pauses = waiting("RUNNING")
    with pytest.raises(OnCallError, match=r"^The job job-1 still runs after 600 s\."):
        warehouse.wait_for_job("job-1")
    assert sum(pauses) == MAX_JOB_WAIT_S + 0.25


def test_a_table_is_dropped_only_in_the_version_that_was_seen(night):
    warehouse = open_warehouse(night)
    night.stage(row("ann", 1), unit="p_ann")
    (seen,) = warehouse.describe_tables([TABLE])
    night.project.insert(TABLE, [row("ann", 2)])
    assert not warehouse.drop(TABLE, seen.version)
    night.project.tables[TABLE].stream([prediction_row_with_every_column(night)], night.clock.now())
    (seen,) = warehouse.describe_tables([TABLE])
    assert not warehouse.drop(TABLE, seen.version), "rows of a streaming buffer are in no copy"
    assert TABLE in night.project.tables
    night.project.tables[TABLE].buffered.clear()
    night.project.tables[TABLE].touch(night.clock.now())
    (seen,) = warehouse.describe_tables([TABLE])
    assert warehouse.drop(TABLE, seen.version)
    assert TABLE not in night.project.tables
    assert warehouse.drop(TABLE, seen.version), "it is gone already"
    assert warehouse.drop(TABLE)
    night.stage(row("ann", 1), unit="p_ann")
    assert warehouse.drop(TABLE), "without a version in any"


class Requests:
    """A client that notes the time limit of each request."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.timeouts: dict[str, set[float | None]] = {}

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            self.timeouts.setdefault(method, set()).add(options.get("timeout"))
            return getattr(self._client, method)(*args, **options)

        return call


def test_no_request_waits_for_ever(night):
    warehouse = open_warehouse(night)
    client: Any = Requests(warehouse._client)
    warehouse._client = client
    for _ in range(2):  # the second time the job is adopted
        load(warehouse, row("ann", 1))
    warehouse.copy([TABLE], "nba_predictions.oncall_compact", "copy-1")
    warehouse.claim_job_id("claim-1", {})
    warehouse.get_claim("claim-1")
    list(warehouse.read_rows(TABLE))
    warehouse.drop(TABLE, warehouse.describe_tables([TABLE])[0].version)
    writes = {"load_table_from_file", "update_table", "copy_table", "query", "delete_table"}
    assert client.timeouts == {
        method: {BIGQUERY_TIMEOUT_S} for method in writes | {"get_table", "list_rows", "get_job"}
    }


def test_a_query_is_waited_for_ten_minutes_and_not_started_again(night):
    waited: list[dict[str, Any]] = []
    job = SimpleNamespace(result=lambda **given: waited.append(given), job_type="query")
    assert open_warehouse(night)._start_or_adopt("job-1", lambda: job) == (job, False)
    assert waited == [{"timeout": 600, "job_retry": None}]


@pytest.mark.parametrize("kind", ["load", "copy"])
@pytest.mark.parametrize(("polls", "waited_s"), [(3, 0.5), (10_000, MAX_JOB_WAIT_S + 0.25)])
def test_a_load_or_copy_is_polled_four_times_a_second_for_ten_minutes(waiting, kind, polls, waited_s):
    """What is not done then ends with the client's own error."""
    warehouse, pauses = waiting("DONE")
    states, results = iter([False] * (polls - 1) + [True]), []
    job = SimpleNamespace(job_type=kind, done=lambda **_: next(states), result=lambda **given: results.append(given))
    warehouse._start_or_adopt("job-1", lambda: job)
    assert (sum(pauses), set(pauses), len(results)) == (waited_s, {0.25}, 1)


def test_threads_that_need_the_schema_at_once_read_it_once(night):
    reads, threads = [], 4
    barrier = Barrier(threads)

    def note(call, _phase, _subject):
        reads.append(call)
        Event().wait(0.05)  # time.sleep is simulated here

    warehouse = open_warehouse(night, note)

    def ask(_number):
        barrier.wait()
        return warehouse.get_columns()

    with ThreadPoolExecutor(threads) as pool:
        assert len({len(columns) for columns in pool.map(ask, range(threads))}) == 1
    assert reads == ["tables.get"]
