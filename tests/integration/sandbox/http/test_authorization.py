"""Accounts and roles through Google's real clients: what each may do, and the words in which the rest is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import google.auth.transport.requests
import pytest
import requests
from google.api_core.exceptions import Forbidden, GoogleAPICallError, PermissionDenied
from google.auth.exceptions import RefreshError
from google.cloud import bigquery

from services.core.errors import AccessDenied
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.id_token import fetch_auth_headers
from services.sandbox.common.identities import Binding, account_address
from services.sandbox.server import Sandbox, start_sandbox
from tests.integration.sandbox.conftest import SERVICE
from tests.support.sandbox import FAST, settings_as

PROJECT = "nba-props-platform"
TABLE = "nba_predictions.authorization_target"
SCHEMA = [bigquery.SchemaField("player_lookup", "STRING")]
ConnectAs = Callable[..., Clients]


@pytest.fixture
def connect_as(blank_sandbox: Sandbox) -> ConnectAs:
    """Clients of an account of the sandbox, by its short name."""
    return lambda name, **env: connect(settings_as(blank_sandbox, name, **env))


@pytest.fixture
def table(blank_sandbox: Sandbox, blank_clients: Clients) -> Iterator[str]:
    """An empty table of nba_predictions, made by the developer."""
    client = blank_clients.bigquery
    client.create_dataset("nba_predictions", exists_ok=True)
    client.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    blank_sandbox.state.reset_limits()
    yield TABLE
    client.delete_table(TABLE)


def refusal(call: Callable[[], object]) -> str:
    """The message of the 403 that a call ends in."""
    with pytest.raises((Forbidden, PermissionDenied)) as error:
        call()
    assert isinstance(error.value, GoogleAPICallError)
    return str(error.value.message).split("; reason")[0]


# --- Jobs -----------------------------------------------------------------------------------------------------------


def test_a_job_belongs_to_the_account_that_created_it(connect_as):
    for name in ("read", "act", "pipeline", "customer"):
        assert connect_as(name).bigquery.query("SELECT 1").user_email == account_address(name, PROJECT)


def test_an_account_without_jobs_create_can_run_nothing(connect_as):
    message = refusal(lambda: connect_as("tick").bigquery.query("SELECT 1", job_retry=None))
    assert (
        f"Access Denied: Project {PROJECT}: User does not have bigquery.jobs.create permission in project {PROJECT}."
        in message
    )


def test_another_accounts_job_is_read_with_jobs_get_only(connect_as):
    job = connect_as("act").bigquery.query("SELECT 1", job_id="of-act", job_retry=None)
    assert connect_as("act").bigquery.get_job(job.job_id).state
    assert connect_as("pipeline").bigquery.get_job(job.job_id).user_email == account_address("act", PROJECT)
    message = refusal(lambda: connect_as("customer").bigquery.get_job(job.job_id, retry=None))
    name = f"{PROJECT}:US.of-act"
    assert f"Access Denied: Job {name}: User does not have bigquery.jobs.get permission for job {name}." in message


def test_the_pipeline_without_resource_viewer_cannot_read_the_lease_of_the_dashboard(connect_as, blank_sandbox):
    job = connect_as("act").bigquery.query("SELECT 1", job_retry=None)
    viewer = Binding(account_address("pipeline", PROJECT), "roles/bigquery.resourceViewer")
    blank_sandbox.state.identities.bindings.remove(viewer)
    try:
        assert "bigquery.jobs.get" in refusal(lambda: connect_as("pipeline").bigquery.get_job(job.job_id, retry=None))
    finally:
        blank_sandbox.state.identities.bindings.add(viewer)


def test_another_accounts_job_is_cancelled_with_jobs_update_only(connect_as):
    job = connect_as("act").bigquery.query("SELECT 1", job_retry=None)
    assert "bigquery.jobs.update" in refusal(lambda: connect_as("read").bigquery.cancel_job(job.job_id, retry=None))
    connect_as("act").bigquery.cancel_job(job.job_id)


def test_results_are_read_by_the_creator_only(connect_as):
    job = connect_as("act").bigquery.query("SELECT 1", job_retry=None)
    others_job = connect_as("read").bigquery.get_job(job.job_id)
    message = refusal(lambda: others_job.result(retry=None, job_retry=None))
    assert "User does not have permission to access results of another user's job." in message


def test_jobs_of_all_users_are_listed_with_jobs_list_all_only(connect_as):
    act = connect_as("act").bigquery
    job = act.query("SELECT 1", job_retry=None)
    assert job.job_id in {listed.job_id for listed in connect_as("read").bigquery.list_jobs(all_users=True)}
    customer = connect_as("customer").bigquery
    assert "bigquery.jobs.listAll" in refusal(lambda: list(customer.list_jobs(all_users=True, retry=None)))
    assert {listed.user_email for listed in customer.list_jobs()} <= {account_address("customer", PROJECT)}


# --- Tables ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected_message"),
    [
        (f"INSERT {TABLE} (player_lookup) VALUES ('x')", "Permission bigquery.tables.updateData denied on table"),
        (f"DELETE FROM {TABLE} WHERE TRUE", "Permission bigquery.tables.updateData denied on table"),
        (f"DROP TABLE {TABLE}", "Permission bigquery.tables.delete denied on table"),
        (f"ALTER TABLE {TABLE} ADD COLUMN x INT64", "Permission bigquery.tables.update denied on table"),
        ("CREATE TABLE nba_predictions.y (x INT64)", "Permission bigquery.tables.create denied on dataset"),
    ],
)
def test_a_viewer_of_data_changes_nothing(connect_as, table, sql, expected_message):
    read = connect_as("read").bigquery
    assert list(read.query(f"SELECT * FROM {table}").result()) == []
    assert expected_message in refusal(lambda: read.query(sql, job_retry=None).result(retry=None, job_retry=None))
    config = bigquery.QueryJobConfig(dry_run=True)
    assert expected_message in refusal(lambda: read.query(sql, config, retry=None, job_retry=None))


def test_a_viewer_of_data_loads_streams_copies_and_drops_nothing(connect_as, table):
    read = connect_as("read").bigquery
    denied = "denied on "
    assert denied in refusal(lambda: read.load_table_from_json([{"player_lookup": "x"}], table).result(retry=None))
    assert denied in refusal(lambda: read.insert_rows_json(table, [{"player_lookup": "x"}], retry=None))
    assert denied in refusal(lambda: read.copy_table(table, "nba_predictions.copied").result(retry=None))
    assert denied in refusal(lambda: read.delete_table(table, retry=None))
    assert denied in refusal(lambda: read.create_table(bigquery.Table(f"{PROJECT}.nba_predictions.z"), retry=None))


def test_an_editor_of_data_changes_it(connect_as, table):
    act = connect_as("act").bigquery
    act.query(f"INSERT {table} (player_lookup) VALUES ('x')", job_retry=None).result()
    act.load_table_from_json([{"player_lookup": "y"}], table).result()
    assert [row[0] for row in act.query(f"SELECT player_lookup FROM {table} ORDER BY 1").result()] == ["x", "y"]


def test_a_dataset_without_a_role_is_not_read(connect_as, blank_clients):
    blank_clients.bigquery.create_dataset("payroll", exists_ok=True)
    blank_clients.bigquery.create_table(bigquery.Table(f"{PROJECT}.payroll.wages", SCHEMA), exists_ok=True)
    act = connect_as("act").bigquery
    message = refusal(lambda: act.query("SELECT * FROM payroll.wages", job_retry=None).result(retry=None))
    assert f"User does not have permission to query table {PROJECT}:payroll.wages" in message
    assert "bigquery.tables.getData" in refusal(lambda: list(act.list_rows("payroll.wages", SCHEMA, retry=None)))
    assert "bigquery.tables.get " in refusal(lambda: act.get_table("payroll.wages", retry=None))
    assert "bigquery.tables.list" in refusal(lambda: list(act.list_tables("payroll", retry=None)))
    assert "bigquery.datasets.get" in refusal(lambda: act.get_dataset("payroll", retry=None))
    assert "bigquery.datasets.create" in refusal(lambda: act.create_dataset("other", retry=None))


def test_permissions_are_tested_against_the_same_roles(connect_as, table):
    asked = ["bigquery.tables.getData", "bigquery.tables.updateData"]
    read, act = (connect_as(name).bigquery.test_iam_permissions(table, asked) for name in ("read", "act"))
    assert (read["permissions"], act["permissions"]) == (asked[:1], asked)


# --- Cloud Run, Logging, Scheduler, IAM -----------------------------------------------------------------------------


def test_roles_on_a_service_reach_its_revisions_but_not_operations(connect_as, cloud_run_with_worker):
    act = connect_as("act")
    service = act.run.get_service(name=SERVICE)
    assert act.revisions.get_revision(name=service.latest_ready_revision).name == service.latest_ready_revision
    assert "Permission 'run.services.list' denied" in refusal(
        lambda: list(act.run.list_services(parent=SERVICE.rpartition("/services/")[0]))
    )
    url = f"{act.settings.sandbox_url}/v2/{SERVICE.rpartition('/services/')[0]}/operations/x"
    response = requests.get(url, headers={"Authorization": f"Bearer {account_address('act', PROJECT)}"}, timeout=5)
    assert response.status_code == 403
    assert "Permission 'run.operations.get' denied on resource" in response.json()["error"]["message"]


def test_a_viewer_of_a_service_does_not_change_it(connect_as, cloud_run_with_worker):
    read = connect_as("read")
    message = refusal(lambda: read.run.update_service(service=read.run.get_service(name=SERVICE)))
    assert f"Permission 'run.services.update' denied on resource '{SERVICE}' (or resource may not exist)." in message
    request = {"resource": SERVICE, "permissions": ["run.services.get", "run.services.update"]}
    assert list(read.run.test_iam_permissions(request=request).permissions) == ["run.services.get"]


def test_who_changes_a_service_must_be_able_to_act_as_its_account(connect_as, blank_sandbox, cloud_run_with_worker):
    act, runtime = connect_as("act"), account_address("customer", PROJECT)
    binding = Binding(account_address("act", PROJECT), "roles/iam.serviceAccountUser", f"account/{runtime}")
    blank_sandbox.state.identities.bindings.remove(binding)
    try:
        message = refusal(lambda: act.run.update_service(service=act.run.get_service(name=SERVICE)))
    finally:
        blank_sandbox.state.identities.bindings.add(binding)
    assert f"Permission 'iam.serviceaccounts.actAs' denied on service account {runtime}" in message


def test_the_policy_of_a_service_lists_the_roles_on_it(connect_as, cloud_run_with_worker):
    policy = connect_as("act").run.get_iam_policy(request={"resource": SERVICE})
    members = {binding.role: set(binding.members) for binding in policy.bindings}
    assert members["roles/run.developer"] == {f"serviceAccount:{account_address('act', PROJECT)}"}


def test_logs_are_read_and_written_with_their_roles(connect_as):
    read, pipeline = connect_as("read").logging, connect_as("pipeline").logging
    pipeline.logger("x").log_text("written")
    list(read.list_entries(filter_='timestamp>="2000-01-01T00:00:00Z"'))
    assert "Permission denied for all log views" in refusal(lambda: list(pipeline.list_entries()))
    assert "logging.logEntries.create" in refusal(lambda: read.logger("x").log_text("not written"))


def test_scheduled_jobs_are_listed_with_their_role(connect_as):
    parent = f"projects/{PROJECT}/locations/us-west2"
    assert list(connect_as("read").scheduler.list_jobs(parent=parent)) == []
    message = refusal(lambda: list(connect_as("pipeline").scheduler.list_jobs(parent=parent)))
    assert f'lacks IAM permission "cloudscheduler.jobs.list" for the resource "{parent}"' in message


def test_an_account_is_impersonated_with_its_role_only(blank_sandbox, connect_as, table):
    act = account_address("act", PROJECT)
    operator = connect(settings_as(blank_sandbox, "read", ACTING_ACCOUNT=act), as_operator=True)
    assert operator.bigquery.query(f"INSERT {table} (player_lookup) VALUES ('x')").user_email == act
    stranger = connect(settings_as(blank_sandbox, "pipeline", ACTING_ACCOUNT=act), as_operator=True)
    with pytest.raises(RefreshError, match=r"iam\.serviceAccounts\.getAccessToken"):
        stranger.credentials.refresh(google.auth.transport.requests.Request())


def test_a_service_is_called_by_its_invokers_with_a_token_made_for_it(blank_sandbox, connect_as, cloud_run_with_worker):
    url = f"{blank_sandbox.url}/run/prediction-worker"
    pipeline_headers = fetch_auth_headers(connect_as("pipeline"), url)
    assert requests.get(f"{url}/health", headers=pipeline_headers, timeout=5).status_code == 404, (
        "no instance behind it"
    )
    assert (
        requests.get(f"{url}/health", headers=fetch_auth_headers(connect_as("read"), url), timeout=5).status_code == 403
    )
    token_for_another = fetch_auth_headers(connect_as("pipeline"), f"{blank_sandbox.url}/run/another")
    access_token = {"Authorization": f"Bearer {account_address('pipeline', PROJECT)}"}
    for headers in (token_for_another, access_token):
        assert requests.get(f"{url}/health", headers=headers, timeout=5).status_code == 401


def test_an_action_calls_the_coordinator_as_the_acting_account(blank_sandbox):
    act = account_address("act", PROJECT)
    operator = connect(settings_as(blank_sandbox, "read", ACTING_ACCOUNT=act), as_operator=True)
    url = f"{blank_sandbox.url}/run/prediction-coordinator"
    assert fetch_auth_headers(operator, url) == fetch_auth_headers(connect(settings_as(blank_sandbox, "act")), url)


# --- Without an account ---------------------------------------------------------------------------------------------


def test_an_unknown_account_is_refused_in_one_sentence(blank_sandbox):
    settings = Settings.from_env({"SANDBOX_URL": blank_sandbox.url, "SANDBOX_PRINCIPAL": "x@y.gserviceaccount.com"})
    with pytest.raises(AccessDenied, match=r"^The sandbox has no account x@y\.gserviceaccount\.com\."):
        connect(settings)


def test_a_request_without_credentials_is_the_developers_or_refused():
    sandbox = start_sandbox(latency=FAST, requires_credentials=True)
    try:
        url = f"{sandbox.url}/bigquery/v2/projects/{PROJECT}/queries"
        body = {"query": "SELECT 1", "useLegacySql": False}
        response = requests.post(url, json=body, timeout=10)
        assert response.status_code == 401
        assert response.json()["error"]["status"] == "UNAUTHENTICATED"
        assert response.json()["error"]["message"].startswith("Request is missing required authentication credential.")
        assert requests.get(f"{sandbox.url}/run/prediction-worker", timeout=5).status_code == 403
        assert connect(settings_as(sandbox, "read")).bigquery.query("SELECT 1").result().total_rows == 1
        sandbox.state.identities.require_credentials = False
        assert requests.post(url, json=body, timeout=10).status_code == 200
    finally:
        sandbox.stop()
