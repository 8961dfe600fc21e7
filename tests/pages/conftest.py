"""The desk, opened in-process against the running sandbox, and its sources broken to order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.state import background_cache as patience
from app.state import reads, session
from tests.pages.desk import INCIDENT, MAIN, Screen

Open = Callable[..., Screen]


@pytest.fixture
def open_page(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a page of the desk as a fresh visitor would, by its address."""
    monkeypatch.setenv("SANDBOX_URL", sandbox.address)
    monkeypatch.setattr(session, "PAINT_S", 0.0)  # there is no browser
    st.cache_resource.clear()  # each test with a memory of its own
    reads.forget()

    def open_it(page: str = "overview", date: str | None = INCIDENT, **address: str) -> Screen:
        app = AppTest.from_file(str(MAIN), default_timeout=90)
        for name, value in address.items():
            app.query_params[name] = value
        if date is not None:
            app.query_params["date"] = date
        if page != "overview":
            app.switch_page(f"../pages/{page}.py")
        app.run()
        assert not app.exception, app.exception
        return Screen(app)

    yield open_it
    reads.forget()


@pytest.fixture
def fault(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Breaks one of the sandbox's APIs until the test ends; the pages' patience is shortened to keep the test short."""
    monkeypatch.setattr(patience, "PATIENCE_S", 4.0)

    def break_it(api: str, kind: str, **how: Any) -> None:
        told = requests.put(f"{sandbox.address}/sandbox/faults", json=[{"api": api, "kind": kind, **how}], timeout=10)
        told.raise_for_status()

    yield break_it
    requests.delete(f"{sandbox.address}/sandbox/faults", timeout=10).raise_for_status()
