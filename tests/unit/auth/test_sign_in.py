"""Only a header that the proxy signed for this service and that has not expired authenticates a user."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.auth import sign_in
from services.auth.roles import Role
from services.auth.sign_in import IAP_HEADER, JwksCache, JwksUnavailable, Unauthenticated
from services.core.errors import SettingsError
from services.core.freshness import JWKS_COOLDOWN_S, JWKS_MAX_AGE_S, JWKS_TTL_S
from services.core.settings import Settings
from tests.support.http_stub import serve_http
from tests.support.iap_signer import AUDIENCE, NORA, VIC, IapSigner

NOW = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
SETTINGS = Settings.from_env({"IAP_AUDIENCE": AUDIENCE, "OPERATORS": f"{NORA}, Max@Example.com"})


@pytest.fixture
def iap_signer() -> IapSigner:
    return IapSigner()


class FakeKeySource:
    """A clock that tests advance, and a key list that counts how often it was fetched."""

    def __init__(self, proxy: IapSigner) -> None:
        self.signer, self.seconds, self.fetched, self.down = proxy, 1000.0, 0, False

    def fetch(self, _: str) -> dict:
        self.fetched += 1
        if self.down:
            raise requests.ConnectionError
        return self.signer.public_jwks()

    def jwks_cache(self) -> JwksCache:
        return JwksCache("https://keys.example", fetch=self.fetch, monotonic=lambda: self.seconds)


def verify(
    signer: IapSigner, *tokens: str, now: datetime = NOW, headers: Mapping[str, str] | None = None
) -> sign_in.Identity:
    all_headers = [(IAP_HEADER, token) for token in tokens] + [*(headers or {}).items()]
    return sign_in.verify_assertion(all_headers, SETTINGS, FakeKeySource(signer).jwks_cache(), now)


def unsigned_token(claims: dict, alg: str) -> str:
    parts = [{"alg": alg, "typ": "JWT", "kid": "any"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def test_a_valid_signature_identifies_the_user(iap_signer):
    identified = verify(iap_signer, iap_signer.sign("Nora@Example.com", NOW))
    assert (identified.email, identified.provider) == (NORA, "IAP")


def test_a_token_signed_with_another_key_is_rejected(iap_signer):
    kid = next(iter(iap_signer.keys))
    forged = jwt.encode(iap_signer.claims(NORA, NOW), IapSigner().keys.popitem()[1], "ES256", {"kid": kid})
    with pytest.raises(Unauthenticated, match="not valid"):
        verify(iap_signer, forged)


def test_a_token_with_changed_claims_is_rejected(iap_signer):
    head, _, signature = iap_signer.sign(VIC, NOW).split(".")
    body = base64.urlsafe_b64encode(json.dumps(iap_signer.claims(NORA, NOW)).encode()).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated, match="not valid"):
        verify(iap_signer, f"{head}.{body}.{signature}")


@pytest.mark.parametrize("alg", ["none", "None", "HS256"])
def test_an_unsigned_or_weakly_signed_token_is_rejected(iap_signer, alg):
    with pytest.raises(Unauthenticated):
        verify(iap_signer, unsigned_token(iap_signer.claims(NORA, NOW), alg))


def test_a_token_signed_with_the_public_key_as_a_secret_is_rejected(iap_signer):
    password = next(iter(iap_signer.keys.values())).public_key()
    pem = password.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    start = (
        unsigned_token(iap_signer.claims(NORA, NOW), "HS256").rstrip(".").replace("any", next(iter(iap_signer.keys)))
    )
    mac = base64.urlsafe_b64encode(hmac.digest(pem, start.encode(), "sha256")).rstrip(b"=").decode()
    with pytest.raises(Unauthenticated):
        verify(iap_signer, f"{start}.{mac}")


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_a_token_for_another_purpose_is_rejected(iap_signer, changes, message):
    with pytest.raises(Unauthenticated, match=message):
        verify(iap_signer, iap_signer.sign(**{"email": NORA, "issued_at": NOW, **changes}))


def test_a_token_is_valid_until_it_expires_and_cannot_be_replayed(iap_signer):
    token = iap_signer.sign(NORA, NOW)
    assert verify(iap_signer, token, now=NOW + timedelta(minutes=10)).email == NORA
    with pytest.raises(Unauthenticated, match="expired"):
        verify(iap_signer, token, now=NOW + timedelta(minutes=11))


@pytest.mark.parametrize(
    ("issued", "lifetime", "now", "valid"),
    [
        (0, 600, 630, True),  # half a minute of skew
        (0, 600, 631, False),
        (30, 600, 0, True),
        (31, 600, 0, False),
        (0, 900, 0, True),
        (0, 901, 0, False),
    ],
)
def test_the_times_of_a_token_are_exact_to_the_second(iap_signer, issued, lifetime, now, valid):
    issued_at = NOW + timedelta(seconds=issued)
    token = iap_signer.sign(NORA, issued_at, exp=int(issued_at.timestamp()) + lifetime)
    if valid:
        assert verify(iap_signer, token, now=NOW + timedelta(seconds=now)).email == NORA
    else:
        with pytest.raises(Unauthenticated):
            verify(iap_signer, token, now=NOW + timedelta(seconds=now))


def test_our_own_clock_decides_about_times_not_the_machine_s(iap_signer):
    """A token from a year ahead of this machine, not before a minute ago there."""
    future = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
    token = iap_signer.sign(NORA, future, nbf=int(future.timestamp()) - 60)
    assert verify(iap_signer, token, now=future).verified_at == future


def test_two_assertion_headers_are_rejected_even_when_both_are_valid(iap_signer):
    with pytest.raises(Unauthenticated, match="more than one"):
        verify(iap_signer, iap_signer.sign(NORA, NOW), iap_signer.sign(VIC, NOW))
    with pytest.raises(Unauthenticated):
        verify(iap_signer, f"{iap_signer.sign(NORA, NOW)},{iap_signer.sign(VIC, NOW)}")


def test_unsigned_proxy_headers_are_ignored(iap_signer):
    spoofed = {
        "x-goog-authenticated-user-email": f"accounts.google.com:{NORA}",
        "x-forwarded-user": NORA,
        "authorization": f"Bearer {iap_signer.sign(NORA, NOW)}",
    }
    with pytest.raises(Unauthenticated, match="did not come through the proxy"):
        verify(iap_signer, headers=spoofed)
    assert verify(iap_signer, iap_signer.sign(VIC, NOW), headers=spoofed).email == VIC


# --- the proxy's keys -------------------------------------------------------------------------------------------------


def test_a_rotated_key_is_fetched_and_a_removed_one_is_no_longer_valid(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring, first = key_source.jwks_cache(), next(iter(iap_signer.keys))
    assert ring.key(first) is not None
    iap_signer.rotate()
    iap_signer.rotate()
    key_source.seconds += 31
    assert ring.key(list(iap_signer.keys)[-1]) is not None
    assert ring.key(first) is None


def test_unknown_key_ids_cannot_cause_more_than_two_fetches_a_minute(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring = key_source.jwks_cache()
    for number in range(600):
        key_source.seconds += 0.1
        assert ring.key(f"made-up-{number}") is None
    assert key_source.fetched <= 2


def test_cached_keys_are_valid_for_a_day_while_no_new_ones_can_be_fetched(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring, kid = key_source.jwks_cache(), next(iter(iap_signer.keys))
    assert ring.key(kid) is not None
    key_source.down, key_source.seconds = True, key_source.seconds + 7200
    assert ring.key(kid) is not None
    with pytest.raises(JwksUnavailable, match="could not be read"):
        ring.key("another")
    key_source.seconds += 86_400
    with pytest.raises(JwksUnavailable):
        ring.key(kid)


def test_keys_are_renewed_after_an_hour_and_not_before(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring, kid = key_source.jwks_cache(), next(iter(iap_signer.keys))
    ring.key(kid)
    key_source.seconds += JWKS_TTL_S
    ring.key(kid)
    assert key_source.fetched == 1
    key_source.seconds += 1
    ring.key(kid)
    assert key_source.fetched == 2


def test_an_unknown_key_id_is_looked_up_once_the_cooldown_is_over(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring = key_source.jwks_cache()
    ring.key("made up")
    key_source.seconds += JWKS_COOLDOWN_S
    ring.key("made up")
    assert key_source.fetched == 1
    key_source.seconds += 1
    ring.key("made up")
    assert key_source.fetched == 2


def test_old_keys_are_valid_to_the_last_second_of_their_day(iap_signer):
    key_source = FakeKeySource(iap_signer)
    ring, kid = key_source.jwks_cache(), next(iter(iap_signer.keys))
    ring.key(kid)
    key_source.down, key_source.seconds = True, key_source.seconds + JWKS_MAX_AGE_S
    assert ring.key(kid) is not None
    key_source.seconds += 1
    with pytest.raises(JwksUnavailable, match=r"https://keys\.example \(ConnectionError\)"):
        ring.key(kid)


def test_keys_are_fetched_from_the_configured_address_and_an_error_page_is_none(iap_signer):
    def respond(path: str, _query: dict[str, str], _headers: dict[str, str]) -> tuple[int, bytes]:
        return (200, json.dumps(iap_signer.public_jwks()).encode()) if path == "/keys" else (503, b"{}")

    with serve_http(respond) as address:
        assert sign_in.jwks_cache(f"{address}/keys").key(next(iter(iap_signer.keys))) is not None
        with pytest.raises(JwksUnavailable, match="HTTPError"):
            JwksCache(f"{address}/gone").key("any")


def test_an_invalid_key_list_authenticates_nobody():
    ring = JwksCache("https://keys.example", fetch=lambda _: {"error": "no"})
    with pytest.raises(JwksUnavailable):
        ring.key("any")
    with pytest.raises(JwksUnavailable):
        ring.key("any")


# --- one connection, one sign-in --------------------------------------------------------------------------------------


def test_a_connection_is_verified_at_its_start_and_when_its_header_changes(iap_signer):
    ring = FakeKeySource(iap_signer).jwks_cache()
    token = iap_signer.sign(NORA, NOW)
    first_sign_in = sign_in.authenticate_connection(None, [token], SETTINGS, ring, NOW)
    later = NOW + timedelta(minutes=50)
    assert sign_in.authenticate_connection(first_sign_in, [token], SETTINGS, ring, later) is first_sign_in, (
        "a websocket outlives its header"
    )
    end = NOW + sign_in.SESSION_LIFETIME
    assert sign_in.authenticate_connection(first_sign_in, [token], SETTINGS, ring, end) is first_sign_in
    other_sign_in = sign_in.authenticate_connection(first_sign_in, [iap_signer.sign(VIC, later)], SETTINGS, ring, later)
    assert other_sign_in.identity.email == VIC
    with pytest.raises(Unauthenticated):
        sign_in.authenticate_connection(first_sign_in, [], SETTINGS, ring, later)


def test_a_new_connection_cannot_replay_an_expired_header_and_an_old_session_ends(iap_signer):
    ring = FakeKeySource(iap_signer).jwks_cache()
    token = iap_signer.sign(NORA, NOW)
    first_sign_in = sign_in.authenticate_connection(None, [token], SETTINGS, ring, NOW)
    with pytest.raises(Unauthenticated, match="expired"):
        sign_in.authenticate_connection(None, [token], SETTINGS, ring, NOW + timedelta(minutes=50))
    with pytest.raises(Unauthenticated, match="expired"):
        sign_in.authenticate_connection(first_sign_in, [token], SETTINGS, ring, NOW + timedelta(minutes=66))


# --- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "role"),
    [(NORA, Role.OPERATOR), ("max@example.com", Role.OPERATOR), (VIC, Role.VIEWER), ("xnora@example.com", Role.VIEWER)],
)
def test_a_user_who_is_not_listed_is_a_viewer(iap_signer, email, role):
    assert sign_in.to_actor(verify(iap_signer, iap_signer.sign(email, NOW)), SETTINGS).role is role


# --- Streamlit's own sign-in (OIDC) -----------------------------------------------------------------------------------

ISSUER = "https://id.example.com"
OIDC = Settings.from_env(
    {"OIDC_ISSUER": ISSUER, "OIDC_HOSTED_DOMAINS": "example.com", "OPERATORS": NORA, "OPERATOR_GROUPS": "on-call"}
)
CLAIMS = {
    "is_logged_in": True,
    "iss": ISSUER,
    "sub": "1",
    "hd": "example.com",
    "email": NORA,
    "email_verified": True,
    "iat": int(NOW.timestamp()),
}


def oidc_role(**changes: object) -> Role:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return sign_in.to_actor(sign_in.identity_from_oidc(claims, OIDC, NOW), OIDC).role


def test_a_verified_sign_in_of_our_issuer_is_the_person_it_names():
    assert oidc_role() is Role.OPERATOR
    assert oidc_role(email="Nora@Example.COM") is Role.OPERATOR
    assert oidc_role(iss=f"{ISSUER}/") is Role.OPERATOR
    assert oidc_role(email=VIC) is Role.VIEWER


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_logged_in": None}, "Nobody is signed in"),
        ({"is_logged_in": False}, "Nobody is signed in"),
        ({"is_logged_in": "true"}, "Nobody is signed in"),
        ({"email_verified": None}, "names no verified e-mail address"),
        ({"email_verified": False}, "names no verified e-mail address"),
        ({"email_verified": "true"}, "names no verified e-mail address"),
        ({"email_verified": 1}, "names no verified e-mail address"),
        ({"iss": None}, "another issuer"),
        ({"iss": "https://evil.example.com"}, "another issuer"),
        ({"iss": "https://id.example.com.evil.example"}, "another issuer"),
        ({"iss": "https://ID.example.com"}, "another issuer"),
        ({"hd": None}, "another organisation"),
        ({"hd": "evil.example"}, "another organisation"),
        ({"hd": ["example.com"]}, "another organisation"),
        ({"iat": None}, "older than 12 hours"),
        ({"iat": "now"}, "older than 12 hours"),
        ({"iat": NOW.timestamp() - 12 * 3600 - 1}, "older than 12 hours"),
        ({"iat": NOW.timestamp() + 31}, "older than 12 hours"),
        ({"email": None}, "no e-mail address"),
        ({"email": "nora"}, "no e-mail address"),
        ({"email": [NORA]}, "no e-mail address"),
        ({"email": f"{NORA},max@example.com"}, "no e-mail address"),
        ({"email": f" {NORA}"}, "no e-mail address"),
        ({"email": f"{NORA}\n"}, "no e-mail address"),
        ({"email": f"x@{NORA}"}, "no e-mail address"),
        ({"email": f"Nora <{NORA}>"}, "no e-mail address"),
        ({"email": "nor\u0430@example.com"}, "no e-mail address"),  # a Cyrillic a
        ({"email": f"{NORA}\u200b"}, "no e-mail address"),
    ],
)
def test_a_sign_in_that_does_not_prove_who_it_is_is_refused(changes, reason):
    with pytest.raises(Unauthenticated, match=reason):
        oidc_role(**changes)


@pytest.mark.parametrize("email", ["nic\u212a@example.com", "NIC\u212a@example.com", "ni\u0301ck@example.com"])
def test_a_letter_that_unicode_folds_into_another_makes_nobody_else(iap_signer, email):
    settings = Settings.from_env({"OIDC_ISSUER": ISSUER, "IAP_AUDIENCE": AUDIENCE, "OPERATORS": "nick@example.com"})
    with pytest.raises(Unauthenticated, match="no e-mail address"):
        sign_in.identity_from_oidc({**CLAIMS, "email": email}, settings, NOW)
    with pytest.raises(Unauthenticated, match="no e-mail address"):
        verify(iap_signer, iap_signer.sign(email, NOW))
    with pytest.raises(SettingsError, match="OPERATORS"):
        Settings.from_env({"OPERATORS": email})
    with pytest.raises(SettingsError, match="OPERATOR_GROUPS"):
        Settings.from_env({"OPERATOR_GROUPS": "nic\u212a"})


def test_a_group_of_the_provider_makes_an_operator():
    assert oidc_role(email=VIC, groups=["On-Call", "all"]) is Role.OPERATOR


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": "on-call"},
        {"groups": ["on-\u212aall"]},
        {"groups": {"on-call": True}},
        {"groups": [["on-call"]]},
        {"role": "operator"},
        {"roles": ["operator"]},
        {"x-groups": ["on-call"]},
    ],
)
def test_nothing_but_a_list_of_group_names_makes_an_operator(claims):
    assert oidc_role(email=VIC, **claims) is Role.VIEWER


def test_without_hosted_domains_every_account_of_the_issuer_may_sign_in():
    settings = Settings.from_env({"OIDC_ISSUER": ISSUER})
    assert sign_in.identity_from_oidc({**CLAIMS, "hd": "other.example"}, settings, NOW).email == NORA


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "https://accounts.google.com"}, "OIDC_HOSTED_DOMAINS"),
        ({"OIDC_ISSUER": "https://accounts.google.com/"}, "OIDC_HOSTED_DOMAINS"),
        ({"SANDBOX_URL": "http://127.0.0.1:9050"}, "OIDC_ISSUER"),
    ],
)
def test_the_dashboard_does_not_start_while_anybodys_sign_in_would_do(env, missing):
    with pytest.raises(SettingsError, match=missing):
        sign_in.check_configured(Settings.from_env(env), oidc=True)


def test_without_a_sign_in_only_the_sandbox_starts():
    with pytest.raises(SettingsError, match="does not start"):
        sign_in.check_configured(Settings.from_env({}))
    sign_in.check_configured(Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:9050"}))
    sign_in.check_configured(Settings.from_env({"IAP_AUDIENCE": AUDIENCE}))
    sign_in.check_configured(OIDC, oidc=True)
    sign_in.check_configured(
        Settings.from_env({"OIDC_ISSUER": "https://accounts.google.com", "OIDC_HOSTED_DOMAINS": "example.com"}),
        oidc=True,
    )
