"""A crowd before the dashboard: browsers without a screen, that speak Streamlit's own websocket and press its buttons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class Visitor:
    """One open page: what is written on it, and its buttons' ids by label."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.words = ""
        self.buttons: dict[str, str] = {}

    async def look(self, query: str = "date=2025-12-29", press: str = "") -> None:
        """Draw the page anew, after pressing the button of that label where one is named."""
        said = BackMsg()
        said.rerun_script.query_string = query
        if press:
            state = said.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = next(i for label, i in self.buttons.items() if press in label), True
        await self.say(said)

    async def say(self, said: BackMsg) -> None:
        await self.socket.send(said.SerializeToString())

    async def until(self, words: str, within_s: float = 60) -> None:
        """Until the page says so; raises TimeoutError when it does not."""
        await self._until(lambda: words in self.words, within_s)

    async def until_button(self, label: str, within_s: float = 60) -> None:
        await self._until(lambda: any(label in each for each in self.buttons), within_s)

    async def _until(self, met: Callable[[], bool], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not met():
                self._take_in(ForwardMsg.FromString(await self.socket.recv()))

    def _take_in(self, told: ForwardMsg) -> None:
        element = told.delta.new_element
        self.words += f"\n{element.markdown.body}"
        if element.button.id:
            self.buttons[element.button.label] = element.button.id


@asynccontextmanager
async def visitor(address: str, signed: str) -> AsyncIterator[Visitor]:
    """A person's browser at the dashboard's own address, with what the proxy signs for them."""
    where = address.replace("http://", "ws://") + "/_stcore/stream"
    headers = {"X-Goog-IAP-JWT-Assertion": signed}
    async with websockets.connect(
        where, origin=address, additional_headers=headers, max_size=None, open_timeout=60, close_timeout=0.2
    ) as socket:
        yield Visitor(socket)
