"""How the emulator is reached: by the gateway in this process, without a connection; by others with the password of its URL."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import Any
from urllib.parse import urlsplit

import httpx
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


class InProcessTransport(httpx.AsyncBaseTransport):
    """Calls the emulator's application in its own event loop.

    Over a connection, a time-out or a lost connection would end a job as failed while its rows still arrive. Here a call has
    none of both, and goes on to its end even when the caller is cancelled.
    """

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = httpx.ASGITransport(app, raise_app_exceptions=False), loop

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response, complete; an exception of the application is a 500."""
        call = asyncio.run_coroutine_threadsafe(self._transport.handle_async_request(request), self._loop)
        return await asyncio.shield(asyncio.wrap_future(call))


class _PasswordGuard:
    def __init__(self, app: ASGIApp, authorization: bytes) -> None:
        self._app, self._authorization = app, authorization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = dict(scope.get("headers", ())).get(b"authorization", b"")
        if secrets.compare_digest(sent, self._authorization):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("This port is the gateway's alone.\n", 401)(scope, receive, send)
