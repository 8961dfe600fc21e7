"""Streamlit's configuration: nothing open that should be shut, nothing loaded from the network."""

from __future__ import annotations

import tomllib

import pytest
from streamlit import config

from app import server
from services.gcp import logging_setup
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
def test_the_server_listens_where_the_environment_says(env, address, monkeypatch):
    for name in ("HOST", "PORT", "DASHBOARD_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    served: list[tuple[str, int]] = []
    monkeypatch.setattr(server, "warm_up", lambda: None)
    monkeypatch.setattr(logging_setup, "configure_logging", lambda: None)
    monkeypatch.setattr(server, "log_streamlit_as_ours", lambda: None)
    monkeypatch.setattr(server, "serve", lambda _app, host, port: served.append((host, port)))
    server.main()
    assert served == [(address, 8501)]
