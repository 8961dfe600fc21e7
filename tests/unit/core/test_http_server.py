"""Connections that hold a server: what is sent in part or not at all ends after a time, what is too large at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from services.core import http_server
from services.core.http_server import MAX_FRAME_BYTES, MAX_HEAD_BYTES, server_options

TIMEOUT_S = 0.4
LARGE = MAX_HEAD_BYTES + 300_000  # what is there as a whole in one read, of 256 KiB, is not counted
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


async def answer(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where a server listens that waits for TIMEOUT_S instead of REQUEST_TIMEOUT_S."""
    monkeypatch.setattr(http_server, "REQUEST_TIMEOUT_S", TIMEOUT_S)
    app = Starlette(routes=[Route("/", answer, methods=["GET", "POST"]), WebSocketRoute("/socket", echo)])
    server = uvicorn.Server(uvicorn.Config(app, **server_options("127.0.0.1", 0)))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=10)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    """All that the server sends until it closes; raises TimeoutError while it does not."""
    received = b""
    try:
        while data := connection.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf",
        HANDSHAKE[:-4],
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk", "half a handshake"],
)
def test_a_request_that_does_not_arrive_is_ended(port, sent):
    with connected(port) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        assert read_to_end(connection) == b""
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_request_that_comes_in_drops_is_ended_all_the_same(port, head):
    with connected(port) as connection:
        connection.sendall(head)
        began, ended = time.monotonic(), False
        while not ended and time.monotonic() - began < 4:
            time.sleep(TIMEOUT_S / 10)
            try:
                connection.sendall(b"x")
            except OSError:
                ended = True
        assert ended


def test_half_of_a_second_request_is_ended_too(port):
    with connected(port) as connection:
        connection.sendall(GET)
        assert connection.recv(65_536).endswith(b"0 bytes")
        connection.sendall(GET[:10])
        assert read_to_end(connection) == b""


def test_three_hundred_half_open_connections_are_gone_and_others_are_answered_meanwhile(port):
    held = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(300)]
    for connection in held:
        connection.sendall(GET[:10])
    with connected(port) as connection:
        connection.sendall(GET)
        assert connection.recv(65_536).endswith(b"0 bytes")
    for connection in held:
        assert read_to_end(connection) == b""
        connection.close()


def test_an_open_websocket_is_not_ended(port):
    with connected(port) as connection:
        connection.sendall(HANDSHAKE)
        assert b"101" in connection.recv(65_536)
        time.sleep(2.5 * TIMEOUT_S)
        connection.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        assert connection.recv(65_536).endswith(b"hello")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * LARGE + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * LARGE + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * (LARGE // 6) + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
def test_a_head_that_is_too_large_is_refused(port, head):
    with connected(port) as connection:
        connection.sendall(head)
        answer = read_to_end(connection)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_message_over_a_websocket_that_is_too_large_ends_it(port):
    with connected(port) as connection:
        connection.sendall(HANDSHAKE)
        connection.recv(65_536)
        connection.sendall(b"\x81\xff" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big") + b"\x00" * 4)
        assert b"\x03\xf1" in read_to_end(connection), "closed with 1009, message too big"
