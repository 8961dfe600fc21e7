"""What a consolidation keeps in memory for each row of a long batch: a coordinator of 15,800 players has 400 MB."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.cloud import bigquery

from services.batches.business_key import BUSINESS_KEY_COLUMNS, VERSION_COLUMNS
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import MergeCounts
from services.pipeline.warehouse import BigQueryWarehouse, MergeResult, StagingTableInfo
from tests.support.memory_clients import SimulatedClock
from tests.support.memory_rows import GAME, NIGHT
from tests.unit.pipeline.conftest import BATCH, made

PLAYERS, SYSTEMS, LINES = 400, 5, 5
ROWS = PLAYERS * SYSTEMS * LINES
BYTES_PER_ROW = 400  # of which 395,000 rows are 158 MB, beside the 225 MB that the program takes
COUNTS = MergeCounts(*[0] * 13)


class LongTables(BigQueryWarehouse):
    """The predictions table has `stored` rows of the night, and after the MERGE all that are staged; its rows come one by one."""

    def __init__(self, clock: SimulatedClock, stored: int) -> None:
        clients = SimpleNamespace(bigquery=self, now=clock.now, settings=SimpleNamespace(project="p"))
        super().__init__(cast(Any, clients))
        self._pace, self._stored, self._claims = lambda *_: None, stored, dict[str, Mapping[str, str]]()

    def get_table(self, table: str, **_: Any) -> bigquery.Table:
        columns = [bigquery.SchemaField(name, "STRING") for name in (*BUSINESS_KEY_COLUMNS, *VERSION_COLUMNS)]
        metadata = bigquery.Table(f"p.{table}", columns)
        metadata.time_partitioning = bigquery.TimePartitioning(field="game_date")
        return metadata

    def list_rows(self, table: bigquery.TableReference, **_: Any) -> Iterator[dict[str, Any]]:
        count = self._stored if table.table_id.startswith(PREDICTIONS_TABLE.partition(".")[2]) else ROWS
        return (make_row(n) for n in range(count))

    def list_staging_tables(self, prefix: str) -> tuple[str, ...]:
        return (f"nba_predictions.{prefix}p_unit",) if "_staging_" in prefix else ()

    def describe_tables(self, tables: Any) -> tuple[StagingTableInfo, ...]:
        return tuple(StagingTableInfo(table, ROWS) for table in tables)

    def copy(self, *_: Any) -> int:
        return ROWS

    def count_outcomes(self, *_: Any) -> MergeCounts:
        added, same = ROWS - self._stored, self._stored
        return MergeCounts(**{**vars(COUNTS), "added": added, "same": same, "inserted_rows": added})

    def merge(self, *_: Any) -> MergeResult:
        added, self._stored = ROWS - self._stored, ROWS
        return MergeResult(added, 0)

    def drop(self, *_: Any) -> bool:
        return True

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool:
        return self._claims.setdefault(job_id, labels) is labels

    def get_claim(self, job_id: str) -> Mapping[str, str] | None:
        return self._claims.get(job_id)


def make_row(n: int) -> dict[str, Any]:
    """The n-th row, of which no value is shared with another."""
    player, system, line = n // (SYSTEMS * LINES), n // LINES % SYSTEMS, n % LINES
    return {
        "game_date": NIGHT,
        "game_id": f"{GAME}-{player % 10}",
        "player_lookup": f"player-number-{player}",
        "system_id": f"a_system_of_some_kind_{system}",
        "current_points_line": Decimal(f"{20 + line}.5"),
        "created_at": datetime.fromisoformat(made(player % 60).isoformat()),
        "prediction_id": f"{n:036}",
        "is_active": True,
    }


@pytest.mark.parametrize("stored", [0, ROWS])
def test_a_row_costs_less_than_400_bytes(stored):
    clock = SimulatedClock()
    consolidator = Consolidator(LongTables(clock, stored), "test", clock.retry_policy())
    tracemalloc.start()
    try:
        result = consolidator.consolidate(BATCH, NIGHT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (result.staged_rows, result.active_rows, result.active_players) == (ROWS, ROWS, PLAYERS)
    assert peak / ROWS < BYTES_PER_ROW
