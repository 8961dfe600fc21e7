"""Which share of a partitioned table a statement scans."""

from __future__ import annotations

import pytest

from services.sandbox.bigquery.partition_pruning import scanned_fraction
from services.sandbox.bigquery.sql_inspection import inspect_sql

ROWS_BY_DAY = {"2025-12-28": 30, "2025-12-29": 50, "2025-12-30": 20}


NIGHT = "SELECT a FROM d.t WHERE game_date = @night AND a > 1"


SHARE_BY_SQL = {
    NIGHT: 0.5,
    "SELECT a FROM d.t WHERE game_date BETWEEN DATE '2025-12-28' AND @night": 0.8,
    "SELECT a FROM d.t WHERE @night <= game_date": 0.7,
    "SELECT a FROM d.t WHERE game_date = @night OR a > 1": 1.0,
    "SELECT a FROM d.t WHERE game_date = (SELECT MAX(game_date) FROM d.s)": 1.0,
    f"WITH x AS ({NIGHT}), y AS (SELECT a FROM d.t WHERE game_date = DATE '2025-12-30') SELECT a FROM x JOIN y USING (a)": 0.7,
    f"WITH x AS ({NIGHT}), y AS (SELECT a FROM d.t) SELECT a FROM x JOIN y USING (a)": 1.0,
}


@pytest.mark.parametrize(("sql", "part"), SHARE_BY_SQL.items())
def test_only_partitions_that_match_no_row_are_pruned_from_the_bill(sql, part):
    references = [naming for naming in inspect_sql(sql).table_references if naming.table == "d.t"]
    assert scanned_fraction(references, "game_date", ROWS_BY_DAY, {"night": "2025-12-29"}) == pytest.approx(part)
