"""What a browser may send over its websocket: messages that a page needs, none that reaches beyond its own session, none too often."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState

logger = logging.getLogger(__name__)

# Streamlit would obey the others too: any session's clear_cache empties the caches of all, and everything is read and billed again.
ALLOWED_MESSAGES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "deferred_file", "dataframe_chunk"})
COSTLY_MESSAGES = frozenset({"rerun_script", "deferred_file", "dataframe_chunk"})  # each takes a turn
# A pressed button is in one message alone; every other value of a page is in each later message too.
PRESSED_VALUES = frozenset({"trigger_value", "string_trigger_value", "chat_input_value", "json_trigger_value"})
MAX_WAITING = 20  # messages of a websocket; while so many wait, no more are read from it


@dataclass(frozen=True)
class _Frame:
    """A message, its type, and what it asks to rerun where it is a rerun. What is no message of Streamlit's has no type."""

    message: Message
    type: str = ""
    rerun: ClientState | None = None


class MessageFilter:
    """`receive` of one websocket, without messages that no page of ours sends.

    A costly message waits until `take_turn` returns. Reruns that come meanwhile replace the waiting one where nothing
    of it would be lost, so that of a flood the newest is run.
    """

    def __init__(self, receive: Receive, user: str, take_turn: Callable[[], Awaitable[None]]) -> None:
        self._receive, self._user, self._take_turn = receive, user, take_turn
        self._waiting: deque[_Frame] = deque()
        self._read: asyncio.Future[_Frame] | None = None  # the next frame, being read
        self._ignored: set[str] = set()  # types; each is logged once

    async def __call__(self) -> Message:
        """The next message that Streamlit may have."""
        while not self._waiting:
            await self._read_on(None)
        if self._waiting[0].type in COSTLY_MESSAGES:
            await self._wait_for_turn()
        return self._waiting.popleft().message

    def close(self) -> None:
        """Read no more."""
        if self._read is not None:
            self._read.cancel()

    async def _wait_for_turn(self) -> None:
        turn = asyncio.ensure_future(self._take_turn())
        try:
            while not turn.done() and self._waiting[0].type in COSTLY_MESSAGES:
                await self._read_on(turn)
        finally:
            turn.cancel()

    async def _read_on(self, turn: asyncio.Future[None] | None) -> None:
        """Read one frame, or return when it is this websocket's turn."""
        has_room = len(self._waiting) < MAX_WAITING
        if self._read is None and has_room:
            self._read = asyncio.ensure_future(self._next_allowed())
        await asyncio.wait([f for f in (turn, self._read) if f is not None], return_when=asyncio.FIRST_COMPLETED)
        if self._read is not None and self._read.done():
            frame, self._read = self._read.result(), None
            while self._waiting and _replaces(frame, self._waiting[-1]):
                self._waiting.pop()
            self._waiting.append(frame)

    async def _next_allowed(self) -> _Frame:
        while True:
            frame = _parse(await self._receive())
            if not frame.type or frame.type in ALLOWED_MESSAGES:
                return frame
            if frame.type not in self._ignored:
                self._ignored.add(frame.type)
                logger.warning("Ignored: %s sends %s over the websocket", self._user, frame.type)


def _replaces(later: _Frame, earlier: _Frame) -> bool:
    """Whether a frame makes an earlier one that still waits needless: a rerun of as much with newer values, or the end."""
    if later.message["type"] == "websocket.disconnect":
        return True
    if later.rerun is None or earlier.rerun is None or earlier.rerun.is_history_navigation:
        return False
    same_page = later.rerun.page_script_hash == earlier.rerun.page_script_hash  # else a click on a page's link is lost
    pressed = any(state.WhichOneof("value") in PRESSED_VALUES for state in earlier.rerun.widget_states.widgets)
    return same_page and later.rerun.fragment_id in ("", earlier.rerun.fragment_id) and not pressed


def _parse(message: Message) -> _Frame:
    """A frame; Streamlit itself closes the websocket over what is no message of its own."""
    data = message.get("bytes")
    try:
        parsed = BackMsg.FromString(data) if data is not None else None
    except DecodeError:
        parsed = None
    if parsed is None:
        return _Frame(message)
    kind = str(parsed.WhichOneof("type") or "nothing")
    if kind == "backend_operation_request":
        return _Frame(message, str(parsed.backend_operation_request.WhichOneof("payload") or kind))
    return _Frame(message, kind, parsed.rerun_script if kind == "rerun_script" else None)
