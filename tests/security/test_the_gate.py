"""Around Streamlit's server: what is not needed is not there, who is not signed in sees nothing, and a flood ends at the gate."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import FileURLsRequest

from app.http import access_middleware as gate
from app.http.access_middleware import Gate
from app.http.websocket_filter import only_needed
from services.auth.sign_in import KeyRing
from services.core.clock import FixedClock
from services.core.settings import Settings
from tests.security.proxy import AUDIENCE, NORA, VIC, Proxy

NOW = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)
HERE = "desk.example"


class Desk:
    """A gate, what passed it, and what it answered."""

    def __init__(self, **env: str) -> None:
        self.proxy, self.passed, self.held = Proxy(), [], asyncio.Event()
        self.clock = FixedClock(NOW)
        ring = KeyRing("https://keys.example", fetch=lambda _: self.proxy.public())
        self.gate = Gate(self._streamlit, Settings.from_env(env), ring, self.clock)

    async def _streamlit(self, scope: Any, receive: Any, send: Any) -> None:
        self.passed.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            await self.held.wait()
        else:
            await PlainTextResponse("a page")(scope, receive, send)

    async def call(self, path: str, headers: dict[str, str], kind: str = "http", method: str = "GET") -> list[dict]:
        told: list[dict] = []

        async def send(message: Any) -> None:
            told.append(message)

        async def receive() -> dict:
            return {"type": "http.request", "body": b""}

        raw = [(name.encode(), value.encode()) for name, value in {"host": HERE, **headers}.items()]
        scope = {
            "type": kind,
            "path": path,
            "method": method,
            "headers": raw,
            "query_string": b"",
            "http_version": "1.1",
        }
        await self.gate({**scope, "scheme": "https", "server": (HERE, 443), "subprotocols": []}, receive, send)
        return told

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return int(asyncio.run(self.call(path, named, method=method))[0]["status"])

    def connect(self, **headers: str) -> str:
        self.held.set()
        told = asyncio.run(
            self.call("/_stcore/stream", {n.replace("_", "-"): v for n, v in headers.items()}, "websocket")
        )
        return str(told[0]["type"])

    def signed(self, who: str = NORA) -> dict[str, str]:
        return {"x_goog_iap_jwt_assertion": self.proxy.sign(who, NOW)}


@pytest.fixture
def open_desk() -> Desk:
    return Desk(SANDBOX_URL="http://127.0.0.1:1")


@pytest.fixture
def desk() -> Desk:
    return Desk(IAP_AUDIENCE=AUDIENCE)


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
def test_a_path_that_no_page_needs_is_not_there(open_desk, path):
    assert open_desk.get(path) == 404
    assert open_desk.passed == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_sent(open_desk, method):
    assert open_desk.get("/", method=method) == 405
    assert open_desk.passed == []


@pytest.mark.parametrize("path", ["/", "/coverage", "/static/js/index.js", "/media/a.csv", "/_stcore/host-config"])
def test_whoever_did_not_sign_in_sees_nothing_not_even_the_programme(desk, path):
    assert desk.get(path) == 401
    assert desk.get(path, x_goog_authenticated_user_email=f"accounts.google.com:{NORA}") == 401
    assert desk.passed == []
    assert desk.get(path, **desk.signed()) == 200


def test_a_connection_needs_a_signature_and_its_own_page(desk):
    assert desk.connect(origin=f"https://{HERE}") == "websocket.close"
    assert desk.connect(origin="https://evil.example", **desk.signed()) == "websocket.close"
    assert desk.connect(origin="http://localhost:3000", **desk.signed()) == "websocket.close"
    assert desk.connect(**desk.signed()) == "websocket.close"
    assert desk.passed == []
    assert desk.connect(origin=f"https://{HERE}", **desk.signed()) == "websocket.accept"


def test_an_expired_signature_is_turned_away_at_every_request(desk):
    headers = desk.signed()
    assert desk.get(**headers) == 200
    desk.clock.at = NOW + timedelta(minutes=12)
    assert desk.get(**headers) == 401
    assert desk.connect(origin=f"https://{HERE}", **headers) == "websocket.close"


def test_only_the_health_of_the_process_is_told_without_a_signature(desk):
    assert desk.get("/_stcore/health") == 200
    assert desk.get("/_stcore/health", method="POST") == 405


def test_another_sites_page_cannot_read_through_a_browser_that_is_signed_in(desk):
    assert desk.get("/media/a.csv", origin="https://evil.example", **desk.signed()) == 403


def test_a_name_that_is_not_ours_gets_no_answer():
    desk = Desk(SANDBOX_URL="http://127.0.0.1:1", DASHBOARD_HOSTS=f"{HERE}, other.example")
    assert desk.get() == 200
    assert desk.get(host="Desk.Example:8080".lower()) == 200
    for name in ("evil.example", "", f"{HERE}.evil.example", f"user@{HERE}.evil"):
        assert desk.get(host=name) == 421


def test_every_answer_carries_the_headers_and_the_page_may_load_from_nowhere_else(desk):
    for told in (asyncio.run(desk.call("/", {})), asyncio.run(desk.call("/_stcore/health", {}))):
        headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe-inline" not in policy["script-src"]
        assert "http" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_a_flood_of_connections_ends_at_the_gate_and_others_still_get_in(desk, monkeypatch):
    monkeypatch.setattr(gate, "MOST_SOCKETS", 8)
    monkeypatch.setattr(gate, "MOST_SOCKETS_EACH", 5)
    origin = {"origin": f"https://{HERE}"}

    async def flood() -> list[str]:
        def knock(who: str) -> Any:
            return desk.call(
                "/_stcore/stream",
                {**origin, **{k.replace("_", "-"): v for k, v in desk.signed(who).items()}},
                "websocket",
            )

        tasks = [asyncio.create_task(knock(NORA)) for _ in range(50)]
        await asyncio.sleep(0.3)
        tasks.append(asyncio.create_task(knock(VIC)))
        await asyncio.sleep(0.1)
        desk.held.set()
        return [told[0]["type"] for told in await asyncio.gather(*tasks)]

    answers = asyncio.run(flood())
    assert answers[:-1].count("websocket.accept") == 5
    assert answers[-1] == "websocket.accept"
    assert desk.connect(**origin, **desk.signed()) == "websocket.accept", "places that were left are free again"


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        (BackMsg(clear_cache=True), False),
        (BackMsg(set_run_on_save=True), False),
        (BackMsg(debug_shutdown_runtime=True), False),
        (BackMsg(load_git_info=True), False),
        (BackMsg(file_urls_request=FileURLsRequest(request_id="x")), False),
        (BackMsg(stop_script=True), True),
        (BackMsg(app_heartbeat=True), True),
        (BackMsg(rerun_script=ClientState(query_string="date=2025-12-29")), True),
    ],
)
def test_over_the_websocket_a_browser_asks_for_what_a_page_needs_and_cannot_empty_everybodys_answers(said, passes):
    async def hear() -> list[bytes | None]:
        told = iter([said.SerializeToString(), b"\xff not a message", None])

        async def receive() -> dict:
            return {"type": "websocket.receive", "bytes": next(told)}

        heard = only_needed(receive, NORA)
        return [(await heard())["bytes"] for _ in range(2)]

    first, second = asyncio.run(hear())
    assert (first == said.SerializeToString()) is passes
    assert second == (b"\xff not a message" if passes else None), "what is no message is refused by Streamlit itself"


def test_what_a_path_says_cannot_write_a_log_line(desk, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(gate.log_line, "warning", lambda text, *args: told.append(text % args))
    assert desk.get("/_stcore/x\nERROR all is lost") == 404
    assert "ERROR all is lost" in told[0]
    assert "\n" not in told[0]
