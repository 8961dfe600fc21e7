"""Drops a client's connection without a response when an injected fault asks for it, as a lost network would."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.sandbox.common.fault_injection import ConnectionDropped


class ConnectionDropper:
    """An ASGI wrapper that knows the transport of every client connection, so that ConnectionDropped can abort it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol_class(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, registering each connection by the client's address."""
        transports = self._transports

        class TrackedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.access_log = False  # the emulator's logging set-up would print every call
                transports[transport.get_extra_info("peername")[:2]] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.transport.get_extra_info("peername")[:2], None)
                super().connection_lost(exc)

        return TrackedProtocol

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ConnectionDropped:
            transport = self._transports.get(tuple(scope["client"]))
            if transport is not None:  # the client may have disconnected first
                transport.abort()
            await receive()
