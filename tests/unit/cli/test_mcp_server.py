"""The server for programs: reads only, a limited number of calls, errors as sentences."""

from __future__ import annotations

import anyio
import pytest
from mcp import Client

from services.cli.mcp_server import MAX_CALLS, WINDOW_S, CallLimit, RateLimited, build_server
from tests.support.alert_factories import NOW as NOW
from tests.unit.alerts.test_alert_actions import ALERT_ID


def call(terminal, limit, *calls):
    """What a client gets for these calls, one after the other."""

    async def talk():
        async with Client(build_server(terminal, limit)) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(talk)


def test_every_tool_is_marked_as_reading_only(terminal):
    async def list_tools():
        async with Client(build_server(terminal, CallLimit())) as client:
            return (await client.list_tools()).tools

    tools = anyio.run(list_tools)
    assert len(tools) == 10
    for tool in tools:
        assert tool.annotations.read_only_hint is True
        assert tool.description


def test_a_tool_answers_the_report_of_its_command(terminal):
    (answer,) = call(terminal, CallLimit(), ("alerts", {}))
    assert not answer.is_error
    assert answer.structured_content["alerts"][0]["alert"] == ALERT_ID


@pytest.mark.parametrize(
    ("tool", "arguments", "text"),
    [
        ("judge_night", {"game_date": "tonight"}, "is not a game date"),
        ("judge_night", {"game_date": "2031-01-01"}, "is in the future"),
        ("logs", {"search": "nothing"}, "is not one search"),
        ("coverage", {"nights": 5000}, "Ask for 1 to"),
    ],
)
def test_what_cannot_be_meant_is_an_error_in_one_sentence(terminal, tool, arguments, text):
    (answer,) = call(terminal, CallLimit(), (tool, arguments))
    assert answer.is_error
    assert text in answer.content[0].text
    assert "Traceback" not in answer.content[0].text


def test_more_calls_than_the_limit_are_refused_in_one_sentence(terminal):
    answers = call(terminal, CallLimit(), *[("alerts", {})] * (MAX_CALLS + 1))
    assert [answer.is_error for answer in answers] == [False] * MAX_CALLS + [True]
    assert f"At most {MAX_CALLS} calls a minute" in answers[-1].content[0].text


def test_a_call_is_possible_again_once_the_first_is_a_minute_old():
    now = 0.0
    limit = CallLimit(lambda: now)
    for _ in range(MAX_CALLS):
        limit.take()
        now += 1
    with pytest.raises(RateLimited, match=f"in {WINDOW_S - MAX_CALLS:.0f} s"):
        limit.take()
    now = WINDOW_S
    limit.take()
    with pytest.raises(RateLimited):
        limit.take()
