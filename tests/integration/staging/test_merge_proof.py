"""The merge proof counts what the predictions table lacks, whatever a table is called."""

from __future__ import annotations

from services.gcp import query_catalog
from services.staging.merge_proof import read_proofs
from tests.integration.staging.conftest import run_sql
from tests.integration.staging.test_drop import DATASET


def test_the_merge_proof_counts_missing_and_changed_rows(module_clients, merged_tables, unmerged_tables):
    proofs = {
        proof.table: proof for proof in read_proofs(module_clients, [merged_tables[0], unmerged_tables[0]]).proofs
    }
    assert (proofs[merged_tables[0]].rows, proofs[merged_tables[0]].unmerged_rows) == (25, 0)
    assert (proofs[unmerged_tables[0]].missing_rows, proofs[unmerged_tables[0]].changed_rows) == (25, 0)


def test_dates_missing_from_the_table_name_are_read_from_the_rows(module_clients, merged_tables):
    run_sql(module_clients, f"CREATE TABLE {DATASET}._staging_fallback_1 AS SELECT * FROM {DATASET}.{merged_tables[3]}")
    assert read_proofs(module_clients, ["_staging_fallback_1"]).proofs[0].merged
    dates = query_catalog.run_query(
        module_clients, "staging.date_range", tables={"staging": f"{DATASET}._staging_fallback_1"}
    ).rows[0]
    assert str(dates["first_date"]) == str(dates["last_date"]) == "2025-12-23"
    run_sql(module_clients, f"DROP TABLE {DATASET}._staging_fallback_1")
