"""Which account the clients for reads and for actions use."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import ServiceUnavailable
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, TransportError
from google.cloud import bigquery

from services.core.errors import AccessDenied, SourceUnavailable
from services.core.settings import Settings
from services.gcp import clients
from services.gcp.clients import connect, read_dataset_location
from tests.support.fake_monotonic import FakeMonotonic


@pytest.fixture
def reader_credentials(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the account that reads, as a file names them."""
    credentials_json = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(credentials_json))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def test_actions_use_the_acting_account_and_reads_the_reading_one(reader_credentials):
    acting_account = "on-call-act@nba-props-platform.iam.gserviceaccount.com"
    settings = Settings.from_env({"ACTING_ACCOUNT": acting_account, "BIGQUERY_LOCATION": "US"})
    reading, acting = connect(settings), connect(settings, as_operator=True)
    for client in (acting.bigquery, acting.logging):
        assert client._credentials.service_account_email == acting_account
    for client in (reading.bigquery, reading.logging):
        assert getattr(client._credentials, "service_account_email", None) != acting_account


def test_without_an_acting_account_there_is_one_identity(reader_credentials):
    acting = connect(Settings.from_env({"BIGQUERY_LOCATION": "US"}), as_operator=True)
    assert not hasattr(acting.bigquery._credentials, "service_account_email")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_bigquery_that_does_not_answer_delays_the_dashboard_no_longer_than_the_timeout(silent_server, monkeypatch):
    monkeypatch.setattr(clients, "LOCATION_TIMEOUT_S", 0.2)
    client = bigquery.Client("p", AnonymousCredentials(), client_options=ClientOptions(api_endpoint=silent_server))
    started = time.monotonic()
    assert read_dataset_location(client) is None
    assert time.monotonic() - started < 5


SANDBOX = {"SANDBOX_URL": "http://sandbox.test:9050", "BIGQUERY_LOCATION": "US", "GOOGLE_CLOUD_PROJECT": "p"}
READER, ACTING = "reader@p.iam.gserviceaccount.com", "act@p.iam.gserviceaccount.com"
SANDBOX_NOW = "2025-12-30T07:00:00+00:00"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The sandbox's answer to a question for its clock, which a test may change, and what it was asked."""
    sandbox: dict[str, Any] = {"status": 200, "body": {"now": SANDBOX_NOW}, "asked": []}

    def get(url: str, headers: dict[str, str], timeout: float) -> requests.Response:
        sandbox["asked"].append((url, headers, timeout))
        response = requests.Response()
        response.status_code, response._content = sandbox["status"], json.dumps(sandbox["body"]).encode()
        return response

    monkeypatch.setattr(requests, "get", get)
    return sandbox


def test_in_the_sandbox_every_client_asks_the_sandbox_and_its_clock_is_the_sandboxs(sandbox):
    connected = connect(Settings.from_env(SANDBOX))
    assert abs(connected.now() - datetime.fromisoformat(SANDBOX_NOW)) < timedelta(minutes=1)
    assert sandbox["asked"] == [("http://sandbox.test:9050/sandbox/clock", {}, 5)]
    assert isinstance(connected.credentials, AnonymousCredentials)
    for client in (connected.bigquery, connected.logging):
        assert client._connection.API_BASE_URL == "http://sandbox.test:9050"
        assert client.project == "p"
    for api in (connected.run, connected.revisions, connected.scheduler):
        assert api.transport._host == "http://sandbox.test:9050"
        assert api.transport._credentials is connected.credentials
    assert connected.bigquery.location == "US"


def test_outside_the_sandbox_every_client_asks_google(reader_credentials):
    connected = connect(Settings.from_env({"BIGQUERY_LOCATION": "EU", "GOOGLE_CLOUD_PROJECT": "p"}))
    assert connected.bigquery._connection.API_BASE_URL == "https://bigquery.googleapis.com"
    assert connected.logging._connection.API_BASE_URL == "https://logging.googleapis.com"
    assert connected.run.transport._host == connected.revisions.transport._host == "https://run.googleapis.com"
    assert connected.scheduler.transport._host == "https://cloudscheduler.googleapis.com"
    assert (connected.bigquery.location, connected.bigquery.project, connected.logging.project) == ("EU", "p", "p")
    assert abs(connected.now() - datetime.now(UTC)) < timedelta(minutes=1)
    transports = [api.transport for api in (connected.run, connected.revisions, connected.scheduler)]
    authorized: list[Any] = [connected.bigquery, connected.logging, *transports]
    for client in authorized:
        assert client._credentials.refresh_token == "r"


