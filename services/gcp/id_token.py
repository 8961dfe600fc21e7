"""The identity token that Cloud Run wants before it lets one service call another."""

from __future__ import annotations

import google.auth.transport.requests
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import id_token

from services.core.errors import SourceUnavailable
from services.gcp.clients import Clients


def fetch_auth_headers(clients: Clients, url: str) -> dict[str, str]:
    """Cloud Run wants an ID token for its own address; the sandbox wants none."""
    if clients.settings.in_sandbox or not url.startswith("https://"):
        return {}
    try:
        token = id_token.fetch_id_token(google.auth.transport.requests.Request(), url)
    except GoogleAuthError as error:
        raise SourceUnavailable(
            f"No ID token for {url} could be made ({type(error).__name__}).",
            "Run as a service account that may invoke it.",
        ) from error
    return {"Authorization": f"Bearer {token}"}
