"""The connection checks of a healthy setup, of one like the customer's, and of one broken in each way that happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import bigquery

from services.core.result import Health
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.doctor.__main__ import format_report
from services.doctor.check_result import CheckResult
from services.doctor.examination import run_checks
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.common.fault_injection import Fault
from services.sandbox.common.identities import account_address
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.http_stub import serve_http

OWN_COORDINATOR_BODY = b'{"service": "prediction-coordinator", "supports": ["players", "resume"]}'
CUSTOMER_COORDINATOR_BODY = b'{"service": "prediction-coordinator", "status": "healthy", "current_batch": null}'


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def coordinator_url() -> Iterator[str]:
    with serve_http(lambda *_: (200, OWN_COORDINATOR_BODY)) as address:
        yield address


@pytest.fixture
def examine(module_sandbox: Sandbox, coordinator_url: str) -> Iterator[Any]:
    """Checks the module's sandbox under settings; the results by subject."""
    module_sandbox.state.reset_limits()

    def run_examination(**env: str) -> dict[str, CheckResult]:
        clients = connect(
            Settings.from_env({"SANDBOX_URL": module_sandbox.url, "COORDINATOR_URL": coordinator_url, **env})
        )
        return {finding.subject: finding for finding in run_checks(clients).results}

    yield run_examination
    module_sandbox.state.reset_limits()


def bigquery_client(sandbox: Sandbox) -> bigquery.Client:
    return connect(Settings.from_env({"SANDBOX_URL": sandbox.url})).bigquery


@contextmanager
def table_without(sandbox: Sandbox, table: str, *fields: str, **options: Any) -> Iterator[None]:
    """A table removed, or recreated without some columns or its partitions; restored afterwards."""
    client = bigquery_client(sandbox)
    before = client.get_table(table)
    client.delete_table(table)
    if fields or options:
        schema = [field for field in before.schema if field.name not in fields] + options.get("more", [])
        client.create_table(bigquery.Table(before.reference, schema))
    try:
        yield
    finally:
        client.delete_table(table, not_found_ok=True)
        restored = bigquery.Table(before.reference, before.schema)
        restored.time_partitioning = before.time_partitioning
        client.create_table(restored)


def not_ok(results: dict[str, CheckResult]) -> set[str]:
    return {subject for subject, finding in results.items() if finding.health is not Health.OK}


def test_a_healthy_setup_passes_every_check_and_nothing_is_written(module_sandbox, examine):
    before = dict(module_sandbox.state.meter.calls)
    results = examine()
    assert not_ok(results) == set(), results
    assert len(results) >= 21
    changed_calls = {call for call, times in module_sandbox.state.meter.calls.items() if times != before.get(call, 0)}
    assert not {
        call for call in changed_calls if any(w in call.lower() for w in ("insert", "patch", "delete", "update"))
    } - {"bigquery.JobService.insertJob"}
    assert "supports player re-runs and resume" in results["coordinator"].message


def test_a_bytes_limit_that_blocks_queries_is_reported_with_its_command(examine):
    results = examine(QUERY_LIMIT_MIB="5")
    assert results["warehouse"].health is Health.WARNING
    assert "10 MiB; per-query limit 5 MiB" in results["warehouse"].message
    assert results["warehouse"].repair_command.count("--update-env-vars=QUERY_LIMIT_MIB=1024 ")


def test_the_customers_tables_work_and_their_cost_is_reported(module_sandbox, examine):
    """Unpartitioned, unclustered, with columns this project does not know, NULLs allowed, optional tables missing, their coordinator."""
    extra_columns = [
        bigquery.SchemaField("features_snapshot", "STRING"),
        bigquery.SchemaField("build_commit_sha", "STRING"),
    ]
    optional = "nba_predictions.prediction_worker_runs"
    with (
        serve_http(lambda *_: (200, CUSTOMER_COORDINATOR_BODY)) as customer_url,
        table_without(module_sandbox, PREDICTIONS_TABLE, "line_source_api", more=extra_columns),
        table_without(module_sandbox, optional),
    ):
        results = examine(COORDINATOR_URL=customer_url)
    assert not_ok(results) == {PREDICTIONS_TABLE, optional}
    assert {results[subject].health for subject in not_ok(results)} == {Health.WARNING}
    assert "scans the full table" in results[PREDICTIONS_TABLE].message
    assert "time_partitioning_field=game_date" in results[PREDICTIONS_TABLE].repair_command
    assert "from the logs alone" in results[optional].message
    assert "whole-date re-runs only" in results["coordinator"].message


@pytest.mark.parametrize(
    ("table", "expected_message"),
    [
        (PREDICTIONS_TABLE, "coverage, missing players and every proof need it"),
        ("nba_analytics.upcoming_player_game_context", "eligible players are unknown"),
        ("prediction_on_call.actions", "no action is carried out"),
    ],
)
def test_a_missing_table_is_critical_and_names_its_consequence(module_sandbox, examine, table, expected_message):
    with table_without(module_sandbox, table):
        result = examine()[table]
    assert (result.health, expected_message in result.message, bool(result.repair_command)) == (
        Health.CRITICAL,
        True,
        True,
    )


