"""The staging writer on BigQuery in memory: a table of its own for each content, staged again when it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from google.api_core.exceptions import BadRequest, ServiceUnavailable

from services.batches.ids import load_table, unit_table, work_unit_id
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.job_retry import MAX_JOB_IDS
from services.pipeline.row_encoding import SchemaMismatch
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed, StagingNotVerified
from services.pipeline.worker.predictor import BaselinePredictor, PredictionRequest
from services.pipeline.worker.staging_writer import StagingWriter, StagingWriteResult, content_hash
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients

NIGHT, BATCH, UNIT = date(2025, 12, 29), "batch_2025-12-29_1767077100000", work_unit_id("herbjones")
UNIT_TABLE = "nba_predictions._staging_batch_2025_12_29_1767077100000_p_herbjones"


class Staging:
    """A writer, and what is behind it. `fault` is called before and after each call of BigQuery."""

    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.project = MemoryProject(self.clock)
        self.fault = lambda _call, _phase, _subject: None
        clients = memory_clients(self.project, lambda *boundary: self.fault(*boundary))
        self.warehouse = BigQueryWarehouse(clients)
        self.writer = StagingWriter(self.warehouse, self.clock.retry_policy())

    def write(self, rows) -> StagingWriteResult:
        with in_memory(self.clock, {}):
            return self.writer.write(BATCH, UNIT, rows)

    @property
    def loads(self) -> list[str]:
        return [job.job_id for job in self.project.jobs.values() if job.job_type == "load"]

    def points(self, table: str) -> set[Decimal]:
        return {row["predicted_points"] for row in self.project.rows(table)}


@pytest.fixture
def staging() -> Iterator[Staging]:
    staging = Staging()
    yield staging
    staging.project.close()


def make_rows(points: float = 12, made_at: datetime = datetime(2025, 12, 29, 20, tzinfo=UTC)):
    context = {"points_avg_last_5": points, "points_avg_last_10": points, "current_points_line": "12.5"}
    return BaselinePredictor().predict(PredictionRequest(NIGHT, "herbjones", "20251229_NYK_NOP", context), made_at)


LATER = datetime(2025, 12, 29, 21, tzinfo=UTC)


def test_rows_are_staged_in_a_table_of_their_unit_and_content(staging):
    result = staging.write(make_rows())
    content = content_hash(staging.writer.encode(make_rows()))
    table = load_table(BATCH, UNIT, content)
    assert table == f"{UNIT_TABLE}_{content}"
    assert unit_table(table) == UNIT_TABLE
    assert result == StagingWriteResult(table, staging.loads[0], 25, 25)
    assert staging.loads[0].startswith(f"on-call-load-{BATCH}-{UNIT}-")
    assert len(staging.project.rows(table)) == 25


def test_keys_that_occur_twice_are_counted_once(staging):
    rows = make_rows()
    result = staging.write([*rows, rows[0]])
    assert (result.distinct_keys, result.verified_rows) == (25, 26)
    assert len(staging.project.rows(result.table)) == 26


def test_the_same_predictions_made_again_adopt_the_first_job(staging):
    first, second = staging.write(make_rows()), staging.write(make_rows(made_at=LATER)[::-1])
    assert first == second
    assert len(staging.loads) == 1


def test_other_rows_go_into_another_table_and_the_first_one_stays_as_it_is(staging):
    """A consolidation may have copied it, and drops it without looking again."""
    first, second = staging.write(make_rows(12)), staging.write(make_rows(30))
    assert unit_table(first.table) == unit_table(second.table) == UNIT_TABLE
    assert first.job_id != second.job_id
    assert max(staging.points(first.table)) < 20 < min(staging.points(second.table))


def test_a_unit_whose_table_was_dropped_is_staged_again_in_another_one(staging):
    first = staging.write(make_rows())
    staging.project.tables.pop(first.table)
    second = staging.write(make_rows(made_at=LATER))
    assert {row["created_at"] for row in staging.project.rows(second.table)} == {LATER}
    assert (second.table, second.job_id) == (f"{first.table}_r1", f"{first.job_id}-r1")
    assert staging.loads == [first.job_id, second.job_id]
    assert unit_table(second.table) == UNIT_TABLE


def test_rows_that_never_arrive_whole_are_not_verified(staging):
    def shorten(call, phase, job):
        if (call, phase) == ("load", "commit"):
            job.output_rows -= 1

    staging.fault = shorten
    with pytest.raises(StagingNotVerified, match=r"_p_herbjones_\w+_r49 holds 24 of the 25 rows that on-call-load-"):
        staging.write(make_rows())
    assert len(staging.loads) == MAX_JOB_IDS
    assert staging.clock.now() < SimulatedClock().now() + timedelta(minutes=5), "nothing is waited for"


def test_a_lost_answer_is_adopted_and_a_failed_job_is_followed_by_the_next_id(staging):
    faults: dict[tuple[str, str], Exception] = {("load", "after"): ConnectionError("lost")}

    def fail_once(call, phase, _):
        if error := faults.pop((call, phase), None):
            raise error

    staging.fault = fail_once
    assert staging.write(make_rows()).verified_rows == 25
    assert len(staging.loads) == 1
    faults["load", "job"] = ServiceUnavailable("try again")
    before = staging.clock.now()
    result = staging.write(make_rows(30))
    assert staging.clock.now() > before, "it waited by the policy that the writer was given"
    assert result.job_id == f"{staging.loads[1]}-r1" == staging.loads[2]
    assert len(staging.project.rows(result.table)) == 25


def test_a_job_that_fails_for_good_is_not_repeated(staging):
    def refuse(call, phase, _):
        if (call, phase) == ("load", "job"):
            raise BadRequest("no such column")

    staging.fault = refuse
    with pytest.raises(JobFailed, match="no such column"):
        staging.write(make_rows())
    assert len(staging.loads) == 1


def test_what_does_not_fit_the_table_is_refused_before_anything_is_sent(staging):
    for bad in ({"vegas_line_source": "none"}, {"feature_quality_score": float("nan")}):
        with pytest.raises(SchemaMismatch, match=next(iter(bad))):
            staging.write([{**row, **bad} for row in make_rows()])
    assert staging.loads == []


def test_the_schema_is_that_of_the_predictions_table(staging):
    names = [column.name for column in staging.warehouse.get_columns()]
    assert names == [field.name for field in staging.project.tables[PREDICTIONS_TABLE].fields]


def test_a_unit_dropped_again_and_again_is_staged_again_each_time(staging):
    first = result = staging.write(make_rows())
    for _ in range(2):
        staging.project.tables.pop(result.table)
        result = staging.write(make_rows())
    assert staging.loads == [first.job_id, f"{first.job_id}-r1", f"{first.job_id}-r2"]


def test_the_content_of_rows_is_the_same_in_any_order_and_whenever_they_were_made():
    row = {"a": {"x": 1, "y": 2}, "b": "2", "prediction_id": "1", "created_at": "now"}
    same = {"b": "2", "a": {"y": 2, "x": 1}, "created_at": "later"}
    assert content_hash([row, {"a": 1}]) == content_hash([{"a": 1}, same])
    assert content_hash([row]) != content_hash([{**row, "b": 2}])
    assert content_hash([row]) != content_hash([row, row])
    assert len(content_hash([row])) == 16


def test_the_content_of_rows_is_the_same_to_every_version_of_the_worker():
    """A unit that was staged before a deployment and is delivered again after it adopts the job that loaded it."""
    rows: list[dict[str, object]] = [{"b": 2, "a": "Dončić"}, {"a": None, "prediction_id": "1", "created_at": "now"}]
    assert content_hash(rows) == "a855cf95c9013edf"
