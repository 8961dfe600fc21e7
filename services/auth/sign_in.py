"""Authentication: verifies Identity-Aware Proxy's signed header, or takes Streamlit's verified sign-in; nothing unsigned counts."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol

import jwt
import requests
from jwt.algorithms import ECAlgorithm

from services.auth.roles import Actor, Role
from services.core.env_settings import EMAIL_PATTERN
from services.core.errors import OnCallError, SettingsError
from services.core.freshness import JWKS_COOLDOWN_S, JWKS_MAX_AGE_S, JWKS_TTL_S
from services.core.settings import Settings
from services.core.text import lower_ascii

IAP_HEADER = "x-goog-iap-jwt-assertion"
IAP_ISSUER = "https://cloud.google.com/iap"
CLOCK_SKEW_S = 30
MAX_TOKEN_LIFETIME = timedelta(minutes=15)  # the proxy's live for ten
# One websocket is one sign-in. Cloud Run ends a websocket after an hour; the next one has a new header.
SESSION_LIFETIME = timedelta(minutes=65)
OIDC_LIFETIME = timedelta(hours=12)
GOOGLE_ISSUER = "https://accounts.google.com"


class Unauthenticated(OnCallError):
    """Nobody is proven to be looking."""

    hint = "Open the dashboard through its address in the proxy, and sign in there."


class JwksUnavailable(OnCallError):
    """The proxy's public keys could not be read, so no signature can be checked."""

    hint = "Nobody is let in meanwhile; check that IAP_KEYS_URL can be reached, then reload."


@dataclass(frozen=True)
class Identity:
    """A person whose sign-in was verified: e-mail in lower case, the groups the sign-in vouches for, since when."""

    email: str
    groups: frozenset[str]
    provider: str
    verified_at: datetime


@dataclass(frozen=True)
class SignIn:
    """An identity, and the digest of the header that proved it, so that a connection is verified once per header."""

    digest: str
    identity: Identity


class KeySource(Protocol):
    """Public keys by their id."""

    def key(self, key_id: str) -> Any: ...


class JwksCache:
    """The proxy's public keys: renewed every hour, and for an unknown key id; fetched at most twice a minute.

    While they cannot be renewed, known keys are valid for a day.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._fetch, self._monotonic = url, fetch or _fetch_jwks, monotonic
        self._keys: dict[str, Any] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._last_error = ""
        self._lock = threading.Lock()

    def key(self, key_id: str) -> Any:
        """The key, or None when the proxy has none of that id; raises JwksUnavailable when that cannot be known."""
        with self._lock:
            needs_refresh = key_id not in self._keys or self._monotonic() - self._fetched_at > JWKS_TTL_S
            if needs_refresh and self._monotonic() - self._tried_at > JWKS_COOLDOWN_S:
                self._refresh()
            key = self._keys.get(key_id) if self._monotonic() - self._fetched_at <= JWKS_MAX_AGE_S else None
            if key is None and self._last_error:
                raise JwksUnavailable(
                    f"The proxy's public keys could not be read from {self._url} ({self._last_error})."
                )
            return key

    def _refresh(self) -> None:
        self._tried_at = self._monotonic()
        try:
            jwks = self._fetch(self._url)["keys"]
            self._keys = {str(key["kid"]): ECAlgorithm.from_jwk(dict(key)) for key in jwks if key.get("kty") == "EC"}
            self._fetched_at, self._last_error = self._monotonic(), ""
        except (requests.RequestException, ValueError, TypeError, LookupError, jwt.PyJWTError) as error:
            self._last_error = type(error).__name__


@cache
def jwks_cache(url: str) -> JwksCache:
    """The key cache of this process for an address."""
    return JwksCache(url)


def _fetch_jwks(url: str) -> Mapping[str, Any]:
    response = requests.get(url, timeout=5)
    response.raise_for_status()
    body: Mapping[str, Any] = response.json()
    return body


def check_configured(settings: Settings, oidc: bool = False) -> None:
    """Raise SettingsError unless a sign-in is configured; only the sandbox needs none. `oidc`: Streamlit has an [auth] section."""
    if oidc and not settings.iap_audience:
        _check_oidc(settings)
    if settings.iap_audience or oidc or settings.in_sandbox:
        return
    raise SettingsError(
        "No sign-in is configured, so anybody could act as anybody; the dashboard does not start.",
        "Set IAP_AUDIENCE for Identity-Aware Proxy, give Streamlit an [auth] section, or set SANDBOX_URL for the sandbox.",
    )


def _check_oidc(settings: Settings) -> None:
    if not settings.oidc_issuer:
        raise SettingsError(
            "Streamlit has an [auth] section, and OIDC_ISSUER does not say whose sign-ins are accepted.",
            "Set it to the `issuer` of the provider's .well-known/openid-configuration.",
        )
    if settings.oidc_issuer == GOOGLE_ISSUER and not settings.oidc_hosted_domains:
        raise SettingsError(
            "Anybody can sign in with Google, and OIDC_HOSTED_DOMAINS does not say whose accounts are accepted.",
            "Set it to your organisation's domain.",
        )


def verify_assertion(
    headers: Iterable[tuple[str, str]], settings: Settings, keys: KeySource, now: datetime
) -> Identity:
    """The identity in the proxy's signed header; raises Unauthenticated with the reason. Unsigned headers are ignored."""
    assertions = [value for name, value in headers if name.lower() == IAP_HEADER]
    if len(assertions) != 1:
        raise Unauthenticated(
            "The request did not come through the proxy: it has no signed identity."
            if not assertions
            else "The request has more than one signed identity."
        )
    claims = _verify_token(assertions[0], settings.iap_audience, keys)
    _check_times(claims, now)
    return Identity(_extract_email(claims), _extract_groups(claims), "IAP", now)