def test_a_missing_own_table_is_repaired_by_the_deploy_script(module_sandbox, examine):
    with table_without(module_sandbox, "prediction_on_call.batches"):
        assert "deploy/apply.sh --do" in examine()["prediction_on_call.batches"].repair_command


def test_a_missing_column_is_named_with_the_command_that_adds_it(module_sandbox, examine):
    with table_without(module_sandbox, PREDICTIONS_TABLE, "superseded"):
        result = examine()[PREDICTIONS_TABLE]
    assert "Column missing: superseded" in result.message
    assert "ADD COLUMN IF NOT EXISTS superseded BOOL" in result.repair_command


@pytest.mark.parametrize(
    ("fault", "about", "health"),
    [
        (Fault("bigquery", "status", status=403, message="Access Denied: User may not"), "warehouse", Health.CRITICAL),
        (
            Fault("bigquery", "status", "getTable", status=403, message="Access Denied"),
            PREDICTIONS_TABLE,
            Health.CRITICAL,
        ),
        (Fault("bigquery", "status", "listJobs", status=403, message="Access Denied"), "job history", Health.WARNING),
        (Fault("scheduler", "status", status=403), "scheduler", Health.CRITICAL),
        (Fault("bigquery", "status", "testIam", status=403), "acting identity", Health.CRITICAL),
        (Fault("logging", "status", status=403), "logs", Health.CRITICAL),
        (Fault("run", "status", status=403), "prediction-worker", Health.CRITICAL),
        (Fault("run", "status", status=400, message="nonsense"), "prediction-worker", Health.UNKNOWN),
    ],
)
def test_a_denied_api_is_reported_and_the_other_checks_still_run(module_sandbox, examine, fault, about, health):
    module_sandbox.state.faults.set(fault)
    results = examine()
    assert results[about].health is health, results[about]
    if health is not Health.UNKNOWN:
        assert results[about].repair_command
    assert "…" not in results[about].repair_command, "a command is one that can be pasted"
    assert [finding for finding in results.values() if finding.health is Health.OK]


@pytest.mark.parametrize(
    ("column", "kind", "health"),
    [("game_date", "STRING", Health.CRITICAL), ("created_at", "DATETIME", Health.CRITICAL)],
)
def test_a_column_of_another_type_is_named(module_sandbox, examine, column, kind, health):
    with table_without(module_sandbox, PREDICTIONS_TABLE, column, more=[bigquery.SchemaField(column, kind)]):
        result = examine()[PREDICTIONS_TABLE]
    assert result.health is health
    assert f"{column} is {kind}, not" in result.message
    assert result.repair_command.startswith("bq show --schema")


def test_a_float_line_column_is_accepted_because_every_query_casts_it(module_sandbox, examine):
    field = bigquery.SchemaField("current_points_line", "FLOAT64")
    with table_without(module_sandbox, PREDICTIONS_TABLE, "current_points_line", more=[field]):
        assert "Not partitioned" in examine()[PREDICTIONS_TABLE].message


@pytest.mark.parametrize(("state", "verb"), [("PAUSED", "resume"), ("DISABLED", "resume"), ("gone", "list")])
def test_a_scheduler_job_that_starts_nothing_is_reported(module_sandbox, examine, state, verb):
    jobs, name = module_sandbox.state.scheduler_jobs, "same-day-predictions"
    original_jobs = [dict(job) for job in jobs]
    jobs[:] = [dict(j) for j in original_jobs if state != "gone" or not j["name"].endswith(name)]
    for job in jobs:
        if job["name"].endswith(name):
            job["state"] = state
    try:
        results = examine()
    finally:
        jobs[:] = original_jobs
    assert results[name].health is Health.WARNING
    assert results[name].repair_command.startswith(f"gcloud scheduler jobs {verb}")
    assert results["overnight-predictions"].health is Health.OK


@pytest.mark.parametrize(
    ("permission", "expected_message"),
    [
        ("bigquery.tables.updateData", "nothing can be consolidated"),
        ("run.services.update", "its capacity cannot be changed"),
    ],
)
def test_a_missing_write_permission_is_reported_before_an_action_needs_it(
    module_sandbox, examine, permission, expected_message
):
    module_sandbox.state.identities.denied_permissions.add(permission)
    result = examine()["acting identity"]
    assert (result.health, expected_message in result.message) == (Health.CRITICAL, True)
    assert "deploy/apply.sh --do" in result.repair_command


def test_a_reading_account_with_write_permissions_is_reported(examine):
    read, act = (account_address(name, "nba-props-platform") for name in ("read", "act"))
    result = examine(SANDBOX_PRINCIPAL=act, ACTING_ACCOUNT=act)["reading identity"]
    assert result.health is Health.WARNING
    assert PREDICTIONS_TABLE in result.message
    assert examine(SANDBOX_PRINCIPAL=read, ACTING_ACCOUNT=act)["reading identity"].health is Health.OK


