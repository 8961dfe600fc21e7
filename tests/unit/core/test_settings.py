"""Settings, errors and retries: what is refused is refused in a sentence, and only what may pass is tried again."""

from __future__ import annotations

import pytest

from services.core.errors import SettingsError
from services.core.settings import Settings, describe


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COVERAGE_WARNING_PCT", "ninety"),
        ("COVERAGE_WARNING_PCT", "101"),
        ("QUERY_LIMIT_MIB", "0"),
        ("SANDBOX_URL", "127.0.0.1:9050"),
        ("COORDINATOR_URL", "https://user:secret@host"),
        ("GOOGLE_CLOUD_PROJECT", "a b"),
        ("COVERAGE_CRITICAL_PCT", "99"),
    ],
)
def test_an_invalid_setting_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_a_threshold_of_zero_is_zero_and_not_unset():
    assert Settings.from_env({"COVERAGE_CRITICAL_PCT": "0"}).coverage_critical_pct == 0


def test_every_setting_is_described_with_its_value():
    description = describe(Settings.from_env({"QUERY_LIMIT_MIB": "77"}))
    assert "77" in description
    assert "GOOGLE_CLOUD_PROJECT" in description


@pytest.mark.parametrize("wrong", ["nora@example.com", "on-call", "x@gserviceaccount.com.evil.example"])
def test_an_invalid_acting_account_is_refused(wrong):
    with pytest.raises(SettingsError, match="ACTING_ACCOUNT"):
        Settings.from_env({"ACTING_ACCOUNT": wrong})


@pytest.mark.parametrize("wrong", ["everybody!", "nora at example.com", "*"])
def test_an_invalid_operator_list_is_refused(wrong):
    with pytest.raises(SettingsError, match="OPERATORS"):
        Settings.from_env({"OPERATORS": wrong})
