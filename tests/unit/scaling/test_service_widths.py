"""Test service widths: moved here by the new layout."""

from __future__ import annotations

from services.core.result import Health
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY
from services.scaling.service_widths import CapacityState, classify_capacity, classify_health, normal_capacity


def test_capacities_are_emergency_normal_or_drifted():
    assert classify_capacity(EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.EMERGENCY
    assert classify_capacity((20, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.NORMAL
    assert classify_capacity((7, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.DRIFTED
    assert classify_health((None, 5), CapacityState.DRIFTED, is_worker=True) is Health.CRITICAL
    assert normal_capacity(
        {"on-call/normal-max-instances": "10", "on-call/normal-concurrency": "5"}, is_worker=True
    ) == (10, 5)
