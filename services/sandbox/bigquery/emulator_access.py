"""Closes the emulator's own port: only who has its URL, with the password in it, gets past; its gRPC port is shut."""

from __future__ import annotations

import base64
import secrets
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_USER = "gateway"


async def close_to_strangers(server: Any) -> str:  # noqa: ANN401 — bqemulator's server, known to its module alone
    """Require a password made here of every request to a started EmulatorServer; returns its URL with the password.

    httpx and requests send user and password of a URL by themselves, as HTTP Basic authentication.
    """
    password = secrets.token_urlsafe(24)
    credentials = base64.b64encode(f"{_USER}:{password}".encode())
    config = server._fastapi_server.config
    config.loaded_app = _PasswordGuard(config.loaded_app, b"Basic " + credentials)
    await server._grpc_server.stop(grace=0)  # nothing here speaks it, and it has no password
    parts = urlsplit(server.rest_url)
    return f"{parts.scheme}://{_USER}:{password}@{parts.netloc}"


class _PasswordGuard:
    def __init__(self, app: ASGIApp, authorization: bytes) -> None:
        self._app, self._authorization = app, authorization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope.get("headers", ())).get(b"authorization", b"")
        if secrets.compare_digest(sent, self._authorization):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("This port is the gateway's alone.\n", 401)(scope, receive, send)
