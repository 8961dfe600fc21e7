"""Thresholds: one group and one file for every process, values of a system's own, and a fingerprint that shows a difference."""

from __future__ import annotations

import pytest
from dotenv import dotenv_values

from services.core.env_settings import list_settings
from services.core.errors import SettingsError
from services.core.settings import Settings
from services.core.thresholds import Thresholds
from tests.support.paths import ROOT

DEPLOYED = {name: value or "" for name, value in dotenv_values(ROOT / "deploy" / "thresholds.env").items()}


def test_the_deployed_file_has_each_threshold_once_with_its_default():
    variables = [name for field in Thresholds.model_fields.values() for name in Thresholds.variables(field)]
    assert list(DEPLOYED) == variables
    assert Thresholds.from_env(DEPLOYED) == Thresholds.from_env({})


def test_a_system_may_have_thresholds_of_its_own():
    thresholds = Thresholds.from_env(
        {
            "ROWS_WARNING_PCT_BY_SYSTEM": "xgboost_v1=80, ensemble_v1=90.5",
            "ROWS_CRITICAL_PCT_BY_SYSTEM": "xgboost_v1=50",
        }
    )
    assert thresholds.rows_pct("xgboost_v1") == (80, 50)
    assert thresholds.rows_pct("ensemble_v1") == (90.5, 85)
    assert thresholds.rows_pct("moving_average") == (100, 85)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("xgboost_v1", "a number from 0 to 100"),
        ("xgboost_v1=", "a number from 0 to 100"),
        ("xgboost_v1=120", "a number from 0 to 100"),
        ("=80", "letters, digits, - and _ only"),
        ("xgboost_v1=80,xgboost_v1=70", "each system once"),
    ],
)
def test_a_wrong_value_of_a_system_is_refused(value, rule):
    with pytest.raises(SettingsError, match=f"^ROWS_WARNING_PCT_BY_SYSTEM='{value}' cannot be used: {rule}"):
        Thresholds.from_env({"ROWS_WARNING_PCT_BY_SYSTEM": value})


@pytest.mark.parametrize(
    "env",
    [
        {"COVERAGE_WARNING_PCT": "80"},
        {"ROWS_WARNING_PCT": "80"},
        {"ROWS_WARNING_PCT_BY_SYSTEM": "xgboost_v1=80"},
        {"ROWS_CRITICAL_PCT_BY_SYSTEM": "xgboost_v1=90", "ROWS_WARNING_PCT": "88"},
    ],
)
def test_a_critical_threshold_above_the_warning_one_is_refused(env):
    with pytest.raises(SettingsError, match=r"_CRITICAL_PCT( of xgboost_v1)? \(\d+\) is above .*_WARNING_PCT"):
        Thresholds.from_env(env)


def test_the_fingerprint_is_that_of_the_thresholds_and_of_nothing_else():
    settings = Settings.from_env({})
    assert len(settings.fingerprint) == 8
    assert settings.fingerprint == Thresholds.from_env(DEPLOYED).fingerprint
    assert settings.fingerprint == Settings.from_env({"GOOGLE_CLOUD_PROJECT": "another"}).fingerprint
    for name, value in {"ORPHAN_AFTER_H": "25", "ROWS_WARNING_PCT_BY_SYSTEM": "xgboost_v1=90"}.items():
        assert settings.fingerprint != Settings.from_env({name: value}).fingerprint, name


def test_the_document_lists_each_threshold_with_its_default_and_meaning():
    text = (ROOT / "docs" / "thresholds.md").read_text(encoding="utf-8")
    for variable, _, default, meaning in list_settings(Thresholds.from_env({}), Thresholds):
        assert f"| `{variable}` | {default or 'none'} | {meaning} |" in text, variable
