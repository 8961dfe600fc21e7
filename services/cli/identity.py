"""Who is at the terminal, proven by Google; and what they may do: an operator is who may impersonate the acting account."""

from __future__ import annotations

import re

import google.auth.transport.requests
import requests
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError

from services.auth.roles import Actor, Role
from services.auth.sign_in import Identity, Unauthenticated, to_actor
from services.core.env_settings import EMAIL_PATTERN
from services.core.errors import InvalidInput, SourceUnavailable
from services.core.settings import Settings
from services.core.text import lower_ascii
from services.gcp.clients import Clients

IDENTITY_URL = "https://oauth2.googleapis.com/tokeninfo"
TIMEOUT_S = 10
SANDBOX_ACTOR = Actor("on-call", Role.OPERATOR)  # the one of the dashboard in the sandbox
_SIGN_IN_HINT = (
    "Run `gcloud auth application-default login --scopes=openid,https://www.googleapis.com/auth/userinfo.email,"
    "https://www.googleapis.com/auth/cloud-platform`."
)
_ACTOR_PATTERN = re.compile(r"([a-z0-9.@_+-]{1,80})(?::(viewer|operator))?", re.IGNORECASE | re.ASCII)


def identify(reading: Clients, acting: Clients, requested: str = "") -> Actor:
    """The person at the terminal. `requested`, NAME or NAME:ROLE, is whom they want to be, which only the sandbox allows.

    Raises InvalidInput for a name elsewhere, Unauthenticated without a verified address, SourceUnavailable when Google does not say.
    """
    settings = reading.settings
    if requested:
        return _parse_actor(requested, settings)
    if settings.in_sandbox and not settings.sandbox_principal:
        return SANDBOX_ACTOR
    email = settings.sandbox_principal if settings.in_sandbox else fetch_verified_email(reading.credentials)
    if not settings.acting_account:
        return to_actor(Identity(email, frozenset(), "terminal", reading.now()), settings)
    return Actor(email, Role.OPERATOR if may_impersonate(acting.credentials) else Role.VIEWER)


def grant_hint(settings: Settings) -> str:
    """The one grant that makes an operator, as a sentence."""
    if settings.in_sandbox:
        return "In the sandbox: --as NAME:operator."
    if not settings.acting_account:
        return "An operator's address is among OPERATORS."
    return (
        f"An operator may impersonate {settings.acting_account}: gcloud iam service-accounts add-iam-policy-binding"
        f" {settings.acting_account} --role=roles/iam.serviceAccountTokenCreator --member=user:YOU"
        f" --project={settings.project}"
    )


def _parse_actor(requested: str, settings: Settings) -> Actor:
    if not settings.in_sandbox:
        raise InvalidInput("--as is for the sandbox only: here you are whom Google verifies.", "Leave it out.")
    match = _ACTOR_PATTERN.fullmatch(requested)
    if match is None:
        raise InvalidInput(f"{requested[:80]!r} is not NAME or NAME:ROLE.", "The role is viewer or operator.")
    return Actor(match[1], Role((match[2] or Role.OPERATOR).lower()))


def fetch_verified_email(credentials: Credentials) -> str:
    """The address that Google has verified for these credentials, in lower case; the token travels in a header."""
    try:
        if not credentials.valid:
            credentials.refresh(google.auth.transport.requests.Request())
        headers = {"Authorization": f"Bearer {credentials.token}"}
        response = requests.post(IDENTITY_URL, headers=headers, timeout=TIMEOUT_S)
        answer = response.json()
    except GoogleAuthError:
        raise Unauthenticated("Google does not accept these credentials.", _SIGN_IN_HINT) from None
    except (requests.RequestException, ValueError) as error:
        raise SourceUnavailable(
            f"Google does not say whose credentials these are ({type(error).__name__}).", "Try again in a minute."
        ) from None
    if not isinstance(answer, dict) or not response.ok:
        raise Unauthenticated("Google does not accept these credentials.", _SIGN_IN_HINT)
    email = lower_ascii(str(answer.get("email", "")))
    if str(answer.get("email_verified")).lower() != "true" or not re.fullmatch(EMAIL_PATTERN, email):
        raise Unauthenticated("These credentials name no verified e-mail address.", _SIGN_IN_HINT)
    return email


def may_impersonate(credentials: Credentials) -> bool:
    """Whether a token of the acting account is given to whoever is signed in here."""
    try:
        credentials.refresh(google.auth.transport.requests.Request())
    except GoogleAuthError:
        return False
    return True
