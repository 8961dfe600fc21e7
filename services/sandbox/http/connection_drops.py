"""The line to a caller, which a scripted fault can cut: the connection ends without an answer, as a lost network does."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.sandbox.common.fault_injection import ConnectionDropped


class ConnectionDropper:
    """The application, with every caller's connection at hand."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol_class(self) -> type[asyncio.Protocol]:
        """uvicorn's HTTP protocol, noting each connection by the caller's address."""
        transports = self._transports

        class TrackedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                self.access_log = False  # the emulator's set-up would write each call to the terminal
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
            if transport is not None:  # the caller may have hung up first
                transport.abort()
            await receive()
