"""The coordinator and the worker are called with an ID token made for their own address, and for no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp.clients import Clients
from services.gcp.id_token import fetch_auth_headers
from services.pipeline.coordinator import dispatcher
from services.runs import coordinator_client
from tests.support.http_stub import serve_http

IDENTITY_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"


class MetadataServer:
    """What Cloud Run's metadata server answers: a token for the requested audience."""

    def __init__(self) -> None:
        self.audiences: list[str] = []
        self.down = False

    def respond(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        if self.down or headers.get("metadata-flavor") != "Google":
            return 500, b"no"
        if path == IDENTITY_PATH:
            self.audiences.append(query["audience"])
            # The client decodes the token for its times; its signature is not checked here.
            return 200, b"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjQ5MDAwMDAwMDB9.c2ln"
        return 200, b'{"email": "on-call@example.iam.gserviceaccount.com", "scopes": []}'


@pytest.fixture
def metadata_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataServer]:
    server = MetadataServer()
    with serve_http(server.respond) as address:
        host = address.removeprefix("http://")
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host)
        monkeypatch.setenv("GCE_METADATA_IP", host)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        yield server


def clients_outside_sandbox() -> Clients:
    """Clients outside the sandbox; these tests read only the settings."""
    values: dict[str, Any] = {client_field.name: None for client_field in fields(Clients)}
    return Clients(**{**values, "settings": Settings.from_env({})})


def test_outside_the_sandbox_a_call_carries_an_id_token_for_its_own_address(metadata_server):
    headers = fetch_auth_headers(clients_outside_sandbox(), "https://service-abc.a.run.app")
    assert headers["Authorization"].startswith("Bearer ey")
    assert metadata_server.audiences == ["https://service-abc.a.run.app"]


def test_in_the_sandbox_no_token_is_sent(metadata_server, clients):
    assert fetch_auth_headers(clients, "https://service-abc.a.run.app") == {}
    assert metadata_server.audiences == []


def test_an_address_without_tls_gets_no_token(metadata_server):
    assert fetch_auth_headers(clients_outside_sandbox(), "http://10.0.0.7:8080") == {}
    assert metadata_server.audiences == []


def test_a_missing_token_is_reported_and_the_call_is_not_made(metadata_server):
    metadata_server.down = True
    with pytest.raises(OnCallError, match="token"):
        fetch_auth_headers(clients_outside_sandbox(), "https://service-abc.a.run.app")


def test_the_coordinator_and_the_worker_are_called_with_this_token():
    for caller in (coordinator_client, dispatcher):
        assert vars(caller)["fetch_auth_headers"] is fetch_auth_headers
