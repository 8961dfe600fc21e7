"""The handoff's variables: how many requests the workers take at once, and what the platform repairs by itself."""

from __future__ import annotations

from math import prod

from pydantic import Field

from services.core.env_settings import Count, EnvSettings, Flag, PositiveInt
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY

EMERGENCY_INSTANCES, EMERGENCY_CONCURRENCY = EMERGENCY_CAPACITY


class WorkerConcurrencyConfig(EnvSettings):
    """`max_instances` × `concurrency` requests at once; in emergency mode 4 × 3 whatever else is set."""

    max_instances: PositiveInt = Field(
        NORMAL_WORKER_CAPACITY[0], validation_alias="WORKER_MAX_INSTANCES", description="instances of the worker"
    )
    concurrency: PositiveInt = Field(
        NORMAL_WORKER_CAPACITY[1],
        validation_alias="WORKER_CONCURRENCY",
        description="concurrent requests per instance of the worker",
    )
    emergency_mode: Flag = Field(
        False,
        validation_alias="WORKER_EMERGENCY_MODE",
        description=f"{EMERGENCY_INSTANCES} × {EMERGENCY_CONCURRENCY} whatever else is set",
    )

    @property
    def max_parallel_requests(self) -> int:
        """Requests at once under this configuration."""
        if self.emergency_mode:
            return prod(EMERGENCY_CAPACITY)
        return self.max_instances * self.concurrency


class SelfHealingConfig(EnvSettings):
    """What the write path and the watchdog do by themselves when something goes wrong."""

    dml_backoff_enabled: Flag = Field(
        True, validation_alias="SELF_HEALING_DML_BACKOFF_ENABLED", description="retry what BigQuery may accept later"
    )
    dml_max_retries: Count = Field(
        3, validation_alias="SELF_HEALING_DML_MAX_RETRIES", description="retries after the first attempt"
    )
    alert_on_dml_limit: Flag = Field(
        True, validation_alias="SELF_HEALING_ALERT_ON_DML_LIMIT", description="notify when writes are rejected"
    )
    auto_reduce_concurrency: Flag = Field(
        True,
        validation_alias="SELF_HEALING_AUTO_REDUCE_CONCURRENCY",
        description="scale the worker down while too many writers are rejected",
    )
    resume_stalled: Flag = Field(
        True, validation_alias="SELF_HEALING_RESUME_STALLED", description="resume a batch that has stalled"
    )
    consolidate_leftovers: Flag = Field(
        True,
        validation_alias="SELF_HEALING_CONSOLIDATE_LEFTOVERS",
        description="consolidate staging tables that a run left behind",
    )
