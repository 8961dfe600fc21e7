"""The ID token with which one Cloud Run service calls another."""

from __future__ import annotations

import google.auth.transport.requests
import jwt
from google.auth import impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import id_token

from services.core.errors import SourceUnavailable
from services.gcp.clients import Clients


def fetch_auth_headers(clients: Clients, url: str) -> dict[str, str]:
    """The Authorization header for a call to `url` as the account of `clients`, made for that address alone.

    Empty without TLS, where a token must not travel, and in the sandbox for what is not behind its Cloud Run or without a
    principal. Raises SourceUnavailable when no token can be made.
    """
    try:
        if clients.settings.in_sandbox:
            token = _make_sandbox_token(clients, url)
        else:
            token = _fetch_token(clients.credentials, url) if url.startswith("https://") else ""
    except (GoogleAuthError, OSError, ValueError) as error:
        raise SourceUnavailable(
            f"No ID token for {url} could be made ({type(error).__name__}).",
            "Run as a service account that may invoke it.",
        ) from error
    return {"Authorization": f"Bearer {token}"} if token else {}


def _fetch_token(credentials: Credentials, audience: str) -> str:
    """A token of the impersonated account where there is one, else of the account that this process runs as."""
    request = google.auth.transport.requests.Request()
    if not isinstance(credentials, impersonated_credentials.Credentials):
        return str(id_token.fetch_id_token(request, audience))
    token_credentials = impersonated_credentials.IDTokenCredentials(credentials, audience, include_email=True)
    token_credentials.refresh(request)
    return str(token_credentials.token)


def _make_sandbox_token(clients: Clients, url: str) -> str:
    """An unsigned token of the account whose access token it is; empty for the sandbox's developer, who needs none."""
    if not clients.settings.sandbox_principal or not url.startswith(clients.settings.sandbox_url):
        return ""
    if not clients.credentials.valid:
        clients.credentials.refresh(google.auth.transport.requests.Request())
    return jwt.encode({"email": clients.credentials.token, "aud": url}, "", algorithm="none")
