"""`make settings`: every setting of every part, with its value now, its default and its meaning; secrets are masked."""

from __future__ import annotations

from collections.abc import Mapping

from services.core.env_settings import EnvSettings, describe
from services.core.errors import SettingsError
from services.core.settings import DashboardServerSettings, SandboxSettings, ServerSettings, Settings
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig

GROUPS: tuple[type[EnvSettings], ...] = (
    Settings,
    WorkerConcurrencyConfig,
    SelfHealingConfig,
    ServerSettings,
    DashboardServerSettings,
    SandboxSettings,
)


def render_table(env: Mapping[str, str] | None = None) -> str:
    """The table of all settings; raises SettingsError for the first variable that cannot be used."""
    return describe(*(group.from_env(env) for group in GROUPS))


if __name__ == "__main__":
    try:
        print(render_table())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
