"""A plan for the worker's capacity asks for as much as it risks, whichever button it comes from."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.plan import Confirmation
from services.scaling import actions
from services.scaling import plan as scaling_plan
from services.scaling.annotations import CapacitySetting
from tests.support.alert_factories import NOW, SETTINGS, make_worker_capacity

CLIENTS: Any = SimpleNamespace(now=lambda: NOW, settings=SETTINGS)


@pytest.fixture
def worker(monkeypatch):
    """Sets what Cloud Run reports."""

    def use(*setting: Any) -> None:
        capacity = make_worker_capacity(CapacitySetting(*setting))
        monkeypatch.setattr(scaling_plan, "read_worker_capacity", lambda _: capacity)

    return use


def test_a_restore_beyond_the_dml_limit_asks_as_much_as_setting_the_same_capacity(worker):
    worker(4, 20, 3)
    restore = actions.RESTORE_CAPACITY.plan(CLIENTS, {})
    same = actions.SET_CAPACITY.plan(CLIENTS, {"instances": 20, "requests": 5})
    assert restore.title == "Restore prediction-worker to 20 × 5"
    for plan in (restore, same):
        assert (plan.confirmation, plan.confirmation_text) == (Confirmation.TYPED, "prediction-worker")
        assert "safe only with staged writes" in plan.warnings[-1]
        assert (plan.warnings[0], plan.evidence) == (
            "100 concurrent writers vs. limit 22: 78 of 100 rejected with direct MERGE; staging uses 1 MERGE per batch.",
            (),
        )
        assert [(figure.before, figure.after) for figure in plan.figures] == [("12", "100"), ("4", "20"), ("3", "5")]


def test_a_change_within_the_limit_or_down_is_one_click(worker):
    worker(4, 20, 3)
    assert actions.SET_CAPACITY.plan(CLIENTS, {"instances": 4, "requests": 5}).confirmation is Confirmation.ONE_CLICK
    worker(None, 20, 5)
    assert actions.SCALE_DOWN.plan(CLIENTS, {}).confirmation is Confirmation.ONE_CLICK
    assert actions.SET_CAPACITY.plan(CLIENTS, {"instances": 10, "requests": 5}).confirmation is Confirmation.ONE_CLICK
