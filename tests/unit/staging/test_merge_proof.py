"""A table is merged only on proof of each of its rows, whatever date its name has."""

from __future__ import annotations

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
