"""The container's health check: which path belongs to which service."""

from __future__ import annotations

import pytest

from services.core import healthcheck


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("python -m app.server", "/_stcore/health"),
        ("python -m services.pipeline.worker", "/health"),
        ("python -m services.pipeline.coordinator", "/health"),
        ("python -m services.alerts.watchdog", ""),
    ],
)
def test_the_health_check_uses_the_path_of_the_running_service(command, path):
    assert healthcheck.health_path(command) == path
