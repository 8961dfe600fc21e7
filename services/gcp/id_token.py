"""The ID token with which one Cloud Run service calls another."""

from __future__ import annotations

import google.auth.transport.requests
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import id_token

from services.core.errors import SourceUnavailable
from services.gcp.clients import Clients


def fetch_auth_headers(clients: Clients, url: str) -> dict[str, str]:
    """The Authorization header for a call to `url`, made for that address alone; raises SourceUnavailable without one.

    Empty in the sandbox, which requires none, and without TLS, where a token must not travel.
    """
    if clients.settings.in_sandbox or not url.startswith("https://"):
        return {}
    try:
        token: str = id_token.fetch_id_token(google.auth.transport.requests.Request(), url)
    except (GoogleAuthError, OSError, ValueError) as error:
        raise SourceUnavailable(
            f"No ID token for {url} could be made ({type(error).__name__}).",
            "Run as a service account that may invoke it.",
        ) from error
    return {"Authorization": f"Bearer {token}"}
