"""How wide the workers run and how the write path heals itself: the handoff's variables, in two frozen records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from services.core.errors import SettingsError
from services.core.settings import parse_bool
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY


@dataclass(frozen=True)
class WorkerConcurrencyConfig:
    """`max_instances` × `concurrency` requests at once; in emergency mode EMERGENCY_CAPACITY whatever else is set."""

    max_instances: int = NORMAL_WORKER_CAPACITY[0]
    concurrency: int = NORMAL_WORKER_CAPACITY[1]
    emergency_mode: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> WorkerConcurrencyConfig:
        env = os.environ if env is None else env
        return cls(
            _int_env(env, "WORKER_MAX_INSTANCES", NORMAL_WORKER_CAPACITY[0]),
            _int_env(env, "WORKER_CONCURRENCY", NORMAL_WORKER_CAPACITY[1]),
            _bool_env(env, "WORKER_EMERGENCY_MODE", False),
        )

    @property
    def max_parallel_requests(self) -> int:
        """Requests at once under this configuration."""
        if self.emergency_mode:
            return prod(EMERGENCY_CAPACITY)
        return self.max_instances * self.concurrency


@dataclass(frozen=True)
class SelfHealingConfig:
    """What the write path and the watchdog do by themselves when something goes wrong."""

    dml_backoff_enabled: bool = True
    dml_max_retries: int = 3
    alert_on_dml_limit: bool = True
    auto_reduce_concurrency: bool = True
    resume_stalled: bool = True
    consolidate_leftovers: bool = True

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> SelfHealingConfig:
        env = os.environ if env is None else env
        return cls(
            _bool_env(env, "SELF_HEALING_DML_BACKOFF_ENABLED", True),
            _int_env(env, "SELF_HEALING_DML_MAX_RETRIES", 3, minimum=0),
            _bool_env(env, "SELF_HEALING_ALERT_ON_DML_LIMIT", True),
            _bool_env(env, "SELF_HEALING_AUTO_REDUCE_CONCURRENCY", True),
            _bool_env(env, "SELF_HEALING_RESUME_STALLED", True),
            _bool_env(env, "SELF_HEALING_CONSOLIDATE_LEFTOVERS", True),
        )


def _bool_env(env: Mapping[str, str], name: str, default: bool) -> bool:
    try:
        return parse_bool(env[name]) if env.get(name) else default
    except ValueError as error:
        raise SettingsError(f"{name}={env[name]!r} cannot be used: {error}.") from None


def _int_env(env: Mapping[str, str], name: str, default: int, minimum: int = 1) -> int:
    raw = env.get(name) or str(default)
    if not raw.isdigit() or int(raw) < minimum:
        raise SettingsError(f"{name}={raw!r} cannot be used: a whole number from {minimum}.")
    return int(raw)
