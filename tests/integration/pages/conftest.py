"""Pages of the dashboard, opened in-process against the running sandbox, and faults in its sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from functools import cache
from typing import Any

import pytest
import requests
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.testing.v1 import AppTest

from app.state import background_cache, session
from services.gcp import clients
from tests.integration.pages.helpers import INCIDENT, MAIN, RenderedPage
from tests.support.sandbox import dashboard_env

OpenPage = Callable[..., RenderedPage]
_scan_once = cache(manifest_scanner.scan_component_manifests)  # reads every installed package: 0.2 s for each AppTest


@pytest.fixture
def open_page(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """Opens a page of the dashboard by its URL, as a new session."""
    for name, value in dashboard_env(sandbox).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(session, "FIRST_PAINT_DELAY_S", 0.0)  # there is no browser
    monkeypatch.setattr(
        background_cache, "FIRST_LOAD_TIMEOUT_S", 30.0
    )  # on a loaded machine a late answer is none unknown
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", _scan_once)
    asked_by_page = _record_calls_of_pages(monkeypatch)
    st.cache_resource.clear()  # each test with a memory of its own
    background_cache.clear()

    def open_as_visitor(page: str = "overview", date: str | None = INCIDENT, **params: str) -> RenderedPage:
        app = AppTest.from_file(str(MAIN), default_timeout=90)
        for name, value in params.items():
            app.query_params[name] = value
        if date is not None:
            app.query_params["date"] = date
        if page != "overview":
            app.switch_page(f"../pages/{page}.py")
        asked_by_page.clear()
        app.run()
        assert not app.exception, app.exception
        assert not asked_by_page, "a page itself waits for Google, which may take minutes not to answer"
        return RenderedPage(app)

    yield open_as_visitor
    # What a page reads for later would be counted in the next test of this sandbox.
    wait([flight.outcome for flight in tuple(background_cache._flights.values())], timeout=3)
    background_cache.clear()


def _record_calls_of_pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of Google's APIs that pages ask in their own thread, which a browser waits for."""
    asked: list[str] = []
    request = requests.Session.request

    def recorded_request(session: requests.Session, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if get_script_run_ctx(suppress_warning=True) is not None and "/sandbox/" not in url:
            asked.append(f"{method} {url}")
        return request(session, method, url, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", recorded_request)
    return asked


@pytest.fixture
def sent_messages() -> Iterator[list[ForwardMsg]]:
    """Every message that the pages send to the browser; those with which Streamlit frames a run are not among them."""
    messages: list[ForwardMsg] = []
    ForwardMsgQueue.on_before_enqueue_msg(messages.append)
    yield messages
    ForwardMsgQueue.on_before_enqueue_msg(None)


def _page_timeout_s(api: str, kind: str, options: Mapping[str, Any]) -> float:
    """How long a page waits: least where no source can answer, and long where each answers or fails at once."""
    if api == "bigquery" and "method" not in options:
        return 1.0
    return 30.0 if api != "run" and kind != "delay" else 4.0


@pytest.fixture
def inject_fault(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Breaks one of the sandbox's APIs until the test ends; the pages' timeouts are shortened to keep the test short."""
    monkeypatch.setattr(clients, "LOCATION_TIMEOUT_S", 0.2)

    def inject(api: str, kind: str, **options: Any) -> None:
        monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", _page_timeout_s(api, kind, options))
        response = requests.put(
            f"{sandbox.url}/sandbox/faults", json=[{"api": api, "kind": kind, **options}], timeout=10
        )
        response.raise_for_status()

    yield inject
    requests.delete(f"{sandbox.url}/sandbox/faults", timeout=10).raise_for_status()
