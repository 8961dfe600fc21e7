"""When the watchdog last logged a check, and by which thresholds: no alert means nothing while no watchdog runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.gcp.clients import Clients
from services.telemetry import log_phrases, log_reader

# Whatever it is deployed as: prediction-watchdog here, prediction-on-call-watchdog by deploy/config.sh.
HEARTBEAT_FILTER = (
    '(resource.labels.service_name=~"-watchdog$" OR resource.labels.job_name=~"-watchdog$")'
    f" AND {log_phrases.message_contains('Watchdog looked')}"
)
HEARTBEAT_TIMEOUT = timedelta(minutes=10)
_FINGERPRINT = re.compile(r"\bthresholds (\w+)")


@dataclass(frozen=True)
class Heartbeat:
    """One check. `thresholds` is the fingerprint of those it judged by; "" in a line of an earlier version."""

    at: datetime
    thresholds: str


def read_last_heartbeat(clients: Clients) -> Heartbeat | None:
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
    newest = max(lines, key=lambda line: line.at, default=None)
    if newest is None:
        return None
    fingerprint = _FINGERPRINT.search(newest.message)
    return Heartbeat(newest.at, fingerprint[1] if fingerprint else "")