def test_unknown_log_formats_are_reported(module_sandbox, examine):
    original_entries = module_sandbox.state.logs._entries[:]
    labels = {"service_name": "prediction-worker"}
    module_sandbox.state.logs.add(
        [
            {"textPayload": f"GET /{n} 200", "resource": {"type": "cloud_run_revision", "labels": labels}}
            for n in range(200)
        ]
    )
    try:
        result = examine()["log of prediction-worker"]
    finally:
        module_sandbox.state.logs._entries[:] = original_entries
    assert result.health is Health.WARNING
    assert "(0 recognized;" in result.message


def test_another_project_is_reported(examine):
    results = examine(GOOGLE_CLOUD_PROJECT="another-project")
    assert results[PREDICTIONS_TABLE].health is not Health.OK
    assert results["prediction-worker"].health is Health.CRITICAL


def test_a_service_of_another_name_or_region_is_reported(examine):
    results = examine(WORKER_SERVICE="predictor")
    assert results["predictor"].health is Health.CRITICAL
    assert "WORKER_SERVICE" in results["predictor"].repair_command
    assert results["log of predictor"].health is Health.WARNING


def test_a_revision_that_does_not_serve_is_reported(module_sandbox, examine):
    service = next(s for n, s in module_sandbox.state.cloud_run.services.items() if n.endswith("/prediction-worker"))
    before = service["latestCreatedRevision"]
    service["latestCreatedRevision"] = before + "-broken"
    try:
        result = examine()["prediction-worker"]
    finally:
        service["latestCreatedRevision"] = before
    assert result.health is Health.WARNING
    assert "did not become ready" in result.message
    assert result.repair_command.startswith("gcloud run revisions describe")


def test_traffic_that_is_pinned_to_an_older_revision_is_reported(module_sandbox, examine):
    service = next(s for n, s in module_sandbox.state.cloud_run.services.items() if n.endswith("/prediction-worker"))
    before = service["trafficStatuses"]
    pinned = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "prediction-worker-00010-k7d"}
    service["trafficStatuses"] = [{**pinned, "percent": 100}]
    try:
        result = examine()["prediction-worker"]
    finally:
        service["trafficStatuses"] = before
    assert result.health is Health.WARNING
    assert "serves prediction-worker-00010-k7d, not its newest revision" in result.message
    assert result.repair_command.startswith("gcloud run services update-traffic prediction-worker --to-latest")


def test_a_coordinator_with_other_thresholds_is_reported(examine):
    own = Settings.from_env({}).fingerprint
    for reported, health in ((own, None), ("1a2b3c4d", Health.WARNING)):
        body = OWN_COORDINATOR_BODY[:-1] + f', "thresholds": "{reported}"}}'.encode()
        with serve_http(lambda *_, body=body: (200, body)) as address:
            result = examine(COORDINATOR_URL=address).get("coordinator's thresholds")
        assert (result.health if result else None) == health
    assert f"other thresholds (1a2b3c4d) than this dashboard ({own})" in result.message


@pytest.mark.parametrize("answer", [(200, b"<html>"), (500, b"{}"), (200, b"[]")])
def test_a_coordinator_with_an_invalid_response_is_reported(examine, answer):
    with serve_http(lambda *_: answer) as address:
        result = examine(COORDINATOR_URL=address)["coordinator"]
    assert result.health is Health.CRITICAL
    assert "COORDINATOR_URL" in result.repair_command


def test_an_unreachable_coordinator_is_reported_with_its_consequence(examine):
    result = examine(COORDINATOR_URL="http://127.0.0.1:9")["coordinator"]
    assert result.health is Health.CRITICAL
    assert "not started from here" in result.message


def test_a_sign_in_without_any_operator_is_reported(examine):
    assert examine(IAP_AUDIENCE="/projects/1/x")["sign-in"].health is Health.WARNING
    assert examine(IAP_AUDIENCE="/projects/1/x", OPERATORS="nora@example.com")["sign-in"].health is Health.OK


def test_the_worst_result_is_printed_first_with_its_repair_below(module_sandbox, examine):
    clients = connect(Settings.from_env({"SANDBOX_URL": module_sandbox.url, "COORDINATOR_URL": "http://127.0.0.1:9"}))
    lines = format_report(clients.settings, run_checks(clients)).splitlines()
    assert lines[0].startswith("DO THIS FIRST gcloud run services describe prediction-coordinator")
    lines = lines[2:]
    assert lines[0].startswith("CRITICAL")
    assert lines[1].strip().startswith("→ gcloud")


def test_nothing_raises_when_nothing_can_be_reached(module_sandbox):
    clients = connect(Settings.from_env({"SANDBOX_URL": module_sandbox.url}))
    module_sandbox.state.faults.set(*(Fault(api, "status", status=403) for api in ("bigquery", "run", "logging")))
    try:
        report = run_checks(replace(clients))
    finally:
        module_sandbox.state.reset_limits()
    assert report.health is Health.CRITICAL
    assert isinstance(clients, Clients)
