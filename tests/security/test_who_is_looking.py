"""Only what the proxy signed, for this service, just now, counts as a person; everything else is nobody."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.auth import sign_in as identity
from services.auth.roles import Role
from services.auth.sign_in import ASSERTION, KeyRing, KeysUnreadable, NotSignedIn
from services.core.errors import SettingsError
from services.core.settings import Settings
from tests.security.proxy import AUDIENCE, NORA, VIC, Proxy

NOW = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
SETTINGS = Settings.from_env({"IAP_AUDIENCE": AUDIENCE, "OPERATORS": f"{NORA}, Max@Example.com"})


@pytest.fixture
def proxy() -> Proxy:
    return Proxy()


class Clockwork:
    """Seconds that pass when told to, and a key list that counts how often it was fetched."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy, self.seconds, self.fetched, self.down = proxy, 1000.0, 0, False

    def fetch(self, _: str) -> dict:
        self.fetched += 1
        if self.down:
            raise requests.ConnectionError
        return self.proxy.public()

    def ring(self) -> KeyRing:
        return KeyRing("https://keys.example", fetch=self.fetch, tick=lambda: self.seconds)


def look(proxy: Proxy, *tokens: str, at: datetime = NOW, **headers: str) -> identity.Identity:
    told = [(ASSERTION, token) for token in tokens] + [(n.replace("_", "-"), v) for n, v in headers.items()]
    return identity.identify(told, SETTINGS, Clockwork(proxy).ring(), at)


def unsigned(claims: dict, alg: str) -> str:
    parts = [{"alg": alg, "typ": "JWT", "kid": "any"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def test_the_proxys_signature_proves_a_person(proxy):
    found = look(proxy, proxy.sign("Nora@Example.com", NOW))
    assert (found.email, found.by) == (NORA, "IAP")


def test_a_token_signed_by_somebody_else_proves_nobody(proxy):
    kid = next(iter(proxy.keys))
    forged = jwt.encode(proxy.claims(NORA, NOW), Proxy().keys.popitem()[1], "ES256", {"kid": kid})
    with pytest.raises(NotSignedIn, match="not valid"):
        look(proxy, forged)


def test_a_token_whose_claims_were_changed_after_signing_proves_nobody(proxy):
    head, _, signature = proxy.sign(VIC, NOW).split(".")
    body = base64.urlsafe_b64encode(json.dumps(proxy.claims(NORA, NOW)).encode()).rstrip(b"=").decode()
    with pytest.raises(NotSignedIn, match="not valid"):
        look(proxy, f"{head}.{body}.{signature}")


@pytest.mark.parametrize("alg", ["none", "None", "HS256"])
def test_an_unsigned_or_weakly_signed_token_proves_nobody(proxy, alg):
    with pytest.raises(NotSignedIn):
        look(proxy, unsigned(proxy.claims(NORA, NOW), alg))


def test_a_token_that_uses_the_public_key_as_a_password_proves_nobody(proxy):
    password = next(iter(proxy.keys.values())).public_key()
    pem = password.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    start = unsigned(proxy.claims(NORA, NOW), "HS256").rstrip(".").replace("any", next(iter(proxy.keys)))
    mac = base64.urlsafe_b64encode(hmac.digest(pem, start.encode(), "sha256")).rstrip(b"=").decode()
    with pytest.raises(NotSignedIn):
        look(proxy, f"{start}.{mac}")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": "/projects/123/locations/us-west2/services/other"}, "another service"),
        ({"aud": None}, "not valid"),
        ({"iss": "https://accounts.google.com"}, "not valid"),
        ({"exp": None}, "not valid"),
        ({"exp": int((NOW + timedelta(days=1)).timestamp())}, "longer than the proxy"),
        ({"iat": int((NOW + timedelta(minutes=5)).timestamp())}, "future"),
        ({"exp": "soon"}, "no readable times"),
        ({"email": ""}, "names no e-mail"),
    ],
)
def test_a_token_for_another_purpose_proves_nobody(proxy, changes, why):
    with pytest.raises(NotSignedIn, match=why):
        look(proxy, proxy.sign(**{"email": NORA, "at": NOW, **changes}))


def test_a_token_counts_until_it_ends_and_not_when_replayed_later(proxy):
    token = proxy.sign(NORA, NOW)
    assert look(proxy, token, at=NOW + timedelta(minutes=10)).email == NORA
    with pytest.raises(NotSignedIn, match="expired"):
        look(proxy, token, at=NOW + timedelta(minutes=11))


def test_two_signed_headers_prove_nobody_even_when_both_are_good(proxy):
    with pytest.raises(NotSignedIn, match="more than one"):
        look(proxy, proxy.sign(NORA, NOW), proxy.sign(VIC, NOW))
    with pytest.raises(NotSignedIn):
        look(proxy, f"{proxy.sign(NORA, NOW)},{proxy.sign(VIC, NOW)}")


def test_the_unsigned_headers_of_the_proxy_are_ignored(proxy):
    spoofed = {
        "x_goog_authenticated_user_email": f"accounts.google.com:{NORA}",
        "x_forwarded_user": NORA,
        "authorization": f"Bearer {proxy.sign(NORA, NOW)}",
    }
    with pytest.raises(NotSignedIn, match="did not come through the proxy"):
        look(proxy, **spoofed)
    assert look(proxy, proxy.sign(VIC, NOW), **spoofed).email == VIC


