"""Identity-Aware Proxy as a process of the browser tests: forwards everything, and signs the user, on websockets too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.iap_signer import IapSigner

HEADER = b"x-goog-iap-jwt-assertion"


class IapProxy:
    """One address for one person before a dashboard. What the browser says of itself under the header's name is dropped."""

    def __init__(self, signer: IapSigner, email: str, upstream: str) -> None:
        self.signer, self.email = signer, email
        self.host, _, self.port = upstream.removeprefix("http://").partition(":")
        self.loop = asyncio.new_event_loop()
        self.websockets: list[asyncio.StreamWriter] = []  # those to the browser

    async def handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: its first request decides, so each request but a websocket has a connection of its own."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            upstream_reader, upstream_writer = await asyncio.open_connection(self.host, int(self.port))
            upstream_writer.write(self._with_signature(head))
            if b"\r\nupgrade: websocket" in head.lower():
                self.websockets.append(writer)
            await asyncio.gather(_forward(reader, upstream_writer), _forward(upstream_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def cut_websockets(self) -> None:
        """End every websocket without a closing frame, as Cloud Run does after 60 minutes."""
        for writer in self.websockets:
            self.loop.call_soon_threadsafe(writer.transport.abort)
        self.websockets.clear()

    def _with_signature(self, head: bytes) -> bytes:
        lines = [line for line in head.rstrip(b"\r\n").split(b"\r\n") if not line.lower().startswith(HEADER)]
        if not any(line.lower().startswith(b"upgrade:") for line in lines):
            lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
        lines.append(HEADER + b": " + self.signer.sign(self.email).encode())
        lines.append(b"X-Goog-Authenticated-User-Email: accounts.google.com:" + self.email.encode())
        return b"\r\n".join(lines) + b"\r\n\r\n"


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextmanager
def run_iap_proxy(upstream: str, signer: IapSigner, email: str) -> Iterator[str]:
    """The address under which `email` reaches the dashboard at `upstream`."""
    with run_proxy(IapProxy(signer, email, upstream)) as address:
        yield address


@contextmanager
def run_proxy(proxy: IapProxy) -> Iterator[str]:
    """The address of a proxy that runs in a thread of its own."""
    loop, started = proxy.loop, threading.Event()
    address: list[str] = []

    def run_loop() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(proxy.handle_connection, "127.0.0.1", 0))
        address.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        started.set()
        loop.run_forever()
        server.close()
        for task in (pending := asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run_loop, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
