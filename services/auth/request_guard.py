"""Refuses what a web page of another origin makes a browser send: a local port is reachable for every page that is open.

A browser sends a `text/plain` POST to any address without asking, and after DNS rebinding it takes 127.0.0.1 for the
page's own host. So the Host must be this server's own, Origin and Sec-Fetch-Site must not be another page's, and a body
must be declared as what is expected.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.settings import LOOPBACK_HOSTS

# What a page may send to a foreign address without a preflight request (https://fetch.spec.whatwg.org/#cors-safelisted-request-header).
FORM_TYPES = frozenset({"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"})
# Cloud Scheduler declares the second where its job sets no type, whatever the body is.
JSON_TYPES = frozenset({"application/json", "application/octet-stream"})
MAX_BODY_BYTES = 4 * 1024 * 1024  # a /start that names 30,000 players has 3 MB
Refusal = tuple[int, str]  # HTTP status and a sentence
_DEFAULT_PORTS = {"http": 80, "https": 443}


class RequestGuard:
    """ASGI middleware. `local` means that the server listens on this machine only, so that its Host is one of LOOPBACK_HOSTS.

    A body is JSON, or undeclared; under `upload_path` it is anything that a page cannot send. `max_body_bytes`: None for no limit.
    """

    def __init__(
        self, app: ASGIApp, local: bool = True, upload_path: str = "", max_body_bytes: int | None = MAX_BODY_BYTES
    ) -> None:
        self._app, self._local, self._upload_path, self._max_body_bytes = app, local, upload_path, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with a status and a sentence."""
        if scope["type"] in ("http", "websocket") and (refusal := self._find_refusal(scope)) is not None:
            status, sentence = refusal
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": sentence[:120]})
            else:
                await JSONResponse({"error": sentence}, status)(scope, receive, send)
            return
        if self._max_body_bytes is None:
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, _limit_body(receive, self._max_body_bytes), send)
        except _BodyTooLarge:
            sentence = f"The body is larger than {self._max_body_bytes:,} bytes."
            await JSONResponse({"error": sentence}, 413, {"connection": "close"})(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._local and not is_local_host(host, scope["server"][1]):
            return 403, f"This server is for this machine only and does not answer to the host {host[:100]!r}."
        origin = headers.get("origin")
        if origin is not None and not is_same_origin(origin, host):
            return 403, f"A page of {origin[:100]!r} may not send requests to this server."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "A page of another site may not send requests to this server."
        return self._find_type_refusal(headers.get("content-type"), scope["path"])

    def _find_type_refusal(self, content_type: str | None, path: str) -> Refusal | None:
        if content_type is None:
            return None
        essence = content_type.partition(";")[0].strip().lower()
        is_upload = bool(self._upload_path) and path.startswith(self._upload_path)
        if essence in FORM_TYPES or (essence not in JSON_TYPES and not is_upload):
            return 415, f"Send Content-Type: application/json, not {essence[:100]!r}."
        return None


class _BodyTooLarge(Exception):
    """More was received than a body may have."""


def _limit_body(receive: Receive, max_bytes: int) -> Receive:
    """`receive` that raises _BodyTooLarge once a request's body, declared or not, has more than `max_bytes`."""
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _BodyTooLarge
        return message

    return receive_limited


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an Origin header is of the server that a Host header names: in any case, its scheme's own port given or not."""
    try:
        page, server = urlsplit(origin), urlsplit(f"//{host}")
        port = _DEFAULT_PORTS[page.scheme]
        return (
            (page.hostname, page.port or port) == (server.hostname, server.port or port)
            and page.hostname is not None
            and page.username is server.username is None
        )
    except (ValueError, KeyError):  # no host name, port or scheme at all
        return False


def is_local_host(host: str, port: int) -> bool:
    """Whether a Host header names this machine, and the port on which it was received."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in LOOPBACK_HOSTS and (parts.port or 80) == port and parts.username is None
    except ValueError:  # no host name or port at all
        return False
