"""Classification of a coverage by the thresholds."""

from __future__ import annotations

import pytest

from services.core.result import Health
from services.core.settings import Settings
from services.policy.coverage_thresholds import classify_coverage, describe_thresholds, threshold_lines

SETTINGS = Settings.from_env({})


@pytest.mark.parametrize(
    ("active", "eligible", "games", "word"),
    [
        (158, 158, 11, Health.OK),
        (151, 158, 11, Health.OK),
        (150, 158, 11, Health.WARNING),
        (134, 158, 11, Health.CRITICAL),
        (68, 158, 11, Health.CRITICAL),
        (0, 158, 11, Health.CRITICAL),
        (0, 0, 0, Health.NONE_EXPECTED),
        (0, 0, 5, Health.UNKNOWN),
        (None, 158, 11, Health.UNKNOWN),
    ],
)
def test_coverage_is_classified_at_95_and_85_pct_and_never_ok_without_a_denominator(active, eligible, games, word):
    assert classify_coverage(active, eligible, games, SETTINGS) is word


def test_the_lines_and_the_words_are_those_of_the_settings():
    settings = Settings.from_env({"COVERAGE_WARNING_PCT": "97.5", "COVERAGE_CRITICAL_PCT": "80"})
    assert threshold_lines(settings) == (("warning", 97.5), ("critical", 80.0))
    assert describe_thresholds(settings) == "below 97.5 % (critical 80 %)"
