"""The limits that this project plans with are those that the sandbox enforces."""

from __future__ import annotations

from services.policy import dml_limits
from services.sandbox.bigquery import limits


def test_our_dml_limits_are_those_the_sandbox_enforces():
    ours = (dml_limits.MAX_RUNNING_DML, dml_limits.MAX_QUEUED_DML)
    assert ours == (limits.MAX_RUNNING_DML, limits.MAX_QUEUED_DML)


def test_the_emergency_capacity_stays_within_the_outstanding_statements():
    instances, concurrency = dml_limits.EMERGENCY_CAPACITY
    assert instances * concurrency < dml_limits.MAX_OUTSTANDING_DML
