"""Which websocket messages of Streamlit pass."""

from __future__ import annotations

import asyncio

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLsRequest

from app.http.websocket_filter import filter_messages
from tests.support.iap_signer import NORA


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        (BackMsg(clear_cache=True), False),
        (BackMsg(set_run_on_save=True), False),
        (BackMsg(debug_shutdown_runtime=True), False),
        (BackMsg(load_git_info=True), False),
        (BackMsg(file_urls_request=FileURLsRequest(request_id="x")), False),
        (BackMsg(stop_script=True), True),
        (BackMsg(app_heartbeat=True), True),
        (BackMsg(rerun_script=ClientState(query_string="date=2025-12-29")), True),
    ],
)
def test_the_websocket_passes_only_needed_messages(message, passes):
    async def receive_two() -> list[bytes | None]:
        incoming = iter([message.SerializeToString(), b"\xff not a message", None])

        async def receive() -> dict:
            return {"type": "websocket.receive", "bytes": next(incoming)}

        filtered = filter_messages(receive, NORA)
        return [(await filtered())["bytes"] for _ in range(2)]

    first, second = asyncio.run(receive_two())
    assert (first == message.SerializeToString()) is passes
    assert second == (b"\xff not a message" if passes else None), "what is no message is refused by Streamlit itself"
