"""Each guard of the write path, met by what it guards against. tests/mutants switches them off one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from google.api_core.exceptions import BadRequest, ServiceUnavailable
from google.cloud.bigquery import SchemaField

from services.core.tables import PREDICTIONS_TABLE
from services.pipeline import lease as leases
from services.pipeline.coordinator import dispatcher, http_api
from services.pipeline.coordinator.http_api import CoordinatorApi
from services.pipeline.coordinator.run_request import plan_run
from services.pipeline.lease import LeaseHeld
from services.pipeline.manifest import EmptyStaging, SchemaDrift
from services.pipeline.merge_counts import RowCountMismatch
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed, LeaseLost
from tests.support.memory_bigquery import no_hook
from tests.support.memory_clients import WORKER_HOST, DeferredThreads, call_app, memory_worker
from tests.support.memory_rows import GAME, NIGHT, context_rows, prediction_row
from tests.support.write_path import BATCH, WritePath, once

EARLIER, LATER = datetime(2025, 12, 29, 18, tzinfo=UTC), datetime(2025, 12, 29, 19, tzinfo=UTC)


class ProcessKilled(BaseException):
    """The process died here; no handler of the code under test may survive it."""


def fail_loads(call: str, phase: str, _subject: object) -> None:
    if (call, phase) == ("load", "job"):
        raise BadRequest("No such field.", errors=[{"reason": "invalid", "message": "No such field."}])


@pytest.fixture
def path() -> Iterator[WritePath]:
    write_path = WritePath()
    with write_path.running():
        yield write_path


def lines(path: WritePath, active: bool = True) -> list[Decimal]:
    return sorted(row["current_points_line"] for row in path.predictions(active))


# --- staging ------------------------------------------------------------------------------------------------------------


def test_a_load_of_fewer_rows_than_sent_is_loaded_again(path):
    path.hook = once("load", "commit", lambda job: setattr(job, "output_rows", job.output_rows - 1))
    assert path.writer().write(BATCH, "p_embiid", [prediction_row("embiid")]).job_id.endswith("-r1")


def test_a_failed_job_is_not_a_success(path):
    path.hook = fail_loads
    with pytest.raises(JobFailed, match="No such field"):
        path.writer().write(BATCH, "p_embiid", [prediction_row("embiid")])


# --- a run --------------------------------------------------------------------------------------------------------------


def start(path: WritePath, *players: str):
    path.project.insert("nba_analytics.upcoming_player_game_context", context_rows(players))
    run, runner = plan_run(path.clients, NIGHT), path.runner()
    assert run is not None
    return runner, runner.record_requested(run)


def test_a_busy_worker_is_asked_again(path):
    path.answers = [429, 429]
    runner, started = start(path, "brunson")
    assert runner.run(started).state == "consolidated"
    assert (path.asked, len(path.predictions()) > 0) == (3, True)


def test_a_write_that_failed_is_not_answered_with_200(path):
    path.hook = fail_loads
    body = {"player_lookup": "brunson", "game_date": str(NIGHT), "game_id": GAME, "batch_id": BATCH, "context": {}}
    worker = memory_worker(
        path.clients, path.clock.retry_policy(), SimpleNamespace(predict=lambda *_: [prediction_row("brunson")])
    )
    status, _, _ = call_app(worker, "POST", f"http://{WORKER_HOST}/predict", json.dumps(body).encode())
    assert status in (422, 500)


def test_a_unit_whose_write_failed_is_not_staged(path):
    path.hook = fail_loads
    runner, started = start(path, "brunson")
    runner.run(started)
    assert path.outcomes(started.run.batch_id)["brunson"].outcome == "write rejected"


def test_a_resume_adopts_what_is_staged_and_asks_again_for_the_rest(path, monkeypatch):
    monkeypatch.setattr(dispatcher, "MAX_UNIT_PLAYERS", 1)

    def fail_brunson_then_die(call: str, phase: str, subject: object) -> None:
        if (call, phase) == ("load", "before") and "_p_brunson_" in str(getattr(subject, "table", "")):
            raise ServiceUnavailable("Try again.")
        if (call, phase) == ("copy", "before"):
            raise ProcessKilled

    path.hook = fail_brunson_then_die
    runner, started = start(path, "brunson", "hart", "towns")
    with pytest.raises(ProcessKilled):
        runner.run(started)
    path.hook = no_hook
    path.project.tables["prediction_on_call.batch_players"].set_rows(
        [], path.clock.now()
    )  # recorded nowhere: staged only
    path.clock.at += timedelta(minutes=11)
    rest = path.runner().resume(started.run.batch_id)
    assert [player["player_lookup"] for player in rest.run.players] == ["brunson"]
    assert path.runner().run(rest).state == "consolidated"
    assert {row["player_lookup"] for row in path.predictions()} == {"brunson", "hart", "towns"}


def test_a_date_that_has_run_is_run_again_only_by_force(path, monkeypatch):
    threads = DeferredThreads()
    monkeypatch.setattr(http_api, "threading", SimpleNamespace(Thread=threads))
    runner, started = start(path, "brunson")
    assert runner.run(started).state == "consolidated"
    path.clock.at += timedelta(minutes=1)
    api = CoordinatorApi(path.clients, runner)
    status, body = api.start({"game_date": str(NIGHT)})
    assert (status, body["status"], len(threads.runs)) == (409, "already_exists", 0)
    status, _ = api.start({"game_date": str(NIGHT), "force": True})
    assert (status, len(threads.runs)) == (202, 1)


def test_a_unit_that_comes_during_the_merge_is_consolidated_by_the_same_run(path):
    runner, started = start(path, "brunson")
    path.hook = once("MERGE", "commit", lambda _: path.stage("hart", {}, batch=started.run.batch_id))
    assert runner.run(started).state == "consolidated"
    assert {row["player_lookup"] for row in path.predictions()} == {"brunson", "hart"}
    assert path.staging_tables() == []


# --- a consolidation ------------------------------------------------------------------------------------------------------


def test_a_batch_whose_tables_hold_no_rows_is_not_consolidated(path):
    table = path.stage("brunson")
    with pytest.raises(EmptyStaging):
        path.consolidate()
    assert path.staging_tables() == [table]


def test_tables_with_other_columns_are_not_consolidated(path):
    tables = [path.stage("brunson", {}), path.stage("hart", {})]
    drifted = path.project.tables[tables[1]]
    drifted.fields = (*drifted.fields, SchemaField("new_column", "STRING"))
    with pytest.raises(SchemaDrift):
        path.consolidate()
    assert (path.staging_tables(), path.predictions()) == (tables, [])


def test_a_copy_that_lacks_a_row_is_not_merged(path):
    tables = [path.stage("brunson", {}), path.stage("hart", {})]

    def shorten(_job: object) -> None:
        (copied,) = set(path.project.tables) - before
        path.project.tables[copied].set_rows(path.project.rows(copied)[1:], path.clock.now())

    before = set(path.project.tables)
    path.hook = once("copy", "commit", shorten)
    with pytest.raises(RowCountMismatch, match="holds 1 rows, the 2 tables"):
        path.consolidate()
    assert set(tables) <= set(path.staging_tables())
    assert path.predictions() == []


def test_a_merge_after_which_a_row_is_missing_drops_nothing(path):
    tables = [path.stage("brunson", {}), path.stage("hart", {})]

    def lose_a_row(_job: object) -> None:
        path.project.tables[PREDICTIONS_TABLE].set_rows(path.predictions()[1:], path.clock.now())

    path.hook = once("MERGE", "commit", lose_a_row)
    with pytest.raises(RowCountMismatch):
        path.consolidate()
    assert set(tables) <= set(path.staging_tables())


def test_a_merge_after_which_a_key_is_active_twice_drops_nothing(path):
    table = path.stage("brunson", {})

    def repeat_a_row(_job: object) -> None:
        path.project.insert(PREDICTIONS_TABLE, path.predictions())

    path.hook = once("MERGE", "commit", repeat_a_row)
    with pytest.raises(RowCountMismatch):
        path.consolidate()
    assert table in path.staging_tables()


def test_a_merge_that_changed_more_rows_than_it_should_drops_nothing(path):
    table = path.stage("brunson", {})
    path.hook = once("MERGE", "commit", lambda job: setattr(job, "changes", {"INSERT": 1, "UPDATE": 7}))
    with pytest.raises(RowCountMismatch):
        path.consolidate()
    assert table in path.staging_tables()


def test_a_table_that_changed_after_it_was_counted_is_kept(path):
    table, other = path.stage("brunson", {}), path.stage("hart", {})

    def deliver_again(_job: object) -> None:
        path.project.insert(table, [prediction_row("brunson", current_points_line=Decimal("22.5"), created_at=LATER)])

    path.hook = once("MERGE", "commit", deliver_again)
    result = path.consolidate()
    assert (path.staging_tables(), result.late_tables) == ([table], 1)
    assert other not in path.project.tables


# --- the lease --------------------------------------------------------------------------------------------------------------


def test_the_merge_of_a_holder_whose_lease_expired_never_runs(path):
    path.stage("brunson", {})

    def be_overtaken(_: object) -> None:
        path.clock.at += timedelta(minutes=11)
        path.consolidate(clients=path.other_clients)

    path.hook = once("MERGE", "before", be_overtaken)
    with pytest.raises(LeaseLost):
        path.consolidate()
    assert (path.statements("MERGE"), len(path.predictions()), path.staging_tables()[1:]) == (1, 1, [])


def test_of_two_that_take_the_lease_at_once_one_is_refused(path):
    path.stage("brunson", {})
    other = BigQueryWarehouse(path.other_clients)
    path.hook = once("claim", "before", lambda _: leases.acquire(other, NIGHT, "other"))
    with pytest.raises(LeaseHeld):
        path.consolidate()
    assert path.statements("MERGE") == 0


# --- the MERGE ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_staged_rows_of_a_key_the_newest_wins(path, order):
    rows = [
        {"predicted_points": Decimal(20), "created_at": EARLIER},
        {"predicted_points": Decimal(24), "created_at": LATER},
    ]
    path.stage("brunson", *rows[::order])
    result = path.consolidate()
    assert [row["predicted_points"] for row in path.predictions()] == [24]
    assert (result.staged_rows, result.distinct_keys, result.collapsed_rows) == (2, 1, 1)


def test_a_row_without_a_line_replaces_the_row_without_a_line(path):
    path.project.insert(PREDICTIONS_TABLE, [prediction_row("brunson", current_points_line=None, created_at=EARLIER)])
    path.stage("brunson", {"current_points_line": None, "predicted_points": Decimal(25), "created_at": LATER})
    result = path.consolidate()
    assert [row["predicted_points"] for row in path.predictions(active=None)] == [25]
    assert (result.inserted, result.updated) == (0, 1)


def test_lines_that_a_newer_run_lacks_are_retired_and_others_stay(path):
    standing = [
        prediction_row("brunson", current_points_line=Decimal("20.5"), created_at=EARLIER),
        prediction_row("brunson", current_points_line=Decimal("20.5"), created_at=EARLIER, system_id="xgboost_v1"),
        prediction_row("hart", current_points_line=Decimal("20.5"), created_at=EARLIER),
    ]
    path.project.insert(PREDICTIONS_TABLE, standing)
    path.stage("brunson", {"current_points_line": Decimal("21.5"), "created_at": LATER})
    result = path.consolidate()
    (retired,) = path.predictions(active=False)
    assert (retired["player_lookup"], retired["system_id"], retired["superseded"]) == ("brunson", "ensemble_v1", True)
    assert lines(path) == [Decimal("20.5"), Decimal("20.5"), Decimal("21.5")]
    assert (result.inserted, result.deactivated) == (1, 1)


def test_the_same_batch_merged_twice_changes_nothing(path):
    path.stage("brunson", {}, {"current_points_line": None})
    path.consolidate()
    before = path.predictions(active=None)
    path.stage("brunson", {}, {"current_points_line": None})
    result = path.consolidate()
    assert path.predictions(active=None) == before
    assert (result.inserted, result.updated, result.unchanged, result.deactivated) == (0, 0, 2, 0)
