"""Under which names the dashboard answers."""

from __future__ import annotations

import pytest

from app import server
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
