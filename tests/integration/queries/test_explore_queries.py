"""What is counted of the seeded fortnight by the emulator, within the bytes that the dry run said."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.core.clock import worker_run_days
from services.explore.counts import read_cost, read_counts
from services.explore.look import make_look
from services.explore.subjects import SUBJECTS, SUBJECTS_BY_NAME
from services.gcp import query_catalog

FIRST, NIGHT = date(2025, 12, 23), date(2025, 12, 29)


def test_the_night_of_the_loss_has_68_players_in_five_systems(module_clients):
    look = make_look(SUBJECTS_BY_NAME["predictions"], ("date", "system"), FIRST, NIGHT)
    cost = read_cost(module_clients, look)
    found = read_counts(module_clients, cost)
    lost = [group for group in found.groups if group.values["date"] == NIGHT]
    assert [(g.measures["row_count"], g.measures["players"], g.measures["duplicate_rows"]) for g in lost] == [
        (340, 68, 0)
    ] * 5
    assert found.source.bytes_billed == cost.billed_bytes


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_subject_is_counted_by_each_of_its_dimensions(module_clients, subject):
    for dimension in subject.dimensions:
        look = make_look(subject, (dimension,), NIGHT, NIGHT)
        found = read_counts(module_clients, read_cost(module_clients, look))
        assert found.groups, dimension
        assert None not in {group.values[dimension] for group in found.groups}


def test_what_is_filtered_by_is_what_is_counted(module_clients):
    night: dict[str, Any] = {"first_date": NIGHT, "last_date": NIGHT, "by": ["date"], "player": ""}
    run_times = worker_run_days(NIGHT)
    batch = "batch_2025-12-29_1767037620"
    rows = query_catalog.run_query(
        module_clients, "explore.predictions", **night, system="xgboost_v1", active="yes"
    ).rows
    runs = query_catalog.run_query(module_clients, "explore.worker_runs", **night, **run_times, batch=batch).rows
    odds = query_catalog.run_query(module_clients, "explore.odds", **night).rows
    context = query_catalog.run_query(module_clients, "explore.context", **night).rows
    assert [found[0]["players"] for found in (rows, runs, odds, context)] == [68, 158, 176, 352]
