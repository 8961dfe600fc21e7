"""The order of the health states."""

from __future__ import annotations

from services.core.result import Health, worst


def test_the_worst_health_wins_and_none_is_unknown():
    assert worst([Health.OK, Health.UNKNOWN, Health.WARNING]) is Health.UNKNOWN
    assert worst([]) is Health.UNKNOWN
