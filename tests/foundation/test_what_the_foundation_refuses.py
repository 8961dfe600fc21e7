"""Settings, errors and retries: what is refused is refused in a sentence, and only what may pass is tried again."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as google

from services.core.errors import AccessDenied, MissingInWarehouse, SettingsError, SourceUnreadable
from services.core.settings import Settings, describe
from services.gcp.error_messages import sentence_for
from services.gcp.error_table import BY_KEY, KNOWN_ERRORS, ErrorClass, classify, classify_exception, recognise
from services.gcp.retry import Policy, may_pass, retrying
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
def test_a_bad_setting_is_refused_with_its_name(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_a_threshold_of_zero_is_zero_and_not_unset():
    assert Settings.from_env({"COVERAGE_CRITICAL_PCT": "0"}).coverage_critical_pct == 0


def test_every_setting_is_described_with_its_value():
    told = describe(Settings.from_env({"QUERY_LIMIT_MIB": "77"}))
    assert "77" in told
    assert "GOOGLE_CLOUD_PROJECT" in told


def test_the_handoffs_variables_have_the_handoffs_defaults():
    assert WorkerConcurrencyConfig.from_env({}) == WorkerConcurrencyConfig(20, 5, False)
    assert SelfHealingConfig.from_env({}) == SelfHealingConfig(True, 3, True, True)


def test_emergency_mode_is_four_times_three_whatever_else_is_set():
    assert (
        WorkerConcurrencyConfig.from_env({"WORKER_EMERGENCY_MODE": "true", "WORKER_MAX_INSTANCES": "50"}).at_once == 12
    )


@pytest.mark.parametrize(
    "env", [{"WORKER_EMERGENCY_MODE": "yes"}, {"WORKER_MAX_INSTANCES": "-1"}, {"SELF_HEALING_DML_MAX_RETRIES": "many"}]
)
def test_a_bad_pipeline_variable_is_refused_with_its_name(env):
    with pytest.raises(SettingsError, match=next(iter(env))):
        (WorkerConcurrencyConfig.from_env(env), SelfHealingConfig.from_env(env))


@pytest.mark.parametrize("known", KNOWN_ERRORS, ids=lambda known: known.key)
def test_every_known_error_is_recognised_by_its_own_words(known):
    places = dict.fromkeys(
        ("table", "method", "job", "project", "limit", "bytes", "count", "line", "column", "detail"), "7"
    )
    assert recognise(known.message(**places)) == known


def test_a_403_is_a_full_queue_or_a_missing_permission_by_its_words():
    assert classify(403, ["quotaExceeded"], BY_KEY["dml_queue_full_quota"].template) is ErrorClass.RETRY
    assert (
        classify(403, ["accessDenied"], "Access Denied: Table p:d.t: User does not have permission")
        is ErrorClass.PERMANENT
    )


def test_a_400_is_a_full_queue_or_a_wrong_query_by_its_words():
    full = google.BadRequest(
        "Resources exceeded during query execution: Too many DML statements outstanding against table t, limit is 20."
    )
    assert classify_exception(full) is ErrorClass.RETRY
    assert classify_exception(google.BadRequest("Syntax error: Unexpected keyword at [1:1]")) is ErrorClass.PERMANENT


def test_errors_become_sentences_with_what_to_do():
    assert isinstance(sentence_for("BigQuery", google.NotFound("Not found: Table p:d.t")), MissingInWarehouse)
    assert isinstance(sentence_for("BigQuery", google.Forbidden("Access Denied")), AccessDenied)
    down = sentence_for("Cloud Run", ConnectionError("refused"))
    assert isinstance(down, SourceUnreadable)
    assert down.remedy


def test_a_wrong_query_shows_the_line_it_is_wrong_in():
    told = sentence_for(
        "BigQuery", google.BadRequest("Syntax error: Unexpected keyword FROM at [2:3]"), "SELECT\n  FROM x"
    )
    assert "line 2: FROM x" in told.sentence


def test_an_unreadable_credential_never_shows_a_traceback_or_a_secret():
    told = sentence_for(
        "BigQuery", google.BadRequest("Unrecognized name: vegas_line_source; Did you mean line_source?")
    )
    assert "column vegas_line_source" in told.sentence


def test_what_may_pass_is_tried_again_within_the_budget_and_what_is_permanent_at_once():
    pauses: list[float] = []
    policy = Policy(retries=3, sleep=pauses.append, rng=lambda: 1.0)

    def always(error):
        def work():
            raise error

        return work

    with pytest.raises(google.ServiceUnavailable):
        retrying(policy, always(google.ServiceUnavailable("The service is currently unavailable")))
    assert pauses == [5.0, 10.0, 20.0]
    pauses.clear()
    with pytest.raises(google.BadRequest):
        retrying(policy, always(google.BadRequest("Syntax error")))
    assert pauses == []


def test_a_pause_is_never_longer_than_its_cap_and_anywhere_below_it():
    assert Policy(rng=lambda: 1.0).pause_s(12) == 120.0
    assert Policy(rng=lambda: 0.0).pause_s(12) == 0.0


def test_a_lost_connection_may_pass_and_a_wrong_value_may_not():
    assert may_pass(ConnectionError("reset"))
    assert not may_pass(ValueError("no"))
