"""Many viewers at once: each a client of Streamlit's own socket that does what a browser tab does, but draws nothing."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

PATIENCE_S = 120.0


@dataclass
class Viewer:
    """One open tab. `drawn_ms` has the time of every look, from the question to the end of the script."""

    socket: ClientConnection
    page: str
    query: str
    drawn_ms: list[float] = field(default_factory=list)
    verdict: str = ""
    verdict_ms: float = 0.0
    heard: int = 0
    _asked: float = 0.0
    _whole: bool = False
    _beats: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _drawn: asyncio.Event = field(default_factory=asyncio.Event)
    _listening: asyncio.Future[None] | None = None

    async def look(self, fragment: str = "") -> None:
        """Ask for the page, or for one of its fragments as the browser's timer does."""
        told = BackMsg()
        told.rerun_script.page_name, told.rerun_script.query_string = self.page, self.query
        told.rerun_script.fragment_id, told.rerun_script.is_auto_rerun = fragment, bool(fragment)
        if not fragment:
            self._asked, self.verdict = time.monotonic(), ""
            self._drawn.clear()
        await self.socket.send(told.SerializeToString())

    async def listen(self) -> None:
        """Follow what the server says for as long as the tab is open."""
        async for data in self.socket:
            if isinstance(data, bytes):
                self.heard += len(data)
                message = ForwardMsg.FromString(data)
                self._heard(message, str(message.WhichOneof("type")))

    def _heard(self, message: ForwardMsg, kind: str) -> None:
        if kind == "new_session":
            self._whole = not message.metadata.run.fragment_ids
            if self._whole:
                self._forget_beats(*self._beats)
                self._asked = self._asked or time.monotonic()
        elif kind == "auto_rerun":
            told = message.auto_rerun
            self._forget_beats(told.fragment_id)
            self._beats[told.fragment_id] = asyncio.ensure_future(self._beat(told.fragment_id, told.interval))
        elif kind == "stop_auto_rerun":
            self._forget_beats(*message.stop_auto_rerun.fragment_ids)
        elif kind == "delta" and not self.verdict:
            words = message.delta.new_element.markdown.body
            if words.startswith("## "):
                self.verdict, self.verdict_ms = words, 1000 * (time.monotonic() - self._asked)
        elif kind == "script_finished" and self._whole:
            self.drawn_ms.append(1000 * (time.monotonic() - self._asked))
            self._asked = 0.0
            self._drawn.set()

    async def _beat(self, fragment: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self.look(fragment)

    def _forget_beats(self, *fragments: str) -> None:
        for name in fragments:
            if name in self._beats:
                self._beats.pop(name).cancel()

    async def drawn(self) -> None:
        await asyncio.wait_for(self._drawn.wait(), PATIENCE_S)

    async def close(self) -> None:
        self._forget_beats(*self._beats)
        await self.socket.close()


async def open_viewer(address: str, page: str = "", query: str = "") -> Viewer:
    """Open a tab and ask for its page; the caller waits for `drawn`."""
    host = urlsplit(address).netloc
    # Streamlit carries its tokens as further subprotocols: which one, the token against forged requests, the session.
    socket = await connect(
        f"ws://{host}/_stcore/stream", origin=f"http://{host}", subprotocols=["streamlit"], max_size=None
    )
    viewer = Viewer(socket, page, query)
    viewer._listening = asyncio.ensure_future(viewer.listen())
    await viewer.look()
    return viewer
