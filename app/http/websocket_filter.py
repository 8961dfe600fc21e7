"""Which messages a browser may send over its websocket: those a page needs, none that reaches beyond its own session."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive
from streamlit.proto.BackMsg_pb2 import BackMsg

logger = logging.getLogger(__name__)

# Streamlit would obey the others too: any session's clear_cache empties the caches of all, and everything is read and billed again.
ALLOWED_MESSAGES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "backend_operation_request"})


def filter_messages(receive: Receive, user: str) -> Receive:
    """`receive` without the messages that no page of ours sends."""

    async def filtered() -> Message:
        while True:
            message = await receive()
            message_type = _message_type(message.get("bytes"))
            if message_type in ALLOWED_MESSAGES:
                return message
            logger.warning("Ignored: %s sent %s over the websocket", user, message_type)

    return filtered


def _message_type(data: bytes | None) -> str:
    """The type of a frame. Streamlit itself refuses what is no frame of its own, so that passes as a rerun."""
    if not data:
        return "rerun_script"
    try:
        return str(BackMsg.FromString(data).WhichOneof("type"))
    except DecodeError:
        return "rerun_script"
