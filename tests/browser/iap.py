"""Identity-Aware Proxy as a process of the browser tests: passes everything on, and signs who is asking, websockets too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.security.proxy import Proxy

HEADER = b"x-goog-iap-jwt-assertion"


class Stand:
    """One address for one person before a dashboard. What the browser says of itself under the header's name is dropped."""

    def __init__(self, proxy: Proxy, email: str, upstream: str) -> None:
        self.proxy, self.email = proxy, email
        self.host, _, self.port = upstream.removeprefix("http://").partition(":")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: its first request decides, so each request but a websocket has a connection of its own."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            there_reader, there_writer = await asyncio.open_connection(self.host, int(self.port))
            there_writer.write(self._signed(head))
            await asyncio.gather(_pass(reader, there_writer), _pass(there_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _signed(self, head: bytes) -> bytes:
        lines = [line for line in head.rstrip(b"\r\n").split(b"\r\n") if not line.lower().startswith(HEADER)]
        if not any(line.lower().startswith(b"upgrade:") for line in lines):
            lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
        lines.append(HEADER + b": " + self.proxy.sign(self.email).encode())
        lines.append(b"X-Goog-Authenticated-User-Email: accounts.google.com:" + self.email.encode())
        return b"\r\n".join(lines) + b"\r\n\r\n"


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def before(upstream: str, proxy: Proxy, email: str) -> Iterator[str]:
    """The address under which `email` reaches the dashboard at `upstream`."""
    loop, found = asyncio.new_event_loop(), threading.Event()
    address: list[str] = []

    def work() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(Stand(proxy, email, upstream).serve, "127.0.0.1", 0))
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        found.set()
        loop.run_forever()
        server.close()
        for task in (left := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    found.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
