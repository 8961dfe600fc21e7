"""A batch in which nothing goes wrong raises no alert, whatever its size, whenever it is checked."""

from __future__ import annotations

import pytest

from tests.faults.checks import run_clean_batch


@pytest.mark.parametrize(("seed", "size"), [(0, 4), (1, 12), (2, 24), (3, 48)])
def test_a_clean_batch_raises_no_alert_while_it_runs_or_after(seed, size):
    batch = run_clean_batch(seed, size)
    assert batch.checks > 5
    assert (batch.alerts, batch.unknown) == ([], [])
