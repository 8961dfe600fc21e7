"""How wide the workers run and how the write path heals itself: the handoff's variables, in two frozen records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from services.core.errors import SettingsError
from services.core.settings import boolean

EMERGENCY_INSTANCES, EMERGENCY_CONCURRENCY = 4, 3


@dataclass(frozen=True)
class WorkerConcurrencyConfig:
    """`max_instances` × `concurrency` requests at once; in emergency mode 4 × 3 whatever else is set."""

    max_instances: int = 20
    concurrency: int = 5
    emergency_mode: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> WorkerConcurrencyConfig:
        env = os.environ if env is None else env
        return cls(
            _count(env, "WORKER_MAX_INSTANCES", 20),
            _count(env, "WORKER_CONCURRENCY", 5),
            _switch(env, "WORKER_EMERGENCY_MODE", False),
        )

    @property
    def at_once(self) -> int:
        """Requests at once under this configuration."""
        if self.emergency_mode:
            return EMERGENCY_INSTANCES * EMERGENCY_CONCURRENCY
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
            _switch(env, "SELF_HEALING_DML_BACKOFF_ENABLED", True),
            _count(env, "SELF_HEALING_DML_MAX_RETRIES", 3, least=0),
            _switch(env, "SELF_HEALING_ALERT_ON_DML_LIMIT", True),
            _switch(env, "SELF_HEALING_AUTO_REDUCE_CONCURRENCY", True),
            _switch(env, "SELF_HEALING_RESUME_STALLED", True),
            _switch(env, "SELF_HEALING_CONSOLIDATE_LEFTOVERS", True),
        )


def _switch(env: Mapping[str, str], name: str, default: bool) -> bool:
    try:
        return boolean(env[name]) if env.get(name) else default
    except ValueError as wrong:
        raise SettingsError(f"{name}={env[name]!r} cannot be used: {wrong}.") from None


def _count(env: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    told = env.get(name) or str(default)
    if not told.isdigit() or int(told) < least:
        raise SettingsError(f"{name}={told!r} cannot be used: a whole number from {least}.")
    return int(told)
