"""Which account the clients use."""

from __future__ import annotations

import json

import pytest

from services.core.settings import Settings
from services.gcp.clients import connect


@pytest.fixture
def reader_credentials(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the account that reads, as a file names them."""
    credentials_json = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(credentials_json))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def test_actions_use_the_acting_account_and_reads_the_reading_one(reader_credentials):
    acting_account = "on-call-act@nba-props-platform.iam.gserviceaccount.com"
    settings = Settings.from_env({"ACTING_ACCOUNT": acting_account})
    reading, acting = connect(settings), connect(settings, as_operator=True)
    for client in (acting.bigquery, acting.logging):
        assert client._credentials.service_account_email == acting_account
    for client in (reading.bigquery, reading.logging):
        assert getattr(client._credentials, "service_account_email", None) != acting_account


def test_without_an_acting_account_there_is_one_identity(reader_credentials):
    acting = connect(Settings.from_env({}), as_operator=True)
    assert not hasattr(acting.bigquery._credentials, "service_account_email")
