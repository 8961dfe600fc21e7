"""When the watchdog last logged a check: no alert means nothing while no watchdog runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.gcp.clients import Clients
from services.telemetry import log_phrases, log_reader

# Whatever it is deployed as: prediction-watchdog here, prediction-on-call-watchdog by deploy/config.sh.
HEARTBEAT_FILTER = (
    '(resource.labels.service_name=~"-watchdog$" OR resource.labels.job_name=~"-watchdog$")'
    f" AND {log_phrases.message_contains('Watchdog looked')}"
)
HEARTBEAT_TIMEOUT = timedelta(minutes=10)


def read_last_heartbeat(clients: Clients) -> datetime | None:
    """The newest check within HEARTBEAT_TIMEOUT by any watchdog; None when there was none. Raises OnCallError."""
    minute = clients.now().replace(second=0, microsecond=0)  # one search for all pages opened within a minute
    end = minute + timedelta(minutes=1, seconds=5)
    lines = log_reader.read_lines(
        clients,
        HEARTBEAT_FILTER,
        minute - HEARTBEAT_TIMEOUT,
        end,
        limit=1,
        resource_filter=log_reader.SERVICE_OR_JOB_FILTER,
        newest_first=True,
    ).lines
    return max((line.at for line in lines), default=None)
