"""What a browser may say over its websocket: what a page needs, and nothing that reaches beyond its own session."""

from __future__ import annotations

import logging

from google.protobuf.message import DecodeError
from starlette.types import Message, Receive
from streamlit.proto.BackMsg_pb2 import BackMsg

log_line = logging.getLogger(__name__)

# Streamlit would obey the others too: clear_cache empties everybody's answers, whoever asks, and all is read and billed anew.
NEEDED = frozenset({"rerun_script", "stop_script", "app_heartbeat", "backend_operation_request"})


def only_needed(receive: Receive, who: str) -> Receive:
    """The same messages, without those that no page of ours sends."""

    async def filtered() -> Message:
        while True:
            message = await receive()
            said = _kind(message.get("bytes"))
            if said in NEEDED:
                return message
            log_line.warning("Ignored: %s sent %s over the websocket", who, said)

    return filtered


def _kind(data: bytes | None) -> str:
    """What a frame asks for. What is no frame of Streamlit's is its own to refuse; so it passes as a rerun."""
    if not data:
        return "rerun_script"
    try:
        return str(BackMsg.FromString(data).WhichOneof("type"))
    except DecodeError:
        return "rerun_script"
