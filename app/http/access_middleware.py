"""What stands before every request: only what the pages need is reachable, only from here, only for who is signed in."""

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

from app.http.index_page import document
from app.http.websocket_filter import only_needed
from services.auth import sign_in as identity
from services.auth.sign_in import Keys
from services.core.clock import Clock, SystemClock
from services.core.errors import OnCallError
from services.core.settings import Settings

log_line = logging.getLogger(__name__)

HEALTH, STREAM = "/_stcore/health", "/_stcore/stream"
# Streamlit's own paths that a page needs; its metrics, uploads, components, script checks and agent API are closed.
OPEN = frozenset({HEALTH, STREAM, "/_stcore/host-config"})
CLOSED = re.compile(r"/(_stcore|component|app)(/|$)")
MOST_SOCKETS, MOST_SOCKETS_EACH = 300, 40  # a browser tab is one; each has a thread while its page is being drawn
POLICY_VIOLATION, TRY_LATER = 1008, 1013


class Refused(OnCallError):
    """A request that is not answered: its HTTP status, and the sentence for its sender."""

    def __init__(self, status: int, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence, remedy)
        self.status = status


class Gate:
    """ASGI middleware around Streamlit's server."""

    def __init__(self, app: ASGIApp, settings: Settings, keys: Keys, clock: Clock | None = None) -> None:
        self._app, self._settings, self._keys, self._clock = app, settings, keys, clock or SystemClock()
        index = Path(streamlit.__file__).parent / "static" / "index.html"
        self._headers = security_headers(document(index.read_text(encoding="utf-8")))
        self._sockets: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            who = await self._admit(scope)
        except OnCallError as error:
            await self._turn_away(error, scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._connect(who, scope, receive, send)
        else:
            await self._app(scope, receive, self._safely(send))

    async def _admit(self, scope: Scope) -> str:
        """Who is asking; raises Refused, NotSignedIn or KeysUnreadable."""
        headers, path = Headers(scope=scope), scope["path"]
        if CLOSED.match(path) and path not in OPEN:
            raise Refused(404, "There is nothing here.")
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            raise Refused(405, "Nothing is sent here.")
        if path == HEALTH:  # Cloud Run asks from inside, and nobody signs in for it
            return "health"
        self._check_place(headers, scope["type"] == "websocket")
        if not self._settings.iap_audience:
            return headers.get("origin", "here")
        told = list(headers.items())
        signed_in = await run_in_threadpool(identity.identify, told, self._settings, self._keys, self._clock.now())
        return signed_in.email

    def _check_place(self, headers: Headers, websocket: bool) -> None:
        host, names = headers.get("host", ""), self._settings.dashboard_hosts
        if names and urlsplit(f"//{host}").hostname not in names:
            raise Refused(421, "This dashboard does not answer under that name.")
        origin = headers.get("origin")
        if (websocket or origin) and urlsplit(origin or "").netloc != host:
            raise Refused(403, "Only the dashboard's own pages may ask for that.")

    async def _connect(self, who: str, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket of a person, unless they or all together have too many."""
        if self._sockets.total() >= MOST_SOCKETS or self._sockets[who] >= MOST_SOCKETS_EACH:
            log_line.warning("Turned away: %s has %d connections of %d", who, self._sockets[who], self._sockets.total())
            await send({"type": "websocket.close", "code": TRY_LATER, "reason": "Too many open pages."})
            return
        self._sockets[who] += 1
        try:
            await self._app(scope, only_needed(receive, who), send)
        finally:
            self._sockets[who] -= 1
            self._sockets += Counter()  # forgets who has none left

    async def _turn_away(self, error: OnCallError, scope: Scope, receive: Receive, send: Send) -> None:
        status = error.status if isinstance(error, Refused) else 401
        log_line.warning("Turned away with %d from %s: %s", status, _shown(scope["path"]), error.sentence)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": error.sentence[:120]})
            return
        answer = PlainTextResponse(f"{error.sentence} {error.remedy}".strip() + "\n", status)
        await answer(scope, receive, self._safely(send))

    def _safely(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers[name] = value
            await send(message)

        return with_headers


def security_headers(page: str) -> tuple[tuple[str, str], ...]:
    """What a browser is told of every answer; the inline scripts of `page`, the first document, are allowed by digest."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return (
        ("Content-Security-Policy", _policy(map(_digest, scripts))),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
        ("Strict-Transport-Security", "max-age=31536000"),  # a browser heeds it only where there is TLS
    )


def _policy(digests: Iterable[str]) -> str:
    """Everything from here only. Styles are written by Streamlit's script, grids draw in workers, pictures may be data."""
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


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _shown(path: str) -> str:
    """A path as one log line shows it: nobody writes our log lines for us."""
    return ascii(path[:120])
