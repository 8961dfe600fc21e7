"""Many viewers at once: each a client of Streamlit's own socket that does what a browser tab does, but draws nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Origin, Subprotocol
from websockets.asyncio.client import ClientConnection, connect

RENDER_TIMEOUT_S = 120.0
MAX_MESSAGE_AGE = 2  # for how many runs a browser keeps a large message that was not shown again


@dataclass
class Viewer:
    """One open tab. `render_ms` has the time of every refresh in milliseconds, from the request to the end of the script."""

    socket: ClientConnection
    page: str
    query: str
    render_ms: list[float] = field(default_factory=list)
    verdict: str = ""
    verdict_ms: float = 0.0
    bytes_received: int = 0
    messages_received: int = 0
    _message_ages: dict[str, int] = field(default_factory=dict)  # runs since they were shown, by hash
    _requested_at: float = 0.0
    _is_full_run: bool = False
    _refresh_timers: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _rendered: asyncio.Event = field(default_factory=asyncio.Event)
    _listener: asyncio.Future[None] | None = None

    async def request_rerun(self, fragment: str = "") -> None:
        """Ask for the page, or for one of its fragments as the browser's timer does."""
        message = BackMsg()
        message.rerun_script.page_name, message.rerun_script.query_string = self.page, self.query
        message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, bool(fragment)
        message.rerun_script.cached_message_hashes.extend(self._message_ages)
        if not fragment:
            self._requested_at, self.verdict = time.monotonic(), ""
            self._rendered.clear()
        await self.socket.send(message.SerializeToString())

    async def listen(self) -> None:
        """Follow what the server says for as long as the tab is open."""
        async for data in self.socket:
            if isinstance(data, bytes):
                self.bytes_received += len(data)
                self.messages_received += 1
                message = ForwardMsg.FromString(data)
                if message.metadata.cacheable or message.ref_hash:
                    self._message_ages[message.ref_hash or message.hash] = 0
                self._handle_message(message, str(message.WhichOneof("type")))

    def _handle_message(self, message: ForwardMsg, kind: str) -> None:
        if kind == "new_session":
            self._is_full_run = not message.metadata.run.fragment_ids
            if self._is_full_run:
                self._cancel_timers(*self._refresh_timers)
                self._requested_at = self._requested_at or time.monotonic()
        elif kind == "auto_rerun":
            auto_rerun = message.auto_rerun
            self._cancel_timers(auto_rerun.fragment_id)
            self._refresh_timers[auto_rerun.fragment_id] = asyncio.ensure_future(
                self._refresh_periodically(auto_rerun.fragment_id, auto_rerun.interval)
            )
        elif kind == "stop_auto_rerun":
            self._cancel_timers(*message.stop_auto_rerun.fragment_ids)
        elif kind == "delta" and not self.verdict:
            heading = message.delta.new_element.markdown.body
            if heading.startswith("## "):
                self.verdict, self.verdict_ms = heading, 1000 * (time.monotonic() - self._requested_at)
        elif kind == "script_finished" and self._is_full_run:
            self._message_ages = {name: age + 1 for name, age in self._message_ages.items() if age < MAX_MESSAGE_AGE}
            self.render_ms.append(1000 * (time.monotonic() - self._requested_at))
            self._requested_at = 0.0
            self._rendered.set()

    async def _refresh_periodically(self, fragment: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.request_rerun(fragment)

    def _cancel_timers(self, *fragments: str) -> None:
        for name in fragments:
            if name in self._refresh_timers:
                self._refresh_timers.pop(name).cancel()

    async def wait_rendered(self) -> None:
        await asyncio.wait_for(self._rendered.wait(), RENDER_TIMEOUT_S)

    async def close(self) -> None:
        self._cancel_timers(*self._refresh_timers)
        await self.socket.close()


async def open_viewer(address: str, page: str = "", query: str = "") -> Viewer:
    """Open a tab and request its page; the caller waits with `wait_rendered`."""
    host = urlsplit(address).netloc
    # Streamlit carries its tokens as further subprotocols: which one, the token against forged requests, the session.
    socket = await connect(
        f"ws://{host}/_stcore/stream",
        origin=Origin(f"http://{host}"),
        subprotocols=[Subprotocol("streamlit")],
        max_size=None,
    )
    viewer = Viewer(socket, page, query)
    viewer._listener = asyncio.ensure_future(viewer.listen())
    await viewer.request_rerun()
    return viewer
