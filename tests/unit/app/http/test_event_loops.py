"""Open sessions do not cost file descriptors beside their sockets."""

from __future__ import annotations

import asyncio
import os

import pytest

from app.http.event_loops import ScriptLoopPolicy


@pytest.fixture(autouse=True)
def script_loop_policy():
    earlier = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(ScriptLoopPolicy())
    yield
    asyncio.set_event_loop_policy(earlier)


async def open_loops(count: int) -> tuple[int, list[asyncio.AbstractEventLoop]]:
    """What Streamlit does for each session: how many file descriptors that takes, and the loops."""
    asyncio.new_event_loop()
    before = len(os.listdir("/proc/self/fd"))
    loops = [asyncio.new_event_loop() for _ in range(count)]
    return len(os.listdir("/proc/self/fd")) - before, loops


def test_a_session_opens_no_file_descriptor_for_its_loop():
    opened, _ = asyncio.run(open_loops(300))
    assert opened == 0


def test_the_end_of_one_session_leaves_the_loop_to_the_others():
    _, (first, second) = asyncio.run(open_loops(2))
    first.close()
    assert not second.is_closed()
    second.run_until_complete(asyncio.sleep(0))


def test_outside_the_server_every_loop_is_another_one():
    loops = [asyncio.new_event_loop() for _ in range(2)]
    assert loops[0] is not loops[1]
    for loop in loops:
        loop.close()
        assert loop.is_closed()
