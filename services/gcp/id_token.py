"""The ID token with which one Cloud Run service calls another."""

from __future__ import annotations

import google.auth.transport.requests
import jwt
from google.auth import impersonated_credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import credentials as user_credentials
from google.oauth2 import id_token

from services.core.errors import AccessDenied, SourceUnavailable
from services.core.settings import Settings
from services.gcp.clients import CLOUD_PLATFORM_SCOPE, Clients


def fetch_auth_headers(clients: Clients, url: str) -> dict[str, str]:
    """The Authorization header for a call to `url` as the account of `clients`, made for that address alone.

    Empty without TLS, where a token must not travel, and in the sandbox for what is not behind its Cloud Run or without a
    principal. A person's own credentials make no such token, so the acting account's is used. Raises SourceUnavailable when
    no token can be made, AccessDenied with the grant that is missing when the acting account may not be impersonated.
    """
    try:
        if clients.settings.in_sandbox:
            token = _make_sandbox_token(clients, url)
        else:
            token = _fetch_token(clients, url) if url.startswith("https://") else ""
    except (GoogleAuthError, OSError, ValueError) as error:
        raise SourceUnavailable(
            f"No ID token for {url} could be made ({type(error).__name__}).",
            "Run as a service account that may invoke it.",
        ) from error
    return {"Authorization": f"Bearer {token}"} if token else {}


def _fetch_token(clients: Clients, audience: str) -> str:
    """A token of the impersonated account where there is one, else of the account that this process runs as."""
    request = google.auth.transport.requests.Request()
    credentials = _impersonate_for_person(clients.credentials, clients.settings, audience)
    if not isinstance(credentials, impersonated_credentials.Credentials):
        return str(id_token.fetch_id_token(request, audience))
    token_credentials = impersonated_credentials.IDTokenCredentials(credentials, audience, include_email=True)
    try:
        token_credentials.refresh(request)
    except RefreshError as error:
        raise AccessDenied(
            f"No ID token for {audience} could be made: this account may not impersonate {clients.settings.acting_account}.",
            f"Grant it: gcloud iam service-accounts add-iam-policy-binding {clients.settings.acting_account}"
            f" --role=roles/iam.serviceAccountTokenCreator --member=user:YOU --project={clients.settings.project}",
        ) from error
    return str(token_credentials.token)


def _impersonate_for_person(credentials: Credentials, settings: Settings, audience: str) -> Credentials:
    """The acting account's credentials in place of a person's; those of a service account as they are."""
    if not isinstance(credentials, user_credentials.Credentials):
        return credentials
    if not settings.acting_account:
        raise SourceUnavailable(
            f"No ID token for {audience} could be made: a person's credentials make none.",
            "Set ACTING_ACCOUNT to a service account that may invoke it and that you may impersonate.",
        )
    return impersonated_credentials.Credentials(credentials, settings.acting_account, [CLOUD_PLATFORM_SCOPE])


def _make_sandbox_token(clients: Clients, url: str) -> str:
    """An unsigned token of the account whose access token it is; empty for the sandbox's developer, who needs none."""
    if not clients.settings.sandbox_principal or not url.startswith(clients.settings.sandbox_url):
        return ""
    if not clients.credentials.valid:
        clients.credentials.refresh(google.auth.transport.requests.Request())
    return jwt.encode({"email": clients.credentials.token, "aud": url}, "", algorithm="none")
