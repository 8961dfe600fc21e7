"""What a browser may say over its websocket: what a page needs, and nothing that reaches beyond its own session."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive
from streamlit.proto.BackMsg_pb2 import BackMsg

logger = logging.getLogger(__name__)

# Streamlit would obey the others too: clear_cache empties everybody's answers, whoever asks, and all is read and billed anew.
ALLOWED_MESSAGES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "backend_operation_request"})


def filter_messages(receive: Receive, user: str) -> Receive:
    """The same messages, without those that no page of ours sends."""

    async def filtered() -> Message:
        while True:
            message = await receive()
            message_type = _message_type(message.get("bytes"))
            if message_type in ALLOWED_MESSAGES:
                return message
            logger.warning("Ignored: %s sent %s over the websocket", user, message_type)

    return filtered


def _message_type(data: bytes | None) -> str:
    """What a frame asks for. What is no frame of Streamlit's is its own to refuse; so it passes as a rerun."""
    if not data:
        return "rerun_script"
    try:
        return str(BackMsg.FromString(data).WhichOneof("type"))
    except DecodeError:
        return "rerun_script"
