"""Checks every request first: only what the pages need is reachable, only from our own origin, only when signed in."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.index_page import render_index
from app.http.rerun_limits import RerunLimits
from app.http.visitor import SIGNED_OUT, oidc_visitor
from app.http.websocket_filter import MessageFilter
from services.auth import sign_in
from services.auth.request_guard import is_same_origin
from services.auth.sign_in import KeySource
from services.core.clock import Clock, SystemClock
from services.core.errors import OnCallError
from services.core.settings import Settings

logger = logging.getLogger(__name__)

HEALTH_PATH, STREAM_PATH = "/_stcore/health", "/_stcore/stream"
# Streamlit's own paths that a page needs; its metrics, uploads, components, script checks and agent API are closed.
ALLOWED_INTERNAL_PATHS = frozenset({HEALTH_PATH, STREAM_PATH, "/_stcore/host-config"})
INTERNAL_PATHS = re.compile(r"/(_stcore|component|app)(/|$)")
# A browser tab has one websocket, and a thread while its page is rendered.
MAX_WEBSOCKETS = 300
MAX_WEBSOCKETS_PER_USER = 40
MAX_WEBSOCKETS_SIGNED_OUT = 100  # the rest is for who is signed in
WS_POLICY_VIOLATION, WS_TRY_AGAIN_LATER = 1008, 1013


class RequestRejected(OnCallError):
    """A rejected request: its HTTP status, and the message for its sender."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


class AccessMiddleware:
    """ASGI middleware around Streamlit's server."""

    def __init__(
        self, app: ASGIApp, settings: Settings, keys: KeySource, oidc: bool = False, clock: Clock | None = None
    ) -> None:
        self._app, self._settings, self._keys, self._clock = app, settings, keys, clock or SystemClock()
        self._oidc = oidc
        index = Path(streamlit.__file__).parent / "static" / "index.html"
        self._headers = security_headers(render_index(index.read_text(encoding="utf-8")))
        self._sockets: Counter[str] = Counter()
        self._reruns = RerunLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            user = await self._authenticate(scope)
        except OnCallError as error:
            await self._reject(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._serve_websocket(user, scope, receive, send)
        else:
            await self._app(scope, receive, self._with_security_headers(send))

    async def _authenticate(self, scope: Scope) -> str:
        """The user of a request; raises RequestRejected, sign_in.Unauthenticated or sign_in.JwksUnavailable."""
        headers, path = Headers(scope=scope), scope["path"]
        if INTERNAL_PATHS.match(path) and path not in ALLOWED_INTERNAL_PATHS:
            raise RequestRejected(404, "Not found.")
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            raise RequestRejected(405, "Method not allowed.")
        if path == HEALTH_PATH:  # Cloud Run probes it from inside, without a sign-in
            return "health"
        self._check_host_and_origin(headers, scope["type"] == "websocket")
        if not self._settings.iap_audience:
            if self._oidc and scope["type"] == "websocket":
                return oidc_visitor(scope, self._settings, self._clock.now())
            return headers.get("origin", "here")
        header_items = list(headers.items())
        viewer = await run_in_threadpool(
            sign_in.verify_assertion, header_items, self._settings, self._keys, self._clock.now()
        )
        return viewer.email

    def _check_host_and_origin(self, headers: Headers, websocket: bool) -> None:
        host, allowed_hosts = headers.get("host", ""), self._settings.dashboard_hosts
        if allowed_hosts and _host_name(host) not in allowed_hosts:
            raise RequestRejected(421, "Unknown host.")
        origin = headers.get("origin")
        if (websocket or origin) and not is_same_origin(origin or "", host):
            raise RequestRejected(403, "Only the dashboard's own pages may ask for that.")

    async def _serve_websocket(self, user: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket of a user, unless the user or all users together have too many."""
        signed_out = user.startswith(SIGNED_OUT)
        others_signed_out = sum(n for name, n in self._sockets.items() if name.startswith(SIGNED_OUT))
        if (
            self._sockets.total() >= MAX_WEBSOCKETS
            or self._sockets[user] >= MAX_WEBSOCKETS_PER_USER
            or (signed_out and others_signed_out >= MAX_WEBSOCKETS_SIGNED_OUT)
        ):
            logger.warning("Turned away: %s has %d connections of %d", user, self._sockets[user], self._sockets.total())
            await send({"type": "websocket.close", "code": WS_TRY_AGAIN_LATER, "reason": "Too many open pages."})
            return
        self._sockets[user] += 1
        person = SIGNED_OUT if signed_out else user
        messages = MessageFilter(receive, user, lambda: self._reruns.take_turn(person))
        try:
            await self._app(_with_origins_host(scope), messages, send)
        finally:
            messages.close()
            self._sockets[user] -= 1
            self._sockets += Counter()  # drops users without a websocket

    async def _reject(self, error: OnCallError, scope: Scope, receive: Receive, send: Send) -> None:
        status = error.status if isinstance(error, RequestRejected) else 401
        logger.warning("Turned away with %d from %s: %s", status, _quote_for_log(scope["path"]), error.message)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": WS_POLICY_VIOLATION, "reason": error.message[:120]})
            return
        response = PlainTextResponse(f"{error.message} {error.hint}".strip() + "\n", status)
        await response(scope, receive, self._with_security_headers(send))

    def _with_security_headers(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers[name] = value
            await send(message)

        return with_headers


def security_headers(index_html: str) -> tuple[tuple[str, str], ...]:
    """The security headers of every response; the inline scripts of `index_html` are allowed by digest.

    Without Cross-Origin-Opener-Policy, which would cost each visit a browser process of its own: SECURITY.md says why.
    """
    scripts = re.findall(r"<script>(.*?)</script>", index_html, re.DOTALL)
    return (
        ("Content-Security-Policy", _content_security_policy(map(_csp_digest, scripts))),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ("Strict-Transport-Security", "max-age=31536000"),  # browsers ignore it without TLS
    )


def _content_security_policy(digests: Iterable[str]) -> str:
    """Everything from here only. Styles are written by Streamlit's script, grids render in workers, images may be data URLs."""
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' {' '.join(digests)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-src 'none'",
            "frame-ancestors 'none'",
        )
    )


def _csp_digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _host_name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return None
    return parts.hostname if parts.username is None else None


def _with_origins_host(scope: Scope) -> Scope:
    """The Host as the accepted Origin spells it: Streamlit compares the two letter by letter."""
    scope = dict(scope)
    headers = MutableHeaders(scope=scope)  # of a copy of the list
    headers["host"] = urlsplit(headers["origin"]).netloc
    return scope


def _quote_for_log(path: str) -> str:
    """A path as part of one log line: it cannot forge another line."""
    return ascii(path[:120])
