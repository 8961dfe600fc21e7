"""Clients of the dashboard without a browser, which use Streamlit's websocket and press its buttons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class WebsocketClient:
    """One open page: what is written on it, and its buttons' ids by label."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.text = ""
        self.buttons: dict[str, str] = {}
        self.kinds: list[str] = []  # of the messages since the last rerun
        self.reruns = 0  # that Streamlit has begun

    async def rerun(self, query: str = "date=2025-12-29", button_label: str = "") -> None:
        """Rerun the page, after pressing the button of that label where one is named."""
        message = BackMsg()
        message.rerun_script.query_string = query
        if button_label:
            state = message.rerun_script.widget_states.widgets.add()
            state.id, state.trigger_value = next(i for label, i in self.buttons.items() if button_label in label), True
        self.kinds.clear()
        await self.send(message)

    async def refresh(self) -> list[str]:
        """Rerun the page to its end; the kinds of the messages that this took."""
        await self.rerun()
        await self._receive_until(lambda: "script_finished" in self.kinds, 60)
        return self.kinds

    async def send(self, message: BackMsg) -> None:
        await self.socket.send(message.SerializeToString())

    async def wait_for_text(self, text: str, timeout_s: float = 60) -> None:
        """Until the page says so; raises TimeoutError when it does not."""
        await self._receive_until(lambda: text in self.text, timeout_s)

    async def open_until_button(self, label: str, timeout_s: float = 60) -> None:
        """Run the page until it has the button: again after some seconds, as a browser does while a source has not answered."""
        async with asyncio.timeout(timeout_s):
            while True:
                await self.rerun()
                with suppress(TimeoutError):
                    return await self._receive_until(lambda: any(label in button for button in self.buttons), 5)

    async def listen(self) -> None:
        """Follow what the page says until the connection ends."""
        with suppress(websockets.ConnectionClosed):
            async for data in self.socket:
                self._handle_message(ForwardMsg.FromString(data))

    async def _receive_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._handle_message(ForwardMsg.FromString(await self.socket.recv()))

    def _handle_message(self, message: ForwardMsg) -> None:
        kind = str(message.WhichOneof("type"))
        self.kinds.append(kind)
        self.reruns += kind == "new_session"
        element = message.delta.new_element
        self.text += f"\n{element.markdown.body}"
        if element.button.id:
            self.buttons[element.button.label] = element.button.id


@asynccontextmanager
async def open_client(address: str, assertion: str) -> AsyncIterator[WebsocketClient]:
    """A person's browser at the dashboard's own address, with what the proxy signs for them."""
    websocket_url = address.replace("http://", "ws://") + "/_stcore/stream"
    headers = {"X-Goog-IAP-JWT-Assertion": assertion}
    async with websockets.connect(
        websocket_url,
        origin=websockets.Origin(address),
        additional_headers=headers,
        max_size=None,
        open_timeout=60,
        close_timeout=0.2,
    ) as socket:
        yield WebsocketClient(socket)
