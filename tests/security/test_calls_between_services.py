"""The coordinator and the worker are called with an ID token made for their own address, and for no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields

import pytest

from services.core.errors import OnCallError, SettingsError
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.pipeline.coordinator import dispatcher as dispatch
from services.runs import coordinator_client as coordinator
from tests.security.serving import serve

PLACE = "/computeMetadata/v1/instance/service-accounts/default/identity"


class Metadata:
    """What Cloud Run's metadata server answers: a token for the audience that is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        if self.down or headers.get("metadata-flavor") != "Google":
            return 500, b"no"
        if path == PLACE:
            self.asked.append(query["audience"])
            # The client decodes the token for its times; nobody here checks its signature.
            return 200, b"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQ5MDAwMDAwMDB9.c2ln"
        return 200, b'{"email": "on-call@example.iam.gserviceaccount.com", "scopes": []}'


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    told = Metadata()
    with serve(told.answer) as address:
        host = address.removeprefix("http://")
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host)
        monkeypatch.setenv("GCE_METADATA_IP", host)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield told


def real_cloud() -> Cloud:
    """A cloud outside the sandbox; only its settings are looked at here."""
    return Cloud(**{**{each.name: None for each in fields(Cloud)}, "settings": Settings.from_env({})})


@pytest.mark.parametrize("identity", [coordinator._identity, dispatch._identity], ids=["coordinator", "worker"])
def test_outside_the_sandbox_a_call_carries_a_token_for_the_called_address(metadata, identity):
    told = identity(real_cloud(), "https://service-abc.a.run.app")
    assert told["Authorization"].startswith("Bearer ey")
    assert metadata.asked == ["https://service-abc.a.run.app"]


@pytest.mark.parametrize("identity", [coordinator._identity, dispatch._identity], ids=["coordinator", "worker"])
def test_in_the_sandbox_no_token_leaves_the_machine(metadata, cloud, identity):
    assert identity(cloud, "https://service-abc.a.run.app") == {}
    assert metadata.asked == []


@pytest.mark.parametrize("identity", [coordinator._identity, dispatch._identity], ids=["coordinator", "worker"])
def test_an_address_without_tls_gets_no_token(metadata, identity):
    assert identity(real_cloud(), "http://10.0.0.7:8080") == {}
    assert metadata.asked == []


@pytest.mark.parametrize("identity", [coordinator._identity, dispatch._identity], ids=["coordinator", "worker"])
def test_a_token_that_cannot_be_had_is_told_and_the_call_is_not_made(metadata, identity):
    metadata.down = True
    with pytest.raises(OnCallError, match="token"):
        identity(real_cloud(), "https://service-abc.a.run.app")


@pytest.fixture
def own_account(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the account that reads, as a file names them."""
    told = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    path = tmp_path / "own.json"
    path.write_text(json.dumps(told))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def test_actions_go_out_as_the_account_that_acts_and_reads_as_the_one_that_reads(own_account):
    acts = "on-call-act@nba-props-platform.iam.gserviceaccount.com"
    settings = Settings.from_env({"ACTING_ACCOUNT": acts})
    reading, acting = connect(settings), connect(settings, acting=True)
    for client in (acting.bigquery, acting.logging):
        assert client._credentials.service_account_email == acts
    for client in (reading.bigquery, reading.logging):
        assert getattr(client._credentials, "service_account_email", None) != acts


def test_without_an_account_that_acts_there_is_one_identity(own_account):
    acting = connect(Settings.from_env({}), acting=True)
    assert not hasattr(acting.bigquery._credentials, "service_account_email")


@pytest.mark.parametrize("wrong", ["nora@example.com", "on-call", "x@gserviceaccount.com.evil.example"])
def test_an_acting_account_that_is_no_service_account_is_refused(wrong):
    with pytest.raises(SettingsError, match="ACTING_ACCOUNT"):
        Settings.from_env({"ACTING_ACCOUNT": wrong})
