"""Streamlit's configuration: nothing open that should be shut, nothing loaded from the network."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import streamlit as st
from streamlit import config

from app import server
from tests.support.paths import ROOT

CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def test_the_theme_loads_nothing_from_the_network():
    assert "http" not in str(CONFIG["theme"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("server.headless", True),
        ("server.address", "127.0.0.1"),
        ("server.enableXsrfProtection", True),
        ("server.enableCORS", True),
        ("server.enableAgentApi", False),
        ("server.fileWatcherType", "none"),
        ("browser.gatherUsageStats", False),
        ("client.toolbarMode", "viewer"),
        ("client.showErrorDetails", "none"),
        ("client.showErrorLinks", False),
        ("client.allowedOrigins", []),
        ("client.disableDataExport", True),
    ],
)
def test_streamlit_applies_the_security_options_of_the_configuration(option, value, monkeypatch):
    """Read back from Streamlit: an option that it does not know, or ignores, raises or shows its default."""
    monkeypatch.chdir(ROOT)
    config.get_config_options(force_reparse=True)
    assert config.get_option(option) == value
    assert config.get_where_defined(option) == str(ROOT / ".streamlit" / "config.toml")


@pytest.mark.parametrize(("env", "address"), [({}, "127.0.0.1"), ({"HOST": "0.0.0.0"}, "0.0.0.0")])
def test_the_server_overrides_nothing_but_port_and_address(env, address, monkeypatch):
    for name in ("HOST", "PORT", "DASHBOARD_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    run_options: list[dict[str, Any]] = []
    monkeypatch.setattr(server, "warm_up", lambda: None)
    monkeypatch.setattr(st.App, "run", lambda _app, config: run_options.append(config))
    server.main()
    assert run_options == [{"server.port": 8501, "server.address": address}]
