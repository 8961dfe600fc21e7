"""Which coverage is ok, a warning or critical, and how these thresholds are shown. Nothing else reads their settings."""

from __future__ import annotations

from services.core.result import Health
from services.core.settings import Settings


def classify_coverage(active: int | None, eligible: int | None, games: int | None, settings: Settings) -> Health:
    """The health of a coverage by the settings' thresholds: none expected without games, unknown without eligible players."""
    if games == 0:
        return Health.NONE_EXPECTED
    if active is None or not eligible:
        return Health.UNKNOWN
    pct = 100 * active / eligible
    if pct < settings.coverage_critical_pct:
        return Health.CRITICAL
    return Health.WARNING if pct < settings.coverage_warning_pct else Health.OK


def threshold_lines(settings: Settings) -> tuple[tuple[str, float], ...]:
    """The thresholds as (name, per cent), for a chart's lines."""
    return (("warning", settings.coverage_warning_pct), ("critical", settings.coverage_critical_pct))


def describe_thresholds(settings: Settings) -> str:
    """The thresholds in words: "below 95 % (critical 85 %)"."""
    return f"below {settings.coverage_warning_pct:g} % (critical {settings.coverage_critical_pct:g} %)"
