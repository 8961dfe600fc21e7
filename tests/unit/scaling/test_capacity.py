"""A capacity is judged against what the service records as normal, else against what it is configured for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.core.result import Health
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY
from services.scaling.annotations import CapacityAnnotations, CapacitySetting, parse_annotations
from services.scaling.capacity import (
    CapacityState,
    classify_capacity,
    classify_health,
    normal_capacity,
    normal_setting,
)
from tests.support.alert_factories import make_worker_capacity


def test_capacities_are_emergency_normal_or_drifted():
    assert classify_capacity(EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.EMERGENCY
    assert classify_capacity((20, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.NORMAL
    assert classify_capacity((7, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.DRIFTED
    pinned = (
        2,
        5,
    )  # with pinned traffic the emergency limit needs no revision: fewer instances at the same concurrency
    assert classify_capacity(pinned, NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.EMERGENCY
    for other in ((3, 5), (1, 80), (1, 5), (None, 5)):
        assert classify_capacity(other, NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.DRIFTED
    assert classify_capacity(pinned, (1, 8), is_worker=False) is CapacityState.DRIFTED
    assert classify_health(CapacitySetting(None, 100, 5), CapacityState.DRIFTED, is_worker=True) is Health.CRITICAL


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"on-call/normal-max-instances": "10", "on-call/normal-concurrency": "5"}, (10, 5)),
        ({"on-call/normal-revision-max-instances": "30", "on-call/normal-concurrency": "5"}, (30, 5)),
        ({"on-call/restored-to": "not set/30/5"}, (30, 5)),
        ({"on-call/restored-to": "rubbish"}, NORMAL_WORKER_CAPACITY),
        ({}, NORMAL_WORKER_CAPACITY),
    ],
)
def test_the_normal_capacity_is_the_recorded_one_else_the_configured_one(monkeypatch, annotations, expected):
    monkeypatch.delenv("WORKER_MAX_INSTANCES", raising=False)
    monkeypatch.delenv("WORKER_CONCURRENCY", raising=False)
    assert normal_capacity(parse_annotations(annotations), is_worker=True) == expected


def test_the_configured_capacity_is_normal_where_the_service_records_none(monkeypatch):
    monkeypatch.setenv("WORKER_MAX_INSTANCES", "30")
    assert normal_capacity(CapacityAnnotations(), is_worker=True) == (30, 5)


def test_a_restore_from_an_unrecorded_emergency_prefers_the_values_of_the_last_restore():
    worker = make_worker_capacity(CapacitySetting(4, 20, 3))
    assert normal_setting(worker) == CapacitySetting(None, 20, 5)
    restored_before = replace(worker, annotations=CapacityAnnotations(restored_to=CapacitySetting(None, 30, 5)))
    assert normal_setting(restored_before) == CapacitySetting(None, 30, 5)
