"""What a page of another origin can make a browser send, and what tools of this machine send."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from services.auth.request_guard import RequestGuard, is_local_host

PORT = 9050


def exchange(path: str = "/start", local: bool = True, kind: str = "http", **headers: str) -> list[Message]:
    """What is sent in answer to a POST through the guard; an application behind it answers 200 to a body that it has received."""
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse((await receive())["body"])({**scope, "type": "http"}, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"passed on"}

    async def send(message: Message) -> None:
        sent.append(message)

    fields = {"host": f"127.0.0.1:{PORT}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": kind,
        "method": "POST",
        "path": path,
        "server": ("127.0.0.1", PORT),
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
    }
    asyncio.run(RequestGuard(app, local, "/upload/")(scope, receive, send))
    return sent


def answer(path: str = "/start", local: bool = True, kind: str = "http", **headers: str) -> int:
    """The status of a POST through the guard; of a websocket, its close code. 200 when it was passed on."""
    first = exchange(path, local, kind, **headers)[0]
    return int(first.get("status") or first["code"])


def test_a_refusal_is_one_sentence_as_json_and_as_the_reason_of_a_closed_websocket():
    sentence = "This server is for this machine only and does not answer to the host 'evil.example'."
    _, body = exchange(host="evil.example")
    assert json.loads(body["body"]) == {"error": sentence}
    assert exchange(host="evil.example", kind="websocket") == [
        {"type": "websocket.close", "code": 1008, "reason": sentence}
    ]
    (closed,) = exchange(host="e" * 200, kind="websocket")
    assert len(closed["reason"]) == 120, "a close frame has room for 123 bytes"


def test_a_guard_is_for_this_machine_unless_it_is_told_otherwise():
    async def refuse_to_be_called(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("passed on")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/upload/x", "server": ("127.0.0.1", PORT), "headers": [(b"content-type", b"*/*")]}
    for host, status in ((b"evil.example", 403), (b"127.0.0.1:9050", 415)):
        headers = [*scope["headers"], (b"host", host)]
        asyncio.run(RequestGuard(refuse_to_be_called)({**scope, "headers": headers}, None, send))  # type: ignore[arg-type]
        assert sent.pop(0)["status"] == status, "nowhere is an upload taken without a path for uploads"
        sent.clear()


def test_a_lifespan_event_is_passed_on_without_a_host():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(RequestGuard(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


def test_a_request_without_a_host_is_refused_with_the_same_sentence():
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "server": ("127.0.0.1", PORT), "headers": []}
    asyncio.run(RequestGuard(None)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["reason"] == "This server is for this machine only and does not answer to the host ''."


def test_a_host_without_a_port_is_one_on_port_80():
    assert is_local_host("localhost", 80)
    assert not is_local_host("localhost", 81)


@pytest.mark.parametrize("host", ["127.0.0.1:9050", "localhost:9050", "[::1]:9050", "LOCALHOST:9050"])
def test_this_machine_is_answered_under_its_own_names(host):
    assert answer(host=host, content_type="application/json") == 200
    assert (
        answer(host=host, origin=f"http://{host}", sec_fetch_site="same-origin", content_type="application/json") == 200
    )


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:9050",
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:9051",
        "127.0.0.1.evil.example:9050",
        "",
        "[::1",
        "a@127.0.0.1:9050",
    ],
)
def test_another_host_is_refused(host):
    assert answer(host=host) == 403
    assert answer(host=host, kind="websocket") == 1008
    assert not is_local_host(host, PORT)


def test_on_cloud_run_the_host_is_its_own_and_pages_are_still_refused():
    assert answer(host="service-1.a.run.app", local=False) == 200
    assert answer(host="service-1.a.run.app", local=False, origin="https://evil.example") == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "null", "http://127.0.0.1"])
def test_a_page_of_another_origin_is_refused(origin):
    assert answer(origin=origin, content_type="application/json") == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_the_browser_calls_foreign_is_refused(site):
    assert answer(sec_fetch_site=site) == 403
    assert answer(sec_fetch_site="none") == 200, "an address that a person typed"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/plain;charset=UTF-8", "text/plain; x=application/json", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=x", "application/jsonx", "*/*", ""],
)  # fmt: skip
def test_a_body_that_is_not_json_is_refused(content_type):
    assert answer(content_type=content_type) == 415


def test_json_in_any_spelling_is_taken_and_none_is_needed():
    assert answer(content_type="Application/JSON; charset=utf-8") == 200
    assert answer() == 200


def test_an_upload_may_be_of_any_type_that_a_page_cannot_send():
    assert answer("/upload/jobs", content_type="multipart/related; boundary=x") == 200
    assert answer("/upload/jobs", content_type="*/*") == 200
    assert answer("/upload/jobs", content_type="text/plain") == 415
