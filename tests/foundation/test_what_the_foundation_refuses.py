"""Settings, errors and retries: what is refused is refused in a sentence, and only what may pass is tried again."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as google

from services.core.errors import AccessDenied, SettingsError, SourceUnavailable, TableNotFound
from services.core.settings import Settings, describe
from services.gcp.error_messages import to_oncall_error
from services.gcp.error_table import (
    ERRORS_BY_KEY,
    KNOWN_ERRORS,
    ErrorClass,
    classify,
    classify_exception,
    find_known_error,
)
from services.gcp.retry import RetryPolicy, call_with_retry, is_transient
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig


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


def test_the_handoffs_variables_have_the_handoffs_defaults():
    assert WorkerConcurrencyConfig.from_env({}) == WorkerConcurrencyConfig(20, 5, False)
    assert SelfHealingConfig.from_env({}) == SelfHealingConfig(True, 3, True, True)


def test_emergency_mode_is_4_by_3_whatever_else_is_set():
    assert (
        WorkerConcurrencyConfig.from_env(
            {"WORKER_EMERGENCY_MODE": "true", "WORKER_MAX_INSTANCES": "50"}
        ).max_parallel_requests
        == 12
    )


@pytest.mark.parametrize(
    "env", [{"WORKER_EMERGENCY_MODE": "yes"}, {"WORKER_MAX_INSTANCES": "-1"}, {"SELF_HEALING_DML_MAX_RETRIES": "many"}]
)
def test_an_invalid_pipeline_variable_is_refused_by_name(env):
    with pytest.raises(SettingsError, match=next(iter(env))):
        (WorkerConcurrencyConfig.from_env(env), SelfHealingConfig.from_env(env))


@pytest.mark.parametrize("known", KNOWN_ERRORS, ids=lambda known: known.key)
def test_every_known_error_is_recognized_by_its_message(known):
    values = dict.fromkeys(
        ("table", "method", "job", "project", "limit", "bytes", "count", "line", "column", "detail"), "7"
    )
    assert find_known_error(known.format_message(**values)) == known


def test_a_403_is_a_full_queue_or_a_missing_permission_by_its_message():
    assert classify(403, ["quotaExceeded"], ERRORS_BY_KEY["dml_queue_full_quota"].template) is ErrorClass.RETRY
    assert (
        classify(403, ["accessDenied"], "Access Denied: Table p:d.t: User does not have permission")
        is ErrorClass.PERMANENT
    )


def test_a_400_is_a_full_queue_or_a_wrong_query_by_its_message():
    full = google.BadRequest(
        "Resources exceeded during query execution: Too many DML statements outstanding against table t, limit is 20."
    )
    assert classify_exception(full) is ErrorClass.RETRY
    assert classify_exception(google.BadRequest("Syntax error: Unexpected keyword at [1:1]")) is ErrorClass.PERMANENT


def test_google_errors_become_messages_with_a_hint():
    assert isinstance(to_oncall_error("BigQuery", google.NotFound("Not found: Table p:d.t")), TableNotFound)
    assert isinstance(to_oncall_error("BigQuery", google.Forbidden("Access Denied")), AccessDenied)
    unavailable = to_oncall_error("Cloud Run", ConnectionError("refused"))
    assert isinstance(unavailable, SourceUnavailable)
    assert unavailable.hint


def test_a_query_error_shows_its_line():
    error = to_oncall_error(
        "BigQuery", google.BadRequest("Syntax error: Unexpected keyword FROM at [2:3]"), "SELECT\n  FROM x"
    )
    assert "line 2: FROM x" in error.message


def test_an_unknown_column_is_named_without_a_traceback():
    error = to_oncall_error(
        "BigQuery", google.BadRequest("Unrecognized name: vegas_line_source; Did you mean line_source?")
    )
    assert "column vegas_line_source" in error.message


def test_transient_errors_are_retried_within_the_budget_and_permanent_ones_never():
    pauses: list[float] = []
    policy = RetryPolicy(retries=3, sleep=pauses.append, rng=lambda: 1.0)

    def failing(error):
        def work():
            raise error

        return work

    with pytest.raises(google.ServiceUnavailable):
        call_with_retry(policy, failing(google.ServiceUnavailable("The service is currently unavailable")))
    assert pauses == [5.0, 10.0, 20.0]
    pauses.clear()
    with pytest.raises(google.BadRequest):
        call_with_retry(policy, failing(google.BadRequest("Syntax error")))
    assert pauses == []


def test_backoff_is_jittered_below_its_cap():
    assert RetryPolicy(rng=lambda: 1.0).backoff_s(12) == 120.0
    assert RetryPolicy(rng=lambda: 0.0).backoff_s(12) == 0.0


def test_a_lost_connection_is_transient_and_a_wrong_value_is_not():
    assert is_transient(ConnectionError("reset"))
    assert not is_transient(ValueError("no"))
