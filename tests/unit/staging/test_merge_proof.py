"""A table is merged only on proof of each of its rows, whatever date its name has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.staging.merge_proof import read_proofs
from tests.support.memory_rows import NIGHT, prediction_row

NAME = "_staging_batch_2025_12_29_1767037620000_p_ann"
NEXT_DAY = {"game_date": NIGHT + timedelta(days=1)}
ROWS = [prediction_row("ann"), prediction_row("ann", **NEXT_DAY)]


@pytest.fixture
def staged(project):
    project.create_table(f"nba_predictions.{NAME}", project.tables[PREDICTIONS_TABLE].fields)
    project.insert(f"nba_predictions.{NAME}", ROWS)


@pytest.mark.parametrize(
    ("stored", "missing", "merged"),
    [([], 2, False), (ROWS[:1], 1, False), (ROWS[1:], 1, False), (ROWS, 0, True)],
)
def test_rows_of_another_date_than_the_name_has_are_proven_too(project, clients, staged, stored, missing, merged):
    project.insert(PREDICTIONS_TABLE, stored)
    [proof] = read_proofs(clients, [NAME]).proofs
    assert (proof.rows, proof.missing_rows, proof.merged) == (2, missing, merged)


def test_a_table_that_is_streamed_into_has_an_unknown_number_of_rows(project, clients, staged):
    project.tables[f"nba_predictions.{NAME}"].stream([prediction_row("bob")], project.clock.now())
    [proof] = read_proofs(clients, [NAME]).proofs
    assert (proof.rows, proof.merged, proof.error) == (None, False, "rows are still being streamed into it")


@pytest.mark.parametrize("limit_mib", [1024, 30])
def test_more_tables_than_one_query_may_bill_are_proven_by_several(project, clients, limit_mib):
    """158 tables bill 1,580 MiB at least."""
    clients = replace(clients, settings=clients.settings.model_copy(update={"max_bytes_billed_mib": limit_mib}))
    count = 158 if limit_mib == 1024 else 3
    names = [f"_staging_batch_2025_12_29_1767037620000_w{n}" for n in range(count)]
    for n, name in enumerate(names):
        project.create_table(f"nba_predictions.{name}", project.tables[PREDICTIONS_TABLE].fields)
        project.insert(f"nba_predictions.{name}", [prediction_row(f"player-{n}")])
    project.insert(PREDICTIONS_TABLE, [prediction_row(f"player-{n}") for n in range(1, count)])
    found = read_proofs(clients, names)
    assert [(proof.table, proof.missing_rows, proof.error) for proof in found.proofs] == [
        (name, int(n == 0), "") for n, name in enumerate(names)
    ]
    queries = len(found.sources) - 1
    assert queries == (8 if limit_mib == 1024 else 6)


def test_tables_of_one_batch_with_their_columns_in_another_order_are_proven_too(project, clients, staged):
    """In a union columns are matched by their place: one text would be compared as another."""
    swapped = {"recommendation": "line_source", "line_source": "recommendation"}
    fields = {field.name: field for field in project.tables[PREDICTIONS_TABLE].fields}
    other = f"{NAME.removesuffix('ann')}bob"
    project.create_table(f"nba_predictions.{other}", [fields[swapped.get(name, name)] for name in fields])
    project.insert(f"nba_predictions.{other}", [prediction_row("bob")])
    project.insert(PREDICTIONS_TABLE, [*ROWS, prediction_row("bob")])
    assert [proof.merged for proof in read_proofs(clients, [NAME, other]).proofs] == [True, True]
