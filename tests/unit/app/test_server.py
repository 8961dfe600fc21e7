"""Under which names the dashboard answers."""

from __future__ import annotations

import pytest

from app import server
from services.core.errors import SettingsError
from services.core.settings import DashboardServerSettings, Settings


@pytest.mark.parametrize(
    ("server_env", "hosts_env", "expected"),
    [
        ({}, {}, {"localhost", "127.0.0.1", "::1"}),
        ({"HOST": "0.0.0.0"}, {}, set()),
        ({}, {"DASHBOARD_HOSTS": "desk.example"}, {"desk.example"}),
    ],
)
def test_a_dashboard_on_this_machine_alone_answers_to_its_names_only(server_env, hosts_env, expected):
    settings = server._with_hosts(Settings.from_env(hosts_env), DashboardServerSettings.from_env(server_env))
    assert settings.dashboard_hosts == expected


def test_a_server_that_would_believe_an_unsigned_header_does_not_start(monkeypatch):
    monkeypatch.setattr("streamlit.get_option", lambda name: {"X-Email": "email"} if "trusted" in name else None)
    with pytest.raises(SettingsError, match="trustedUserHeaders"):
        server.build_application(Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:1"}))
