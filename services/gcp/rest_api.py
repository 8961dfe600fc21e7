"""Listings of Google's APIs whose clients speak gRPC only, by REST: the same credentials, address of the sandbox, and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession

from services.core.errors import SourceUnavailable
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

MAX_PAGES = 20


def list_resources(
    clients: Clients, source: str, api: str, path: str, key: str, params: Mapping[str, str] | None = None
) -> Iterator[Mapping[str, Any]]:
    """Every item under `key` of a listing, page by page, of `https://{api}.googleapis.com/{path}`; raises OnCallError."""
    base = clients.settings.sandbox_url or f"https://{api}.googleapis.com"
    query = dict(params or {})
    with AuthorizedSession(clients.credentials) as session:
        for _ in range(MAX_PAGES):
            with translate_errors(source):
                answer = session.get(f"{base}/{path}", params=query, timeout=clients.settings.query_timeout_s)
                if not answer.ok:
                    raise exceptions.from_http_response(answer)
                page = answer.json()
                items = page.get(key, [])
            yield from items
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]
    raise SourceUnavailable(f"{source} has more than {MAX_PAGES} pages; the rest was not read.", "Report it.")
