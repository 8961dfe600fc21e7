"""The coordinator and the worker are called with an ID token made for their own address, and for no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import jwt
import pytest
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import RefreshError
from google.oauth2 import credentials as user_credentials

from services.core.errors import AccessDenied, SourceUnavailable
from services.core.settings import Settings
from services.gcp.clients import Clients, SandboxCredentials
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


READING = "on-call-read@p-example.iam.gserviceaccount.com"
ACTING = "on-call-act@p-example.iam.gserviceaccount.com"
SANDBOX = "http://127.0.0.1:9050"


def make_clients(credentials: Credentials | None = None, **env: str) -> Clients:
    """Clients of which these tests read only the settings and the credentials."""
    values: dict[str, Any] = {client_field.name: None for client_field in fields(Clients)}
    return Clients(**{**values, "settings": Settings.from_env(env), "credentials": credentials})


def test_outside_the_sandbox_a_call_carries_an_id_token_for_its_own_address(metadata_server):
    headers = fetch_auth_headers(make_clients(), "https://service-abc.a.run.app")
    assert headers["Authorization"].startswith("Bearer ey")
    assert metadata_server.audiences == ["https://service-abc.a.run.app"]


def test_in_the_sandbox_no_token_is_sent_elsewhere_nor_by_its_developer(metadata_server):
    reader = make_clients(SandboxCredentials(READING), SANDBOX_URL=SANDBOX, SANDBOX_PRINCIPAL=READING)
    assert fetch_auth_headers(reader, "https://service-abc.a.run.app") == {}
    assert fetch_auth_headers(make_clients(SANDBOX_URL=SANDBOX), f"{SANDBOX}/run/prediction-worker") == {}
    assert metadata_server.audiences == []


def test_in_the_sandbox_a_service_is_called_as_the_account_of_the_clients(metadata_server):
    reader = make_clients(SandboxCredentials(READING), SANDBOX_URL=SANDBOX, SANDBOX_PRINCIPAL=READING)
    url = f"{SANDBOX}/run/prediction-worker"
    token = fetch_auth_headers(reader, url)["Authorization"].removeprefix("Bearer ")
    assert jwt.decode(token, options={"verify_signature": False}) == {"email": READING, "aud": url}


def test_an_expired_access_token_is_renewed_before_a_token_is_made_of_it():
    class ExpiredCredentials(SandboxCredentials):
        def refresh(self, request: object) -> None:
            self.token = "renewed@p-example.iam.gserviceaccount.com"

        @property
        def valid(self) -> bool:
            return self.token == "renewed@p-example.iam.gserviceaccount.com"

    acting = make_clients(ExpiredCredentials(ACTING), SANDBOX_URL=SANDBOX, SANDBOX_PRINCIPAL=ACTING)
    token = fetch_auth_headers(acting, f"{SANDBOX}/run/x")["Authorization"].removeprefix("Bearer ")
    assert (
        jwt.decode(token, options={"verify_signature": False})["email"] == "renewed@p-example.iam.gserviceaccount.com"
    )


def test_an_impersonated_account_gets_a_token_of_its_own(monkeypatch):
    made: list[object] = []

    class FakeTokenCredentials:
        token = "of the acting account"

        def __init__(self, target: object, audience: str, include_email: bool) -> None:
            made.append((target, audience, include_email))

        def refresh(self, request: object) -> None:
            made.append("refreshed" if request is not None else "without a transport")

    monkeypatch.setattr(impersonated_credentials, "IDTokenCredentials", FakeTokenCredentials)
    acting_account = impersonated_credentials.Credentials(AnonymousCredentials(), ACTING, [])
    headers = fetch_auth_headers(make_clients(acting_account), "https://service-abc.a.run.app")
    assert headers == {"Authorization": "Bearer of the acting account"}
    assert made == [(acting_account, "https://service-abc.a.run.app", True), "refreshed"]


def test_a_persons_credentials_borrow_the_acting_account(monkeypatch):
    made: list[Any] = []

    class FakeTokenCredentials:
        token = "of the acting account"

        def __init__(self, target: Any, audience: str, include_email: bool) -> None:
            made.append((target._target_principal, target._source_credentials.token, audience))

        def refresh(self, request: object) -> None: ...

    monkeypatch.setattr(impersonated_credentials, "IDTokenCredentials", FakeTokenCredentials)
    person = user_credentials.Credentials("token")
    headers = fetch_auth_headers(make_clients(person, ACTING_ACCOUNT=ACTING), "https://service-abc.a.run.app")
    assert headers == {"Authorization": "Bearer of the acting account"}
    assert made == [(ACTING, "token", "https://service-abc.a.run.app")]


def test_a_person_without_an_acting_account_learns_which_setting_is_missing():
    with pytest.raises(SourceUnavailable, match=r"a person's credentials make none") as raised:
        fetch_auth_headers(make_clients(user_credentials.Credentials("token")), "https://x.a.run.app")
    assert raised.value.hint.startswith("Set ACTING_ACCOUNT to a service account")


def test_a_person_who_may_not_impersonate_learns_which_grant_is_missing(monkeypatch):
    def refuse(self: object, request: object) -> None:
        raise RefreshError("Permission 'iam.serviceAccounts.getOpenIdToken' denied")

    monkeypatch.setattr(impersonated_credentials.IDTokenCredentials, "refresh", refuse)
    person = make_clients(
        user_credentials.Credentials("token"), ACTING_ACCOUNT=ACTING, GOOGLE_CLOUD_PROJECT="p-example"
    )
    with pytest.raises(AccessDenied, match=f"may not impersonate {ACTING}") as raised:
        fetch_auth_headers(person, "https://x.a.run.app")
    assert f"add-iam-policy-binding {ACTING} --role=roles/iam.serviceAccountTokenCreator" in raised.value.hint
    assert raised.value.hint.endswith("--project=p-example")


def test_an_address_without_tls_gets_no_token(metadata_server):
    assert fetch_auth_headers(make_clients(), "http://10.0.0.7:8080") == {}
    assert metadata_server.audiences == []


def test_a_missing_token_is_reported_and_the_call_is_not_made(metadata_server):
    metadata_server.down = True
    with pytest.raises(
        SourceUnavailable, match=r"^No ID token for https://x\.a\.run\.app could be made \(\w+\)\."
    ) as raised:
        fetch_auth_headers(make_clients(), "https://x.a.run.app")
    assert raised.value.hint == "Run as a service account that may invoke it."


def test_the_coordinator_and_the_worker_are_called_with_this_token():
    for caller in (coordinator_client, dispatcher):
        assert vars(caller)["fetch_auth_headers"] is fetch_auth_headers