def authenticate_connection(
    current: SignIn | None, assertions: Sequence[str], settings: Settings, keys: KeySource, now: datetime
) -> SignIn:
    """The sign-in of a connection whose handshake carried `assertions`: verified at its start, on change, and when it is old."""
    digest = hashlib.sha256("\n".join(assertions).encode()).hexdigest()
    if current is not None and current.digest == digest and now - current.identity.verified_at <= SESSION_LIFETIME:
        return current
    return SignIn(digest, verify_assertion([(IAP_HEADER, assertion) for assertion in assertions], settings, keys, now))


def _verify_token(token: str, audience: str, keys: KeySource) -> dict[str, Any]:
    """The claims of a token that this proxy signed for this service. `_check_times` checks its times by our own clock."""
    try:
        header = jwt.get_unverified_header(token)
        key = keys.key(str(header.get("kid", ""))) if header.get("alg") == "ES256" else None
        if key is None:
            raise Unauthenticated("The identity is not signed with one of the proxy's keys.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=audience,
            issuer=IAP_ISSUER,
            options={
                "require": ["exp", "iat", "aud", "iss"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return claims
    except jwt.InvalidAudienceError:
        raise Unauthenticated("The identity was signed for another service.") from None
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"The signed identity is not valid ({type(error).__name__}).") from None


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    try:
        issued_at, expires_at = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, TypeError, OverflowError, OSError):
        raise Unauthenticated("The signed identity has no readable times.") from None
    skew = timedelta(seconds=CLOCK_SKEW_S)
    if now > expires_at + skew:
        raise Unauthenticated("The signed identity has expired.", "Reload the page.")
    if issued_at > now + skew:
        raise Unauthenticated("Token issued in the future: clock skew.")
    if expires_at - issued_at > MAX_TOKEN_LIFETIME:
        raise Unauthenticated("The signed identity is valid for longer than the proxy makes them.")


def _extract_email(claims: Mapping[str, Any]) -> str:
    """The address as it is compared with the settings: A to Z in lower case, and no letter that only looks like one."""
    email = claims.get("email")
    address = lower_ascii(email) if isinstance(email, str) else ""
    if not re.fullmatch(EMAIL_PATTERN, address):
        raise Unauthenticated("The sign-in names no e-mail address in ASCII letters.", "Sign in with another account.")
    return address


def _extract_groups(claims: Mapping[str, Any]) -> frozenset[str]:
    groups = claims.get("groups")
    names = groups if isinstance(groups, list | tuple) else ()
    return frozenset(lower_ascii(name) for name in names if isinstance(name, str))


def identity_from_oidc(claims: Mapping[str, Any], settings: Settings, now: datetime) -> Identity:
    """The identity in Streamlit's own sign-in, which has verified the token's signature, audience and nonce.

    Raises Unauthenticated unless it is of our issuer, of our organisation where the settings name it, recent, and of an
    address that the issuer has verified: a claim that is absent is not verified.
    """
    if claims.get("is_logged_in") is not True:
        raise Unauthenticated("Nobody is signed in.", "Sign in.")
    another_account = "Sign in with another account."
    if str(claims.get("iss", "")).removesuffix("/") != settings.oidc_issuer:
        raise Unauthenticated("The sign-in is of another issuer than OIDC_ISSUER.", another_account)
    if settings.oidc_hosted_domains and str(claims.get("hd")) not in settings.oidc_hosted_domains:
        raise Unauthenticated("The sign-in is of another organisation than OIDC_HOSTED_DOMAINS.", another_account)
    if claims.get("email_verified") is not True:
        raise Unauthenticated("The sign-in names no verified e-mail address.", another_account)
    _check_sign_in_age(claims, now)
    return Identity(_extract_email(claims), _extract_groups(claims), "OIDC", now)


def _check_sign_in_age(claims: Mapping[str, Any], now: datetime) -> None:
    """Streamlit's cookie lives for a month; who has left a group, or the organisation, must not act for that long."""
    issued_at = claims.get("iat")
    age_s = now.timestamp() - issued_at if isinstance(issued_at, int | float) else float("inf")
    if not -CLOCK_SKEW_S <= age_s <= OIDC_LIFETIME.total_seconds():
        raise Unauthenticated("The sign-in is older than 12 hours.", "Sign in again.")


def to_actor(identity: Identity, settings: Settings) -> Actor:
    """An operator when the settings name the person or one of their groups; otherwise a viewer."""
    is_operator = identity.email in settings.operators or bool(identity.groups & settings.operator_groups)
    return Actor(identity.email, Role.OPERATOR if is_operator else Role.VIEWER)
