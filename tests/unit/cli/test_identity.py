"""Who is at the terminal is what Google has verified; an operator is who may impersonate the acting account."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError

from services.auth.roles import Actor, Role
from services.auth.sign_in import Unauthenticated
from services.cli import identity
from services.cli.identity import grant_hint, identify
from services.core.errors import InvalidInput, SourceUnavailable
from services.core.settings import Settings
from services.gcp.clients import Clients
from tests.support.alert_factories import NOW
from tests.support.clock import FixedClock

ACTING = "prediction-on-call-act@nba-props-platform.iam.gserviceaccount.com"
NORA = {"email": "Nora@Example.com", "email_verified": "true"}
SANDBOX = {"SANDBOX_URL": "http://sandbox.test"}


class Token:
    """Credentials whose refresh works, or does not."""

    def __init__(self, works: bool = True) -> None:
        self.works, self.valid, self.token = works, False, ""

    def refresh(self, _request: object) -> None:
        if not self.works:
            raise RefreshError("no")
        self.valid, self.token = True, "secret"


def clients(token: Token, **env: str) -> Clients:
    nothing: Any = None
    given: Any = token
    settings = Settings.from_env(env)
    return Clients(settings, FixedClock(NOW), nothing, nothing, nothing, nothing, nothing, credentials=given)


@pytest.fixture
def google(monkeypatch):
    """What tokeninfo answers, and the calls that it got."""
    calls: list[tuple[str, dict[str, str]]] = []

    def answer_with(body: bytes | Exception, status: int = 200) -> list[tuple[str, dict[str, str]]]:
        def post(url: str, headers: dict[str, str], timeout: float) -> requests.Response:
            calls.append((url, headers))
            if isinstance(body, Exception):
                raise body
            response = requests.Response()
            response.status_code, response._content = status, body
            return response

        monkeypatch.setattr(requests, "post", post)
        return calls

    return answer_with


def as_body(**claims: str) -> bytes:
    return json.dumps(claims).encode()


def test_the_verified_address_is_the_actor_and_the_token_stays_out_of_the_address(google):
    calls = google(as_body(**NORA))
    actor = identify(clients(Token(), ACTING_ACCOUNT=ACTING), clients(Token()))
    assert actor == Actor("nora@example.com", Role.OPERATOR)
    assert calls == [(identity.IDENTITY_URL, {"Authorization": "Bearer secret"})]


def test_who_may_not_impersonate_the_acting_account_is_a_viewer_and_gets_the_grant_in_one_sentence(google):
    google(as_body(**NORA))
    reading = clients(Token(), ACTING_ACCOUNT=ACTING)
    assert identify(reading, clients(Token(works=False))) == Actor("nora@example.com", Role.VIEWER)
    assert "--role=roles/iam.serviceAccountTokenCreator --member=user:YOU" in grant_hint(reading.settings)
    assert ACTING in grant_hint(reading.settings)


@pytest.mark.parametrize(("operators", "role"), [("nora@example.com", Role.OPERATOR), ("", Role.VIEWER)])
def test_without_an_acting_account_the_settings_name_the_operators(google, operators, role):
    google(as_body(**NORA))
    reading = clients(Token(), OPERATORS=operators)
    assert identify(reading, reading).role is role


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "nora@example.com"},
        {"email": "nora@example.com", "email_verified": "false"},
        {"email_verified": "true"},
        {"email": "no address", "email_verified": "true"},
    ],
)
def test_an_address_that_is_not_verified_is_nobody(google, claims):
    google(as_body(**claims))
    with pytest.raises(Unauthenticated, match="no verified e-mail address"):
        identify(clients(Token()), clients(Token()))


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b'{"error": "invalid_token"}', 400, Unauthenticated),
        (b"[]", 200, Unauthenticated),
        (b"<html>", 200, SourceUnavailable),
        (requests.ConnectionError("no"), 200, SourceUnavailable),
    ],
)
def test_an_answer_that_proves_nobody_is_one_sentence(google, body, status, error):
    google(body, status)
    with pytest.raises(error) as raised:
        identify(clients(Token()), clients(Token()))
    assert "secret" not in str(raised.value)


def test_credentials_that_google_refuses_are_nobody(google):
    google(as_body(**NORA))
    with pytest.raises(Unauthenticated, match="does not accept"):
        identify(clients(Token(works=False)), clients(Token()))


def test_another_name_is_for_the_sandbox_only(google):
    google(as_body(**NORA))
    with pytest.raises(InvalidInput, match="sandbox only"):
        identify(clients(Token()), clients(Token()), "nora:operator")


@pytest.mark.parametrize(
    ("requested", "actor"),
    [
        ("", Actor("on-call", Role.OPERATOR)),
        ("nora", Actor("nora", Role.OPERATOR)),
        ("vic@example.com:viewer", Actor("vic@example.com", Role.VIEWER)),
    ],
)
def test_in_the_sandbox_a_name_is_taken_with_its_role(requested, actor):
    sandbox = clients(Token(), **SANDBOX)
    assert identify(sandbox, sandbox, requested) == actor


@pytest.mark.parametrize("requested", ["nora:owner", "nora\x1b[31m", "a" * 81, ":viewer", "nøra"])
def test_what_is_no_name_is_refused(requested):
    sandbox = clients(Token(), **SANDBOX)
    with pytest.raises(InvalidInput, match="NAME:ROLE"):
        identify(sandbox, sandbox, requested)


@pytest.mark.parametrize(("works", "role"), [(True, Role.OPERATOR), (False, Role.VIEWER)])
def test_an_account_of_the_sandbox_is_an_operator_where_it_may_impersonate(works, role):
    reader = "reader@nba-props-platform.iam.gserviceaccount.com"
    reading = clients(Token(), **SANDBOX, SANDBOX_PRINCIPAL=reader, ACTING_ACCOUNT=ACTING)
    assert identify(reading, clients(Token(works=works))) == Actor(reader, role)
