"""The consolidator against BigQuery's own answers: one MERGE, proof, cleanup of exactly the manifest."""

from __future__ import annotations

import pytest

from services.batches.ids import make_batch_id, staging_table, work_unit_id
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.consolidator import Consolidator
from services.pipeline.manifest import NothingStaged
from services.pipeline.worker.staging_writer import StagingWriter
from tests.integration.pipeline.conftest import NIGHT, make_predictions


def run_sql(clients, sql):
    return list(clients.bigquery.query(sql, job_retry=None).result(job_retry=None))


def test_a_batch_without_tables_is_refused_with_a_message(warehouse):
    with pytest.raises(NothingStaged, match="nothing to consolidate"):
        Consolidator(warehouse, "test").consolidate("batch_2025-12-29_999999", NIGHT)


def test_half_point_lines_and_missing_lines_keep_their_own_keys(warehouse, fresh_clients):
    batch = make_batch_id(NIGHT, fresh_clients.now())
    rows = make_predictions(fresh_clients, "nobodyyet")[:3]
    for row, line in zip(rows, ("20.5", "21.0", None), strict=True):
        row["current_points_line"] = line
    StagingWriter(warehouse).write(batch, work_unit_id("nobodyyet"), rows)
    merged = Consolidator(warehouse, "test").consolidate(batch, NIGHT)
    assert (merged.distinct_keys, merged.inserted, merged.collapsed_rows) == (3, 3, 0)
    StagingWriter(warehouse).write(batch + "1", work_unit_id("nobodyyet"), rows)
    repeated = Consolidator(warehouse, "test").consolidate(batch + "1", NIGHT)
    assert (repeated.inserted, repeated.updated, repeated.unchanged) == (0, 0, 3)


def test_superseded_lines_are_deactivated_in_the_same_statement(warehouse, fresh_clients):
    first, second = make_batch_id(NIGHT, fresh_clients.now()), make_batch_id(NIGHT, fresh_clients.now()) + "2"
    rows = make_predictions(fresh_clients, "nobodyyet")[:1]
    StagingWriter(warehouse).write(first, work_unit_id("nobodyyet"), rows)
    Consolidator(warehouse, "test").consolidate(first, NIGHT)
    moved = [{**make_predictions(fresh_clients, "nobodyyet")[0], "current_points_line": "33.5"}]
    StagingWriter(warehouse).write(second, work_unit_id("nobodyyet"), moved)
    merged = Consolidator(warehouse, "test").consolidate(second, NIGHT)
    assert (merged.inserted, merged.deactivated) == (1, 1)


def test_columns_of_every_kind_are_compared_by_value_and_kept(warehouse, fresh_clients):
    columns = {
        "tags": ("ARRAY<STRING>", "['x', 'y']"),
        "features": ("JSON", """JSON '{"a": [1, null]}'"""),
        "raw": ("BYTES", "b'xy'"),
        "place": ("GEOGRAPHY", "ST_GEOGPOINT(1, 2)"),
    }
    added = ", ".join(f"ADD COLUMN {name} {kind}" for name, (kind, _) in columns.items())
    run_sql(fresh_clients, f"ALTER TABLE {PREDICTIONS_TABLE} {added}")
    active = f"FROM {PREDICTIONS_TABLE} WHERE game_date = '2025-12-29' AND is_active"
    ((name, rows),) = run_sql(fresh_clients, f"SELECT player_lookup, COUNT(*) {active} GROUP BY 1 ORDER BY 1 LIMIT 1")
    player = f"{active} AND player_lookup = '{name}'"
    counts = []
    for n, place in enumerate(("ST_GEOGPOINT(1, 2)", "ST_GEOGPOINT(1, 2)", "ST_GEOGPOINT(3, 4)")):
        batch = f"batch_2025-12-29_176707800000{n}"
        values = ", ".join(f"{place if name == 'place' else value} AS {name}" for name, (_, value) in columns.items())
        staged = f"SELECT * REPLACE (TIMESTAMP '2025-12-30 07:0{n}:00+00' AS created_at, {values}) {player}"
        run_sql(fresh_clients, f"CREATE TABLE {staging_table(batch, 'p_any')} AS {staged}")
        merged = Consolidator(warehouse, "test").consolidate(batch, NIGHT)
        counts.append((merged.inserted, merged.updated, merged.unchanged))
    assert counts == [(0, rows, 0), (0, 0, rows), (0, rows, 0)]
    assert {row["x"] for row in run_sql(fresh_clients, f"SELECT ST_X(place) AS x {player}")} == {3}
