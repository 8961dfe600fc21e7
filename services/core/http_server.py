"""How our HTTP servers listen: uvicorn, with a limit on how long and how large a request's head and a message may be."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S = 20.0  # from a connection's first byte, or the last response, until a request is there as a whole
KEEP_ALIVE_S = 5  # a connection that asks nothing
MAX_HEAD_BYTES = 64 * 1024  # of a request: its address and headers, cookies included
MAX_FRAME_BYTES = 1024 * 1024  # of a message over a websocket
PING_S = 20  # a websocket whose other end does not answer in as long is closed


class ImpatientH11Protocol(H11Protocol):
    """uvicorn's HTTP protocol, which also closes a connection whose request does not arrive: uvicorn itself waits for ever.

    Idle, a request that stops in its head or its body, and one that comes in drops all count the same.
    """

    _request_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request from now on."""
        super().connection_made(transport)
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        """Go on waiting, unless the request is there."""
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        """Wait for the next request from now on."""
        super().on_response_complete()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_timer()

    def _update_timer(self) -> None:
        is_websocket = self.transport.get_protocol() is not self
        if is_websocket or self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop_timer()
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


def server_options(host: str, port: int) -> dict[str, Any]:
    """What every server of ours gives to uvicorn. `log_config=None`: its records go to the root logger's handler."""
    return {
        "host": host,
        "port": port,
        "http": ImpatientH11Protocol,
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "ws": "websockets-sansio",
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_ping_interval": PING_S,
        "ws_ping_timeout": PING_S,
        "ws_per_message_deflate": False,
        "log_config": None,
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
    }


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve an ASGI application until the process is asked to end."""
    uvicorn.run(app, **server_options(host, port))
