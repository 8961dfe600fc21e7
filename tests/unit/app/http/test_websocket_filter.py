"""Which websocket messages of Streamlit pass, and when: a flood of reruns becomes few, and nothing a person did is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import (
    BackendOperationRequest,
    BackMsg,
    DeferredFileRequestPayload,
    InstallSkillsRequestPayload,
)
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLsRequest

from app.http.websocket_filter import MAX_WAITING, MessageFilter
from tests.support.iap_signer import NORA

DISCONNECT = {"type": "websocket.disconnect", "code": 1001}


def operation(**payload: Any) -> BackMsg:
    return BackMsg(backend_operation_request=BackendOperationRequest(request_id="x", **payload))


def rerun(query: str = "", fragment: str = "", pressed: bool = False, **state: Any) -> BackMsg:
    client_state = ClientState(query_string=query, fragment_id=fragment, **state)
    if pressed:
        client_state.widget_states.widgets.add(id="button", trigger_value=True)
    return BackMsg(rerun_script=client_state)


class Browser:
    """One websocket: what the browser has sent, how much of it was read, and whose turn it is."""

    def __init__(self, *messages: BackMsg) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.turn, self.turns_taken, self.read = asyncio.Event(), 0, 0
        for message in messages:
            self.send(message)
        self.passed = MessageFilter(self._receive, NORA, self._take_turn)

    def send(self, message: BackMsg) -> None:
        self.sent.put_nowait({"type": "websocket.receive", "bytes": message.SerializeToString()})

    async def _receive(self) -> dict[str, Any]:
        message = await self.sent.get()
        self.read += 1
        return message

    async def _take_turn(self) -> None:
        await self.turn.wait()
        self.turns_taken += 1

    async def pass_next(self) -> BackMsg:
        return BackMsg.FromString((await asyncio.wait_for(self.passed(), 1))["bytes"])


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scene(), 5))


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        (BackMsg(clear_cache=True), False),
        (BackMsg(set_run_on_save=True), False),
        (BackMsg(debug_shutdown_runtime=True), False),
        (BackMsg(debug_disconnect_websocket=True), False),
        (BackMsg(load_git_info=True), False),
        (BackMsg(file_urls_request=FileURLsRequest(request_id="x")), False),
        (operation(install_skills=InstallSkillsRequestPayload()), False),
        (operation(), False),
        (BackMsg(), False),
        (operation(deferred_file=DeferredFileRequestPayload(file_id="x")), True),
        (BackMsg(stop_script=True), True),
        (BackMsg(app_heartbeat=True), True),
        (rerun("date=2025-12-29"), True),
    ],
)
def test_only_messages_that_a_page_needs_pass(message, passes):
    async def scene() -> None:
        browser = Browser(message, BackMsg(stop_script=True))
        browser.turn.set()
        assert await browser.pass_next() == (message if passes else BackMsg(stop_script=True))

    play(scene)


@pytest.mark.parametrize("frame", [{"bytes": b"\xff not a message"}, {"text": "no bytes"}])
def test_what_is_no_message_is_left_to_streamlit_to_refuse(frame):
    async def scene() -> None:
        browser = Browser()
        browser.sent.put_nowait({"type": "websocket.receive", **frame})
        assert await browser.passed() == {"type": "websocket.receive", **frame}

    play(scene)


def test_what_is_ignored_is_logged_once_however_often_it_is_sent(caplog):
    async def scene() -> None:
        browser = Browser(*[BackMsg(clear_cache=True)] * 500, BackMsg(stop_script=True))
        await browser.pass_next()

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert [record.getMessage() for record in caplog.records] == [
        f"Ignored: {NORA} sends clear_cache over the websocket"
    ]


def test_a_flood_of_reruns_becomes_one_and_it_is_the_newest():
    async def scene() -> None:
        browser = Browser(*[rerun(f"n={number}") for number in range(2_000)])
        waiting = asyncio.create_task(browser.pass_next())
        while browser.read < 2_000:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        browser.turn.set()
        assert (await waiting).rerun_script.query_string == "n=1999"
        assert browser.turns_taken == 1

    play(scene)


def test_of_what_cannot_be_replaced_only_a_few_messages_are_read_while_they_wait():
    async def scene() -> None:
        browser = Browser(*[rerun(f"n={number}", pressed=True) for number in range(500)])
        waiting = asyncio.create_task(browser.pass_next())
        await asyncio.sleep(0.05)
        assert browser.read == MAX_WAITING
        browser.turn.set()
        passed = [await waiting, *[await browser.pass_next() for _ in range(499)]]
        assert [m.rerun_script.query_string for m in passed] == [f"n={number}" for number in range(500)]
        assert browser.turns_taken == 500

    play(scene)


@pytest.mark.parametrize(
    ("earlier", "later", "kept"),
    [
        (rerun("a"), rerun("b"), False),
        (rerun("a", fragment="f"), rerun("b"), False),  # the whole page has the fragment in it
        (rerun("a", fragment="f"), rerun("b", fragment="f"), False),
        (rerun("a"), rerun("b", fragment="f"), True),
        (rerun("a", fragment="g"), rerun("b", fragment="f"), True),
        (rerun("a", pressed=True), rerun("b"), True),
        (rerun("a", is_history_navigation=True), rerun("b"), True),
        (
            rerun("a", page_script_hash="runs"),
            rerun("b", page_script_hash="overview"),
            True,
        ),  # a click, and a refresh behind it
        (rerun("a"), BackMsg(app_heartbeat=True), True),
        (rerun("a"), operation(deferred_file=DeferredFileRequestPayload(file_id="x")), True),
    ],
)
def test_a_waiting_rerun_is_replaced_only_where_nothing_of_it_is_lost(earlier, later, kept):
    async def scene() -> None:
        browser = Browser(earlier, later)
        waiting = asyncio.create_task(browser.pass_next())
        while browser.read < 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        browser.turn.set()
        assert await waiting == (earlier if kept else later)
        if kept:
            assert await browser.pass_next() == later

    play(scene)


def test_a_page_that_is_closed_while_it_waits_leaves_at_once_and_takes_no_turn():
    async def scene() -> None:
        browser = Browser(rerun("a"), rerun("b", pressed=True))
        browser.sent.put_nowait(DISCONNECT)
        assert await asyncio.wait_for(browser.passed(), 1) == DISCONNECT
        browser.turn.set()
        await asyncio.sleep(0.01)
        assert browser.turns_taken == 0

    play(scene)


def test_a_closed_filter_reads_no_more():
    async def scene() -> None:
        browser = Browser(rerun("a"))
        waiting = asyncio.create_task(browser.pass_next())
        await asyncio.sleep(0.01)
        browser.turn.set()
        await waiting
        browser.passed.close()
        await asyncio.sleep(0.01)
        browser.send(rerun("b"))
        await asyncio.sleep(0.01)
        assert browser.read == 1

    play(scene)