def test_a_location_that_is_not_set_is_that_of_the_dataset_and_read_by_the_first_call(reader_credentials, monkeypatch):
    answers: list[str | None] = [None, "EU"]
    asked, fake_monotonic = [], FakeMonotonic()

    def read(client: bigquery.Client) -> str | None:
        asked.append((client.project, client._connection.API_BASE_URL))
        return answers.pop(0)

    monkeypatch.setattr(clients, "read_dataset_location", read)
    monkeypatch.setattr(clients, "monotonic", fake_monotonic)
    connected = connect(Settings.from_env({"GOOGLE_CLOUD_PROJECT": "p"}))
    assert not asked  # whoever opens a page does not wait for it
    assert [connected.bigquery.location, connected.bigquery.location] == [None, None]
    assert len(asked) == 1  # nor does every call while it cannot be read
    fake_monotonic.seconds += clients.LOCATION_TIMEOUT_S + 1
    assert [connected.bigquery.location, connected.bigquery.location] == [
        "EU",
        "EU",
    ]  # one failure is no answer for ever
    assert asked == [("p", "https://bigquery.googleapis.com")] * 2


def test_a_principal_of_the_sandbox_is_its_own_token_and_may_impersonate_the_acting_account(sandbox):
    environment = {
        **SANDBOX,
        "SANDBOX_PRINCIPAL": READER,
        "ACTING_ACCOUNT": ACTING,
    }
    reading = connect(Settings.from_env(environment))
    assert reading.credentials.token == READER
    reading.credentials.refresh(None)
    assert reading.credentials.valid
    assert sandbox["asked"][0][1] == {"Authorization": f"Bearer {READER}"}
    acting = connect(Settings.from_env(environment), as_operator=True).credentials
    assert isinstance(acting, impersonated_credentials.Credentials)
    assert (acting.service_account_email, acting._source_credentials.token) == (
        ACTING,
        READER,
    )
    assert acting._iam_endpoint_override == (
        f"http://sandbox.test:9050/v1/projects/-/serviceAccounts/{ACTING}:generateAccessToken"
    )
    assert (acting._target_scopes, acting._lifetime) == (["https://www.googleapis.com/auth/cloud-platform"], 3600)


def test_a_principal_that_the_sandbox_does_not_have_is_refused_with_its_sentence(sandbox):
    sandbox.update(status=401, body={"error": {"message": "There is no account x."}})
    with pytest.raises(AccessDenied, match=r"^There is no account x\. Set SANDBOX_PRINCIPAL"):
        connect(Settings.from_env({**SANDBOX, "SANDBOX_PRINCIPAL": "x@p.iam.gserviceaccount.com"}))


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(503, {}, "HTTPError"), (200, {}, "KeyError"), (200, {"now": "soon"}, "ValueError")],
)
def test_a_sandbox_that_does_not_tell_the_time_is_unavailable(sandbox, status, body, reason):
    sandbox.update(status=status, body=body)
    with pytest.raises(
        SourceUnavailable, match=rf"^The sandbox at http://sandbox\.test:9050 does not answer \({reason}"
    ):
        connect(Settings.from_env(SANDBOX))


def test_without_google_credentials_the_sentence_says_how_to_get_them(monkeypatch):
    def find_none(scopes: list[str]) -> None:
        assert scopes == ["https://www.googleapis.com/auth/cloud-platform"]
        raise DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", find_none)
    with pytest.raises(SourceUnavailable, match=r"^No Google credentials were found\. Run `gcloud auth"):
        connect(Settings.from_env({"BIGQUERY_LOCATION": "US"}))


@pytest.mark.parametrize(
    "error", [ServiceUnavailable("x"), TransportError("x"), requests.ConnectionError(), KeyError("x")]
)
def test_a_dataset_that_cannot_be_read_has_no_known_location(error):
    def fail(*_: object, **__: object) -> None:
        raise error

    assert read_dataset_location(cast(bigquery.Client, SimpleNamespace(get_dataset=fail))) is None


def test_the_datasets_location_is_asked_for_within_its_time():
    def answer(dataset: str, retry: Any, timeout: float) -> SimpleNamespace:
        assert (dataset, retry._timeout, timeout) == ("nba_predictions", 10.0, 10.0)
        return SimpleNamespace(location="EU")

    assert read_dataset_location(cast(bigquery.Client, SimpleNamespace(get_dataset=answer))) == "EU"


def test_a_service_has_its_full_name(sandbox):
    settings = Settings.from_env(SANDBOX)
    assert connect(settings).service_name("worker") == f"projects/p/locations/{settings.region}/services/worker"
