"""The container's health check against a running server."""

from __future__ import annotations

from services.core import healthcheck
from tests.support.http_stub import serve_http


def test_the_health_check_distinguishes_failing_from_healthy_services():
    with serve_http(lambda path, *_: (200 if path == "/health" else 500, b"{}")) as address:
        port = {"PORT": address.rpartition(":")[2]}
        assert healthcheck.check("python -m services.pipeline.coordinator", port) == ""
        assert "answers 500" in healthcheck.check("python -m app.server", port)
    assert "does not answer" in healthcheck.check("python -m app.server", port)
    assert healthcheck.check("python -m services.alerts.watchdog", port) == ""
