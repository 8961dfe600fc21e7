"""Checks each call that a sandbox gets, and its answer, by Google's discovery documents."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sandbox.bigquery.uploads import parse_multipart
from tests.support.discovery import Method, find_method

GOOGLE_PATHS = ("/bigquery/", "/upload/", "/v1/", "/v2/", "/apis/")  # the others are the sandbox's own

# What Google's own clients send though no document has it, and the real services accept.
KNOWN_DEVIATIONS = {
    r"bigquery\.jobs\.(get|cancel) request projection: there is no such": "google-cloud-bigquery asks every job so",
    r"request [\w.]+: '(True|False)' is no boolean": "google-cloud-bigquery writes Python's booleans into addresses",
    r"request [\w.\[\]]+: null": "clients send null for what is not set, as protocol buffers' JSON allows",
    r"bigquery\.jobs\.\w+ request .*parameterValue\.value: a (float|int) is no string": (
        "google-cloud-bigquery sends a FLOAT64 parameter as a number"
    ),
    r"bigquery\.datasets\.insert request projectId: there is no such": "@google-cloud/bigquery repeats the project in the body",
    r"logging\.entries\.write request dry_run: there is no such": "google-cloud-logging writes dryRun as Python spells it",
}


@dataclass(frozen=True)
class Deviation:
    """What a document does not allow, of a method's request or response."""

    method: str
    direction: str
    problem: str

    def __str__(self) -> str:
        return f"{self.method} {self.direction} {self.problem}"


class DiscoveryRecorder:
    """Deviations of all sandboxes that it is wrapped around, each once.

    A request counts when the sandbox accepted it: what Google would refuse, it refuses, too. An error's answer has Google's form.
    """

    def __init__(self) -> None:
        self.methods: set[str] = set()
        self._deviations: dict[Deviation, None] = {}

    def take(self) -> list[Deviation]:
        """The deviations since the last time."""
        deviations, self._deviations = list(self._deviations), {}
        return deviations

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """The application, recorded."""

        async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or not scope["path"].startswith(GOOGLE_PATHS):
                return await app(scope, receive, send)
            call = _Call(scope)

            async def record_receive() -> Message:
                message = await receive()
                call.request += message.get("body", b"")
                return message

            async def record_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    call.status, call.response_headers = message["status"], Headers(raw=message["headers"])
                call.response += message.get("body", b"")
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self._check(call)  # before the client has it, so that a test that ends then knows
                await send(message)

            return await app(scope, record_receive, record_send)

        return recorded

    def _check(self, call: _Call) -> None:
        method = find_method(call.scope["method"], call.scope["path"])
        if call.status >= 400:
            return self._add(method.id if method else "", "response", call.error_problems())
        if method is None:
            where = f"{call.scope['method']} {call.scope['path']}"
            return self._add(where, "request", ["there is no such method"])
        self.methods.add(method.id)
        self._add(method.id, "request", [*method.parameter_problems(call.query), *call.request_problems(method)])
        return self._add(method.id, "response", call.response_problems(method))

    def _add(self, method: str, direction: str, problems: list[str]) -> None:
        for deviation in (Deviation(method, direction, problem) for problem in problems):
            if not any(re.search(known, str(deviation)) for known in KNOWN_DEVIATIONS):
                self._deviations[deviation] = None


class _Call:
    """One request and its answer."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        self.status, self.response_headers = 0, Headers()
        self.request, self.response = b"", b""

    @property
    def enum_numbers(self) -> bool:
        return "enum-encoding=int" in dict(self.query).get("$alt", "")

    def request_problems(self, method: Method) -> list[str]:
        content_type = Headers(scope=self.scope).get("content-type", "")
        if not self.request or (self.scope["method"] == "PUT" and self.scope["path"].startswith("/upload/")):
            return []
        body = parse_multipart(content_type, self.request)[0] if "multipart" in content_type else _parse(self.request)
        return method.body_problems("request", body, self.enum_numbers)

    def response_problems(self, method: Method) -> list[str]:
        if self.status == 308 or (self.scope["path"].startswith("/upload/") and "location" in self.response_headers):
            return []
        if not self.response:
            return [] if "response" not in method.resource else ["there is no body"]
        if not self.response_headers.get("content-type", "").startswith("application/json"):
            return ["the body is no JSON"]
        return method.body_problems("response", _parse(self.response), self.enum_numbers)

    def error_problems(self) -> list[str]:
        """Where an error is not in the form that all of Google's APIs give it: https://google.aip.dev/193."""
        body = _parse(self.response)
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return [f"{self.status} without an error in its body"]
        if error.get("code") != self.status:
            return [f"{self.status} with the code {error.get('code')!r} in its body"]
        return [] if isinstance(error.get("message"), str) else [f"{self.status} without a message"]


def _parse(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
    return parsed
