"""Which account the clients for reads and for actions use."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp import clients
from services.gcp.clients import connect, read_dataset_location


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
