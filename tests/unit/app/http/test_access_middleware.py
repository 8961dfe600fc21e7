"""The access middleware: unneeded paths are closed, nothing is served without a sign-in, and connections are limited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from app.http import access_middleware
from app.http.access_middleware import AccessMiddleware
from app.http.rerun_limits import RERUNS_AT_ONCE, RERUNS_PER_S
from services.auth.sign_in import JwksCache
from services.core.settings import Settings
from tests.support.clock import FixedClock
from tests.support.iap_signer import AUDIENCE, NORA, VIC, IapSigner

NOW = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
DASHBOARD_HOST = "dashboard.example"


class MiddlewareHarness:
    """The middleware, the paths it forwarded, and its responses."""

    def __init__(self, oidc: bool = False, **env: str) -> None:
        self.signer, self.release = IapSigner(), asyncio.Event()
        self.forwarded_paths: list[str] = []
        self.reads_messages, self.messages_passed = False, 0  # over the websockets, by Streamlit
        self.clock = FixedClock(NOW)
        jwks = JwksCache("https://keys.example", fetch=lambda _: self.signer.public_jwks())
        self.middleware = AccessMiddleware(self._streamlit, Settings.from_env(env), jwks, oidc, self.clock)

    async def _streamlit(self, scope: Any, receive: Any, send: Any) -> None:
        self.forwarded_paths.append(scope["path"])
        self.last_host = Headers(scope=scope)["host"]
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while self.reads_messages and (await receive())["type"] != "websocket.disconnect":
                self.messages_passed += 1
            await self.release.wait()
        else:
            await PlainTextResponse("a page")(scope, receive, send)

    async def call(
        self,
        path: str,
        headers: dict[str, str],
        kind: str = "http",
        method: str = "GET",
        incoming: Iterable[bytes] = (),
    ) -> list[dict]:
        messages: list[dict] = []
        frames = iter(incoming)

        async def send(message: Any) -> None:
            messages.append(message)

        async def receive() -> dict:
            if kind == "http":
                return {"type": "http.request", "body": b""}
            frame = next(frames, None)
            return {"type": "websocket.receive", "bytes": frame} if frame else {"type": "websocket.disconnect"}

        raw = [(name.encode(), value.encode()) for name, value in {"host": DASHBOARD_HOST, **headers}.items()]
        scope = {
            "type": kind,
            "path": path,
            "method": method,
            "headers": raw,
            "query_string": b"",
            "http_version": "1.1",
        }
        await self.middleware(
            {**scope, "scheme": "https", "server": (DASHBOARD_HOST, 443), "subprotocols": []}, receive, send
        )
        return messages

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> int:
        header_names = {name.replace("_", "-"): value for name, value in headers.items()}
        return int(asyncio.run(self.call(path, header_names, method=method))[0]["status"])

    def connect(self, **headers: str) -> str:
        self.release.set()
        messages = asyncio.run(
            self.call("/_stcore/stream", {n.replace("_", "-"): v for n, v in headers.items()}, "websocket")
        )
        return str(messages[0]["type"])

    def signed(self, email: str = NORA) -> dict[str, str]:
        return {"x_goog_iap_jwt_assertion": self.signer.sign(email, NOW)}


@pytest.fixture
def sandbox_harness() -> MiddlewareHarness:
    return MiddlewareHarness(SANDBOX_URL="http://127.0.0.1:1")


@pytest.fixture
def iap_harness() -> MiddlewareHarness:
    return MiddlewareHarness(IAP_AUDIENCE=AUDIENCE)


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics",
        "/_stcore/script-health-check",
        "/_stcore/upload_file/session/file",
        "/_stcore/agent/interact",
        "/_stcore/agent/mcp",
        "/_stcore/agent/openapi.json",
        "/_stcore/bidi-components/x/y.js",
        "/_stcore",
        "/_stcore/health/",
        "/component/x/index.html",
        "/app/static/secrets.toml",
    ],
)
def test_an_unneeded_path_is_not_found(sandbox_harness, path):
    assert sandbox_harness.get(path) == 404
    assert sandbox_harness.forwarded_paths == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head_are_allowed(sandbox_harness, method):
    assert sandbox_harness.get("/", method=method) == 405
    assert sandbox_harness.forwarded_paths == []


@pytest.mark.parametrize("path", ["/", "/coverage", "/static/js/index.js", "/media/a.csv", "/_stcore/host-config"])
def test_without_a_sign_in_nothing_is_served(iap_harness, path):
    assert iap_harness.get(path) == 401
    assert iap_harness.get(path, x_goog_authenticated_user_email=f"accounts.google.com:{NORA}") == 401
    assert iap_harness.forwarded_paths == []
    assert iap_harness.get(path, **iap_harness.signed()) == 200


def test_a_websocket_needs_a_signature_and_the_same_origin(iap_harness):
    assert iap_harness.connect(origin=f"https://{DASHBOARD_HOST}") == "websocket.close"
    assert iap_harness.connect(origin="https://evil.example", **iap_harness.signed()) == "websocket.close"
    assert iap_harness.connect(origin="http://localhost:3000", **iap_harness.signed()) == "websocket.close"
    assert iap_harness.connect(**iap_harness.signed()) == "websocket.close"
    assert iap_harness.forwarded_paths == []
    assert iap_harness.connect(origin=f"https://{DASHBOARD_HOST}", **iap_harness.signed()) == "websocket.accept"


def test_an_expired_signature_is_rejected_at_every_request(iap_harness):
    headers = iap_harness.signed()
    assert iap_harness.get(**headers) == 200
    iap_harness.clock.at = NOW + timedelta(minutes=12)
    assert iap_harness.get(**headers) == 401
    assert iap_harness.connect(origin=f"https://{DASHBOARD_HOST}", **headers) == "websocket.close"


def test_only_the_health_endpoint_needs_no_signature(iap_harness):
    assert iap_harness.get("/_stcore/health") == 200
    assert iap_harness.get("/_stcore/health", method="POST") == 405


def test_a_cross_origin_request_is_rejected_even_when_signed_in(iap_harness):
    assert iap_harness.get("/media/a.csv", origin="https://evil.example", **iap_harness.signed()) == 403


def test_an_unknown_host_is_rejected():
    harness = MiddlewareHarness(SANDBOX_URL="http://127.0.0.1:1", DASHBOARD_HOSTS=f"{DASHBOARD_HOST}, other.example")
    assert harness.get() == 200
    assert harness.get(host=f"{DASHBOARD_HOST}:8080") == 200
    for name in ("evil.example", "", "[::1", f"{DASHBOARD_HOST}.evil.example", f"user@{DASHBOARD_HOST}"):
        assert harness.get(host=name) == 421


def test_every_response_has_the_security_headers_and_a_strict_csp(iap_harness):
    for messages in (asyncio.run(iap_harness.call("/", {})), asyncio.run(iap_harness.call("/_stcore/health", {}))):
        headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe-inline" not in policy["script-src"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "cross-origin-opener-policy" not in headers, "with one, a browser starts a process for each visit"


def test_websockets_per_user_are_limited_and_others_still_connect(iap_harness, monkeypatch):
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS", 8)
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS_PER_USER", 5)
    origin = {"origin": f"https://{DASHBOARD_HOST}"}

    async def flood() -> list[str]:
        def open_websocket(email: str) -> Any:
            return iap_harness.call(
                "/_stcore/stream",
                {**origin, **{k.replace("_", "-"): v for k, v in iap_harness.signed(email).items()}},
                "websocket",
            )

        tasks = [asyncio.create_task(open_websocket(NORA)) for _ in range(50)]
        await asyncio.sleep(0.3)
        tasks.append(asyncio.create_task(open_websocket(VIC)))
        await asyncio.sleep(0.1)
        iap_harness.release.set()
        return [messages[0]["type"] for messages in await asyncio.gather(*tasks)]

    results = asyncio.run(flood())
    assert results[:-1].count("websocket.accept") == 5
    assert results[-1] == "websocket.accept"
    assert iap_harness.connect(**origin, **iap_harness.signed()) == "websocket.accept", (
        "places that were left are free again"
    )


def test_a_flood_from_ten_sockets_of_one_person_is_limited_as_one_person(iap_harness):
    pressed = ClientState()
    pressed.widget_states.widgets.add(id="button", trigger_value=True)
    frames = [BackMsg(rerun_script=pressed).SerializeToString()] * 100

    async def flood() -> int:
        iap_harness.reads_messages = True
        headers = {"origin": f"https://{DASHBOARD_HOST}", "x-goog-iap-jwt-assertion": iap_harness.signer.sign(VIC, NOW)}
        sockets = [
            asyncio.create_task(iap_harness.call("/_stcore/stream", headers, "websocket", incoming=frames))
            for _ in range(10)
        ]
        await asyncio.sleep(0.2)
        passed = iap_harness.messages_passed
        for socket in sockets:
            socket.cancel()
        await asyncio.gather(*sockets, return_exceptions=True)
        return passed

    assert RERUNS_AT_ONCE <= asyncio.run(flood()) <= RERUNS_AT_ONCE + 0.5 * RERUNS_PER_S


# --- Streamlit's own sign-in: its cookie says whose a websocket is ----------------------------------------------------

COOKIE_SECRET = "for this test only, 32 characters"
ISSUER = "https://id.example.com"


@pytest.fixture
def oidc_harness(monkeypatch) -> MiddlewareHarness:
    monkeypatch.setattr(starlette_websocket, "get_cookie_secret", lambda: COOKIE_SECRET)
    return MiddlewareHarness(oidc=True, OIDC_ISSUER=ISSUER)


def oidc_headers(email: str, secret: str = COOKIE_SECRET, address: str = "192.0.2.1", **claims: Any) -> dict[str, str]:
    """What a browser sends with a websocket after a sign-in."""
    origin = f"https://{DASHBOARD_HOST}"
    signed_in = {"is_logged_in": True, "iss": ISSUER, "email": email, "email_verified": True, "iat": NOW.timestamp()}
    cookies: list[str] = []
    set_cookie_with_chunks(
        lambda name, value: cookies.append(f"{name}={create_signed_value(secret, name, value).decode()}"),
        lambda name, value: create_signed_value(secret, name, value),
        USER_COOKIE_NAME,
        {**signed_in, "origin": origin, **claims},
        cookie_attr_size=64,
    )
    return {"origin": origin, "cookie": "; ".join(cookies), "x-forwarded-for": f"203.0.113.9, {address}"}


def count_accepted(harness: MiddlewareHarness, *browsers: dict[str, str]) -> list[bool]:
    """Which of these websockets are accepted while all are open."""

    async def open_all() -> list[bool]:
        tasks = [asyncio.create_task(harness.call("/_stcore/stream", headers, "websocket")) for headers in browsers]
        await asyncio.sleep(0.1)
        harness.release.set()
        return [messages[0]["type"] == "websocket.accept" for messages in await asyncio.gather(*tasks)]

    return asyncio.run(open_all())


def test_under_oidc_a_hundred_persons_get_in_and_one_of_them_cannot_take_more_than_a_person_may(oidc_harness):
    crowd = [oidc_headers(f"v{number}@example.com") for number in range(100)]
    greedy = [oidc_headers(VIC, address=f"192.0.2.{number}", picture="x" * 9_000) for number in range(60)]
    accepted = count_accepted(oidc_harness, *crowd, *greedy)
    assert all(accepted[:100])
    assert accepted[100:].count(True) == access_middleware.MAX_WEBSOCKETS_PER_USER


@pytest.mark.parametrize(
    "changes", [{"secret": "another"}, {"email_verified": None}, {"is_logged_in": False}, {"origin": "https://evil"}]
)
def test_a_cookie_that_proves_nobody_counts_by_the_address_that_the_proxy_saw(oidc_harness, monkeypatch, changes):
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS_PER_USER", 3)
    one_address = [oidc_headers(f"v{number}@example.com", **changes) for number in range(10)]
    assert count_accepted(oidc_harness, *one_address).count(True) == 3


def test_who_is_not_signed_in_cannot_take_the_places_of_who_is(oidc_harness, monkeypatch):
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS", 12)
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS_SIGNED_OUT", 8)
    strangers = [
        {"origin": f"https://{DASHBOARD_HOST}", "x-forwarded-for": f"192.0.2.{number}"} for number in range(50)
    ]
    accepted = count_accepted(oidc_harness, *strangers, *[oidc_headers(f"v{n}@example.com") for n in range(4)])
    assert accepted[:50].count(True) == 8
    assert accepted[50:] == [True] * 4


@pytest.mark.parametrize("forwarded", ["", "unknown", "1.2.3.4, <script>", "1.2.3.4, \x1b[2K"])
def test_an_address_that_is_none_is_never_logged(oidc_harness, monkeypatch, caplog, forwarded):
    monkeypatch.setattr(access_middleware, "MAX_WEBSOCKETS_PER_USER", 0)
    count_accepted(oidc_harness, {"origin": f"https://{DASHBOARD_HOST}", "x-forwarded-for": forwarded})
    assert caplog.messages == ["Turned away: not signed in at nowhere has 0 connections of 0"]


# --- Host and Origin as browsers and proxies spell them ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("dashboard.example", "https://dashboard.example"),
        ("Dashboard.Example", "https://dashboard.example"),
        ("dashboard.example:443", "https://dashboard.example"),
        ("dashboard.example", "https://dashboard.example:443"),
        ("dashboard.example:80", "http://dashboard.example"),
        ("DASHBOARD.example:8080", "http://dashboard.example:8080"),
    ],
)
def test_a_browser_gets_in_however_its_host_is_spelled_and_streamlit_sees_one_spelling(host, origin):
    harness = MiddlewareHarness(SANDBOX_URL="http://127.0.0.1:1", DASHBOARD_HOSTS=DASHBOARD_HOST)
    assert harness.connect(host=host, origin=origin) == "websocket.accept"
    assert harness.last_host == origin.partition("://")[2]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("dashboard.example:8080", "https://dashboard.example"),
        ("dashboard.example", "https://dashboard.example:8443"),
        ("dashboard.example:80", "https://dashboard.example"),
        ("dashboard.example", "https://dashboard.example.evil"),
        ("dashboard.example", "https://user@dashboard.example"),
        ("dashboard.example", "null"),
        ("dashboard.example", "dashboard.example"),
        ("dashboard.example", "file://dashboard.example"),
        ("dashboard.example", "https://dashboard.example:99999"),
        ("user@dashboard.example", "https://dashboard.example"),
        ("dashboard.example:x", "https://dashboard.example"),
        ("[::1", "https://dashboard.example"),
        ("", "https://"),
    ],
)
def test_another_origin_or_a_host_that_is_none_is_rejected_without_an_error(host, origin):
    for harness in (
        MiddlewareHarness(SANDBOX_URL="http://127.0.0.1:1", DASHBOARD_HOSTS=DASHBOARD_HOST),
        MiddlewareHarness(SANDBOX_URL="http://127.0.0.1:1"),
    ):
        assert harness.connect(host=host, origin=origin) == "websocket.close"
        assert harness.forwarded_paths == []


def test_a_path_cannot_inject_a_log_line(iap_harness, monkeypatch):
    warnings: list[str] = []
    monkeypatch.setattr(access_middleware.logger, "warning", lambda text, *args: warnings.append(text % args))
    assert iap_harness.get("/_stcore/x\nERROR all is lost") == 404
    assert "ERROR all is lost" in warnings[0]
    assert "\n" not in warnings[0]
