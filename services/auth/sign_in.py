"""Who is looking, proven: Identity-Aware Proxy's signed header, checked here; what is not signed is not believed."""

from __future__ import annotations

import hashlib
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
from services.core.errors import OnCallError, SettingsError
from services.core.settings import Settings

ASSERTION = "x-goog-iap-jwt-assertion"
ISSUER = "https://cloud.google.com/iap"
CLOCKS_MAY_DIFFER_S = 30
LONGEST_TOKEN = timedelta(minutes=15)  # the proxy's live for ten
# One websocket is one sign-in, and Cloud Run ends a websocket after an hour; what comes after it carries a new header.
SIGN_IN_HOLDS = timedelta(minutes=65)
KEYS_FRESH_S, KEYS_USABLE_S, ASK_AGAIN_S = 3600, 86_400, 30


class NotSignedIn(OnCallError):
    """Nobody is proven to be looking."""

    remedy = "Open the dashboard through its address in the proxy, and sign in there."


class KeysUnreadable(OnCallError):
    """The proxy's public keys could not be read, so no signature can be checked."""

    remedy = "Nobody is let in meanwhile; check that IAP_KEYS_URL can be reached, then reload."


@dataclass(frozen=True)
class Identity:
    """A person whose sign-in was verified: e-mail in lower case, the groups the sign-in vouches for, since when."""

    email: str
    groups: frozenset[str]
    by: str
    verified_at: datetime


@dataclass(frozen=True)
class SignIn:
    """An identity, and the digest of the header that proved it: a connection is asked once, a new header anew."""

    digest: str
    identity: Identity


class Keys(Protocol):
    """Public keys by their id."""

    def key(self, key_id: str) -> Any: ...


class KeyRing:
    """The proxy's public keys: renewed every hour, and for an id not seen yet; asked for at most twice a minute.

    When they cannot be renewed, known keys count for a day.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._fetch, self._tick = url, fetch or _fetch, tick
        self._keys: dict[str, Any] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._trouble = ""
        self._lock = threading.Lock()

    def key(self, key_id: str) -> Any:
        """The key, or None when the proxy has none of that id; raises KeysUnreadable when that cannot be known."""
        with self._lock:
            wanted = key_id not in self._keys or self._tick() - self._fetched_at > KEYS_FRESH_S
            if wanted and self._tick() - self._tried_at > ASK_AGAIN_S:
                self._renew()
            known = self._keys.get(key_id) if self._tick() - self._fetched_at <= KEYS_USABLE_S else None
            if known is None and self._trouble:
                raise KeysUnreadable(f"The proxy's public keys could not be read from {self._url} ({self._trouble}).")
            return known

    def _renew(self) -> None:
        self._tried_at = self._tick()
        try:
            told = self._fetch(self._url)["keys"]
            self._keys = {str(key["kid"]): ECAlgorithm.from_jwk(dict(key)) for key in told if key.get("kty") == "EC"}
            self._fetched_at, self._trouble = self._tick(), ""
        except (requests.RequestException, ValueError, TypeError, LookupError, jwt.PyJWTError) as error:
            self._trouble = type(error).__name__


@cache
def key_ring(url: str) -> KeyRing:
    """The one ring of this process for an address."""
    return KeyRing(url)


def _fetch(url: str) -> Mapping[str, Any]:
    answer = requests.get(url, timeout=5)
    answer.raise_for_status()
    told: Mapping[str, Any] = answer.json()
    return told


def check_configured(settings: Settings, oidc: bool = False) -> None:
    """Raise SettingsError unless somebody can be proven to be looking; only the sandbox needs no sign-in."""
    if settings.iap_audience or oidc or settings.in_sandbox:
        return
    raise SettingsError(
        "No sign-in is configured, so anybody could act as anybody; the dashboard does not start.",
        "Set IAP_AUDIENCE for Identity-Aware Proxy, give Streamlit an [auth] section, or set SANDBOX_URL for the sandbox.",
    )


def identify(headers: Iterable[tuple[str, str]], settings: Settings, keys: Keys, now: datetime) -> Identity:
    """Whom the proxy's signed header names; raises NotSignedIn with the reason. Every unsigned header is ignored."""
    told = [value for name, value in headers if name.lower() == ASSERTION]
    if len(told) != 1:
        raise NotSignedIn(
            "The request did not come through the proxy: it has no signed identity."
            if not told
            else "The request has more than one signed identity."
        )
    claims = _verified(told[0], settings.iap_audience, keys)
    _check_times(claims, now)
    email = claims.get("email")
    if not isinstance(email, str) or "@" not in email:
        raise NotSignedIn("The signed identity names no e-mail address.")
    return Identity(email.lower(), _groups(claims), "IAP", now)


def sign_in(known: SignIn | None, told: Sequence[str], settings: Settings, keys: Keys, now: datetime) -> SignIn:
    """The sign-in of a connection whose handshake carried `told`: checked at its start, when it changes, when it is old."""
    digest = hashlib.sha256("\n".join(told).encode()).hexdigest()
    if known is not None and known.digest == digest and now - known.identity.verified_at <= SIGN_IN_HOLDS:
        return known
    return SignIn(digest, identify([(ASSERTION, each) for each in told], settings, keys, now))


def _verified(token: str, audience: str, keys: Keys) -> dict[str, Any]:
    """The claims of a token that this proxy signed for this service. Times are judged by our own clock, below."""
    try:
        header = jwt.get_unverified_header(token)
        key = keys.key(str(header.get("kid", ""))) if header.get("alg") == "ES256" else None
        if key is None:
            raise NotSignedIn("The identity is not signed with one of the proxy's keys.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience=audience,
            issuer=ISSUER,
            options={
                "require": ["exp", "iat", "aud", "iss"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return claims
    except jwt.InvalidAudienceError:
        raise NotSignedIn("The identity was signed for another service.") from None
    except jwt.PyJWTError as error:
        raise NotSignedIn(f"The signed identity is not valid ({type(error).__name__}).") from None


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    try:
        issued, ends = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
    except (ValueError, TypeError, OverflowError, OSError):
        raise NotSignedIn("The signed identity has no readable times.") from None
    skew = timedelta(seconds=CLOCKS_MAY_DIFFER_S)
    if now > ends + skew:
        raise NotSignedIn("The signed identity has expired.", "Reload the page.")
    if issued > now + skew:
        raise NotSignedIn("The signed identity is from the future: the clocks differ.")
    if ends - issued > LONGEST_TOKEN:
        raise NotSignedIn("The signed identity is valid for longer than the proxy makes them.")


def _groups(claims: Mapping[str, Any]) -> frozenset[str]:
    told = claims.get("groups")
    return frozenset(str(group).lower() for group in told) if isinstance(told, list | tuple) else frozenset()


def from_oidc(claims: Mapping[str, Any], now: datetime) -> Identity:
    """Whom Streamlit's own sign-in names; it has verified the token. An e-mail the provider did not verify does not count."""
    if claims.get("is_logged_in") is not True:
        raise NotSignedIn("Nobody is signed in.", "Sign in.")
    email = claims.get("email")
    if not isinstance(email, str) or "@" not in email or claims.get("email_verified", True) is not True:
        raise NotSignedIn("The sign-in names no verified e-mail address.", "Sign in with another account.")
    return Identity(email.lower(), _groups(claims), "OIDC", now)


def actor_of(identity: Identity, settings: Settings) -> Actor:
    """Operator when the person or one of their groups is named in the settings; everybody else is a viewer."""
    named = identity.email in settings.operators or bool(identity.groups & settings.operator_groups)
    return Actor(identity.email, Role.OPERATOR if named else Role.VIEWER)
