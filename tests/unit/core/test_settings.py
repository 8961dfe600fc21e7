"""Settings: typed defaults, strict values, refusals that name the variable and its rule."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.core.env_settings import describe
from services.core.errors import SettingsError
from services.core.settings import DashboardServerSettings, Settings
from services.policy.settings_table import GROUPS


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


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("QUERY_LIMIT_MIB", "plenty", "a whole number from 1"),
        ("QUERY_TIMEOUT_S", "inf", "a number above 0"),
        ("COVERAGE_WARNING_PCT", "nan", "a number from 0 to 100"),
    ],
)
def test_a_refusal_states_the_rule_and_the_default(name, value, rule):
    with pytest.raises(SettingsError, match=f"^{name}='{value}' cannot be used: {rule}\\. Unset it for the default"):
        Settings.from_env({name: value})


def test_a_refused_secret_is_not_repeated():
    with pytest.raises(SettingsError, match="SLACK_WEBHOOK_URL='…'") as refusal:
        Settings.from_env({"SLACK_WEBHOOK_URL": "hooks.example/services/T0"})
    assert "T0" not in str(refusal.value)


HELD_BY_URLS = [
    "https://nora:hunter2@coordinator.example",
    "https://hunter2@coordinator.example",
    "nora:hunter2@coordinator.example",
    "coordinator.example?key=hunter2",
    "https://coordinator.example/?hunter2",
    "https://nora:hunter2@",
    "https://nora:hunter2@coordinator.example:x",
    "coordinator.example#hunter2",
    "access_token=hunter2",
    '{"private_key": "hunter2"}',
    "hunter2" * 20,
]


@pytest.mark.parametrize("value", HELD_BY_URLS)
def test_no_refusal_of_any_setting_repeats_a_secret(value):
    """Whatever variable it was put into: refused or not, it is not in the refusal."""
    refusals = []
    for group in GROUPS:
        for name in {name for field in group.model_fields.values() for name in group.variables(field)}:
            try:
                group.from_env({name: value})
            except SettingsError as refusal:
                refusals.append((name, str(refusal)))
    assert len(refusals) > 20
    assert [text for name, text in refusals if "hunter2" in text or not text.startswith(f"{name}='…' ")] == []


def test_a_refusal_is_one_line_whatever_was_refused():
    with pytest.raises(SettingsError) as refusal:
        Settings.from_env({"GOOGLE_CLOUD_PROJECT": "a\nERROR\x1b[2K\u2028b"})
    assert str(refusal.value).isprintable()


def test_a_blank_variable_counts_as_unset():
    assert Settings.from_env({"GOOGLE_CLOUD_PROJECT": "  ", "COORDINATOR_URL": ""}) == Settings.from_env({})


def test_only_the_given_mapping_is_read(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "from-the-process")
    assert Settings.from_env({}).project == "nba-props-platform"
    assert Settings.from_env().project == "from-the-process"


def test_settings_are_frozen_and_hashable():
    settings = Settings.from_env({"OPERATORS": "b@example.com, A@example.com"})
    assert settings.operators == {"a@example.com", "b@example.com"}
    assert len({settings, Settings.from_env({"OPERATORS": "a@example.com,b@example.com"})}) == 1
    with pytest.raises(ValidationError):
        settings.project = "other"  # type: ignore[misc]


def test_the_dashboards_own_port_wins_over_the_platforms():
    assert DashboardServerSettings.from_env({}).port == 8501
    assert DashboardServerSettings.from_env({"PORT": "80"}).port == 80
    assert DashboardServerSettings.from_env({"PORT": "80", "DASHBOARD_PORT": "90"}).port == 90
    with pytest.raises(SettingsError, match=r"^PORT='x' is not a port"):
        DashboardServerSettings.from_env({"PORT": "x"})


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


def test_an_account_of_the_sandbox_is_refused_on_google_cloud():
    with pytest.raises(
        SettingsError, match=r"SANDBOX_PRINCIPAL='a@b\.gserviceaccount\.com' is only known to the sandbox"
    ):
        Settings.from_env({"SANDBOX_PRINCIPAL": "a@b.gserviceaccount.com"})


@pytest.mark.parametrize("value", ["nobody", "nora@example.com"])
def test_an_account_that_is_none_is_refused(value):
    with pytest.raises(
        SettingsError, match=rf"SANDBOX_PRINCIPAL='{value}' cannot be used: a service account's address"
    ):
        Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:9050", "SANDBOX_PRINCIPAL": value})