# --- the proxy's keys -------------------------------------------------------------------------------------------------


def test_a_new_key_of_the_proxy_is_fetched_and_the_one_it_forgot_no_longer_counts(proxy):
    works = Clockwork(proxy)
    ring, first = works.ring(), next(iter(proxy.keys))
    assert ring.key(first) is not None
    proxy.rotate()
    proxy.rotate()
    works.seconds += 31
    assert ring.key(list(proxy.keys)[-1]) is not None
    assert ring.key(first) is None


def test_made_up_key_ids_cannot_make_us_fetch_more_than_twice_a_minute(proxy):
    works = Clockwork(proxy)
    ring = works.ring()
    for number in range(600):
        works.seconds += 0.1
        assert ring.key(f"made-up-{number}") is None
    assert works.fetched <= 2


def test_while_the_keys_cannot_be_fetched_known_ones_count_for_a_day_and_nobody_new_is_let_in(proxy):
    works = Clockwork(proxy)
    ring, kid = works.ring(), next(iter(proxy.keys))
    assert ring.key(kid) is not None
    works.down, works.seconds = True, works.seconds + 7200
    assert ring.key(kid) is not None
    with pytest.raises(KeysUnreadable, match="could not be read"):
        ring.key("another")
    works.seconds += 86_400
    with pytest.raises(KeysUnreadable):
        ring.key(kid)


def test_an_answer_that_is_no_key_list_lets_nobody_in():
    ring = KeyRing("https://keys.example", fetch=lambda _: {"error": "no"})
    with pytest.raises(KeysUnreadable):
        ring.key("any")
    with pytest.raises(KeysUnreadable):
        ring.key("any")


# --- one connection, one sign-in --------------------------------------------------------------------------------------


def test_a_connection_is_checked_at_its_start_and_again_when_its_header_changes(proxy):
    ring = Clockwork(proxy).ring()
    token = proxy.sign(NORA, NOW)
    began = identity.sign_in(None, [token], SETTINGS, ring, NOW)
    later = NOW + timedelta(minutes=50)
    assert identity.sign_in(began, [token], SETTINGS, ring, later) is began, "a websocket outlives its header"
    other = identity.sign_in(began, [proxy.sign(VIC, later)], SETTINGS, ring, later)
    assert other.identity.email == VIC
    with pytest.raises(NotSignedIn):
        identity.sign_in(began, [], SETTINGS, ring, later)


def test_a_new_connection_cannot_replay_an_expired_header_and_an_old_one_ends(proxy):
    ring = Clockwork(proxy).ring()
    token = proxy.sign(NORA, NOW)
    began = identity.sign_in(None, [token], SETTINGS, ring, NOW)
    with pytest.raises(NotSignedIn, match="expired"):
        identity.sign_in(None, [token], SETTINGS, ring, NOW + timedelta(minutes=50))
    with pytest.raises(NotSignedIn, match="expired"):
        identity.sign_in(began, [token], SETTINGS, ring, NOW + timedelta(minutes=66))


# --- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "role"),
    [(NORA, Role.OPERATOR), ("max@example.com", Role.OPERATOR), (VIC, Role.VIEWER), ("xnora@example.com", Role.VIEWER)],
)
def test_who_is_not_named_is_a_viewer(proxy, email, role):
    assert identity.actor_of(look(proxy, proxy.sign(email, NOW)), SETTINGS).role is role


def test_a_group_that_the_sign_in_vouches_for_makes_an_operator():
    settings = Settings.from_env({"OPERATOR_GROUPS": "on-call"})
    told = {"is_logged_in": True, "email": VIC, "email_verified": True, "groups": ["On-Call", "all"]}
    assert identity.actor_of(identity.from_oidc(told, NOW), settings).role is Role.OPERATOR
    assert identity.actor_of(identity.from_oidc({**told, "groups": "on-call"}, NOW), settings).role is Role.VIEWER


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"email": NORA},
        {"is_logged_in": False, "email": NORA},
        {"is_logged_in": "true", "email": NORA},
        {"is_logged_in": True, "email": NORA, "email_verified": False},
        {"is_logged_in": True, "email": "nora"},
    ],
)
def test_a_streamlit_sign_in_without_a_verified_address_proves_nobody(told):
    with pytest.raises(NotSignedIn):
        identity.from_oidc(told, NOW)


def test_without_any_sign_in_only_the_sandbox_starts():
    with pytest.raises(SettingsError, match="does not start"):
        identity.check_configured(Settings.from_env({}))
    identity.check_configured(Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:9050"}))
    identity.check_configured(Settings.from_env({"IAP_AUDIENCE": AUDIENCE}))
    identity.check_configured(Settings.from_env({}), oidc=True)


@pytest.mark.parametrize("wrong", ["everybody!", "nora at example.com", "*"])
def test_a_list_of_operators_that_names_no_address_is_refused(wrong):
    with pytest.raises(SettingsError, match="OPERATORS"):
        Settings.from_env({"OPERATORS": wrong})
