"""What a web page, a stranger or a faulty client may send to the coordinator and the worker: refused, and nothing was begun."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from starlette.types import Message

from services.auth.request_guard import MAX_BODY_BYTES
from services.pipeline.coordinator import http_api
from services.pipeline.coordinator.http_api import CoordinatorApi
from services.pipeline.worker import app as worker_app
from services.pipeline.worker.app import Worker

PATHS = ["/start", "/resume", "/stop", "/predict"]
DEEP = b"[" * 200_000


class Reached(Exception):
    """The request has come through to what acts on it."""


class Untouched:
    """A coordinator's API, or a worker, whose every use is an error."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def reached(*_: object, **__: object) -> Any:
            raise Reached(name)

        return reached


def send(path: str, *body: bytes, local: bool = True, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of a POST in these parts; raises Reached when it comes through."""
    create_app: Callable[..., Any] = worker_app.create_app if path == "/predict" else http_api.create_app
    app = create_app(cast(Worker, Untouched()) if path == "/predict" else cast(CoordinatorApi, Untouched()), local)
    fields = {"host": "127.0.0.1:8080", "content-type": "application/json"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "server": ("127.0.0.1", 8080),
        "client": ("192.0.2.1", 1),
    }
    parts, sent = list(body or [b"{}"]), list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def collect(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, collect))
    return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize("path", PATHS)
def test_what_is_sent_as_it_should_be_comes_through(path):
    body = b'{"batch_id": "batch_2025-12-29_1767077100000"}'
    with pytest.raises(Reached):
        send(path, body)
    with pytest.raises(Reached):
        send(path, body, origin="http://127.0.0.1:8080", sec_fetch_site="same-origin")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"origin": "https://evil.example"}),
        (403, {"origin": "null"}),
        (403, {"origin": "http://127.0.0.1:3000"}),
        (403, {"sec_fetch_site": "cross-site"}),
        (403, {"sec_fetch_site": "same-site"}),
        (403, {"host": "evil.example:8080"}),  # 127.0.0.1 by its own DNS server
        (403, {"host": "evil.example:8080", "origin": "http://evil.example:8080"}),
        (403, {"host": "127.0.0.1.evil.example:8080"}),
        (403, {"host": "[::1"}),
        (415, {"content_type": "text/plain"}),
        (415, {"content_type": "text/plain;application/json"}),
        (415, {"content_type": "application/x-www-form-urlencoded"}),
        (415, {"content_type": "multipart/form-data; boundary=x"}),
    ],
)
def test_a_web_page_begins_nothing(path, status, headers):
    assert send(path, **headers)[0] == status


@pytest.mark.parametrize("path", PATHS)
def test_on_cloud_run_a_web_page_begins_nothing_either(path):
    for headers in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}):
        assert send(path, local=False, host="service-1.a.run.app", **headers)[0] == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "parts", [(b"[" + b" " * MAX_BODY_BYTES,), (b"[", *[b" " * 65_536] * (MAX_BODY_BYTES // 65_536))]
)
def test_a_body_without_end_is_refused_whether_its_length_is_declared_or_not(path, parts):
    status, answer = send(path, *parts, b"]")
    assert (status, answer) == (413, {"error": "The body is larger than 4,194,304 bytes."})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [DEEP, b'{"a":' * 100_000, b"9" * 100_000, b"\xff\xfe", b"\x00"], ids=len)
def test_a_body_that_breaks_parsers_is_refused_with_a_sentence(path, body):
    assert send(path, body) == (400, {"error": "The body is not JSON."})


@pytest.mark.parametrize("path", ["/start", "/predict"])
def test_a_body_of_the_largest_night_comes_through(path):
    players = json.dumps({"players": ["a" * 100] * 30_000}).encode()
    with pytest.raises(Reached):
        send(path, players)
