"""The handoff's variables: their defaults, the emergency mode, and what is refused."""

from __future__ import annotations

import pytest

from services.core.errors import SettingsError
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig


def test_the_handoffs_variables_have_the_handoffs_defaults():
    assert WorkerConcurrencyConfig.from_env({}) == WorkerConcurrencyConfig(
        max_instances=20, concurrency=5, emergency_mode=False
    )
    assert SelfHealingConfig.from_env({}) == SelfHealingConfig(
        dml_backoff_enabled=True,
        dml_max_retries=3,
        alert_on_dml_limit=True,
        auto_reduce_concurrency=True,
        resume_stalled=True,
        consolidate_leftovers=True,
    )


def test_emergency_mode_is_4_by_3_whatever_else_is_set():
    assert (
        WorkerConcurrencyConfig.from_env(
            {"WORKER_EMERGENCY_MODE": "true", "WORKER_MAX_INSTANCES": "50"}
        ).max_parallel_requests
        == 12
    )


@pytest.mark.parametrize(
    "env",
    [
        {"WORKER_EMERGENCY_MODE": "yes"},
        {"WORKER_MAX_INSTANCES": "-1"},
        {"SELF_HEALING_DML_MAX_RETRIES": "many"},
        {"SELF_HEALING_DML_MAX_RETRIES": "\u0663"},  # a decimal digit, but not an ASCII one
    ],
)
def test_an_invalid_pipeline_variable_is_refused_by_name(env):
    with pytest.raises(SettingsError, match=next(iter(env))):
        (WorkerConcurrencyConfig.from_env(env), SelfHealingConfig.from_env(env))
