"""When the watchdog last said that it looked: a watchdog that is silent is not a calm night."""

from __future__ import annotations

from datetime import datetime, timedelta

from services.gcp.clients import Cloud
from services.telemetry import log_reader as logs

# Whatever it is deployed as: prediction-watchdog here, prediction-on-call-watchdog by deploy/names.sh.
LOOKED = '(resource.labels.service_name=~"-watchdog$" OR resource.labels.job_name=~"-watchdog$") AND "Watchdog looked"'
WITHIN = timedelta(minutes=10)


def read_last_look(cloud: Cloud) -> datetime | None:
    """The newest look of the last ten minutes by any watchdog; None when there was none. Raises OnCallError."""
    minute = cloud.now().replace(second=0, microsecond=0)  # one search for all who look within a minute
    until = minute + timedelta(minutes=1, seconds=5)
    lines = logs.read_lines(cloud, LOOKED, minute - WITHIN, until, limit=200, of=logs.JOBS_TOO).lines
    return max((line.at for line in lines), default=None)
