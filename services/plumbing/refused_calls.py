"""Calls between services that Cloud Run or the service refused: 401, 403 and 429, by service and caller, from the request logs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.clock import to_rfc3339
from services.core.freshness import OPEN_WINDOW_TTL_S
from services.core.result import DataSource, Health
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.telemetry.log_pages import ListedEntry, read_entries

REFUSED_STATUSES = (401, 403, 429)
REFUSED_FILTER = (
    f'resource.type="cloud_run_revision" AND httpRequest.status=({" OR ".join(map(str, REFUSED_STATUSES))})'
)
DEFAULT_HOURS, MAX_HOURS = 24, 24 * 14
MAX_ENTRIES = 2_000  # two pages, and two reads of the log's budget
_CALLERS = {  # what a user agent begins with, and who that is
    "APIs-Google": "Pub/Sub push",
    "CloudPubSub-Google": "Pub/Sub push",
    "Google-Cloud-Scheduler": "Cloud Scheduler",
    "GoogleStackdriverMonitoring-UptimeChecks": "uptime check",
}
_ACCOUNT = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True)
class RefusedCalls:
    """The calls of one caller to one service that were refused with one status. An account is in the log only rarely."""

    service: str
    status: int
    caller: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class RefusalReport:
    """The refused calls of some hours up to now, the most frequent first; `truncated`: there are more than were read."""

    calls: tuple[RefusedCalls, ...]
    hours: int
    truncated: bool
    source: DataSource

    @property
    def health(self) -> Health:
        """A warning where any call was refused; its sender may try again, or lose what it sent."""
        return Health.WARNING if self.calls else Health.OK

    @property
    def headline(self) -> str:
        """How many of each status."""
        counts = [(status, sum(c.count for c in self.calls if c.status == status)) for status in REFUSED_STATUSES]
        words = [f"{count:,} × {status}" for status, count in counts if count]
        bound = "at least " if self.truncated else ""
        return f"{bound}{', '.join(words)} in {self.hours} h" if words else f"No call was refused in {self.hours} h"


def read_refusals(clients: Clients, hours: int = DEFAULT_HOURS) -> RefusalReport:
    """The refused calls of the last `hours`; raises OnCallError when the log cannot be read."""
    now = clients.now()
    start = (now - timedelta(hours=hours)).replace(minute=0, second=0, microsecond=0)  # the same search for an hour
    search = f'{REFUSED_FILTER} AND timestamp>="{to_rfc3339(start)}"'

    def read() -> tuple[list[ListedEntry], bool]:
        with translate_errors("Cloud Logging"):
            return read_entries(clients, search, MAX_ENTRIES, "timestamp desc")

    if clients.cache.reuse_answers:
        entries, truncated = clients.cache.cached_log_lines(
            ("refused calls", search), OPEN_WINDOW_TTL_S, read, lambda answer: len(answer[0])
        )
    else:
        entries, truncated = read()
    return RefusalReport(
        group_calls(entries), hours, truncated, DataSource("Cloud Logging, requests", now, detail=search)
    )


def group_calls(entries: Iterable[ListedEntry]) -> tuple[RefusedCalls, ...]:
    """The calls by service, status and caller, the most frequent first. Pure."""
    times: dict[tuple[str, int, str], list[datetime]] = defaultdict(list)
    for entry in entries:
        service = str((entry.resource.labels or {}).get("service_name", ""))
        times[service, int(entry.request.get("status") or 0), _describe_caller(entry)].append(entry.timestamp)
    groups = [RefusedCalls(*key, len(found), min(found), max(found)) for key, found in times.items()]
    return tuple(sorted(groups, key=lambda calls: (-calls.count, calls.service, calls.status, calls.caller)))


def _describe_caller(entry: ListedEntry) -> str:
    """The calling account where the log has it, else what kind of caller it was, else its address."""
    if (account := _ACCOUNT.search(str(entry.payload or ""))) is not None:
        return account[0]
    agent = str(entry.request.get("userAgent") or "")
    known = next((name for start, name in _CALLERS.items() if agent.startswith(start)), "")
    return known or agent.split(" ")[0][:60] or str(entry.request.get("remoteIp") or "unknown")
