"""A source that does not answer is given up within QUERY_TIMEOUT_S: the clients' own retries last up to ten minutes."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable

from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp.read_cache import ReadCache
from services.scaling.capacity import get_service
from services.scaling.deploys import read_deploy_history
from services.telemetry.log_pages import read_entries
from services.telemetry.scheduler import read_schedule

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
SETTINGS = Settings.from_env({"QUERY_TIMEOUT_S": "7"})


def call_deadlines(read: Any) -> list[tuple[float, float]]:
    """The longest that each call may last, of one attempt and, where the client would go on, of all."""
    deadlines: list[tuple[float, float]] = []

    def call(*_: object, timeout: float, retry: Any = None, **__: object) -> Any:
        deadlines.append((timeout, timeout if retry is None else retry.timeout))
        raise ServiceUnavailable("no")

    api = SimpleNamespace(get_service=call, list_revisions=call, list_jobs=call)
    clients: Any = SimpleNamespace(
        settings=SETTINGS,
        cache=ReadCache(),
        now=lambda: NOW,
        service_name=lambda name: name,
        run=api,
        revisions=api,
        scheduler=api,
        logging=SimpleNamespace(_connection=SimpleNamespace(api_request=call)),
    )
    with pytest.raises((OnCallError, ServiceUnavailable)):
        read(clients)
    return deadlines


@pytest.mark.parametrize(
    "read",
    [
        read_schedule,
        read_deploy_history,
        lambda clients: get_service(clients, "prediction-worker"),
        lambda clients: read_entries(clients, "severity>=ERROR", 10),
    ],
)
def test_a_read_is_given_up_within_the_query_timeout(read):
    assert call_deadlines(read) == [(7.0, 7.0)]
