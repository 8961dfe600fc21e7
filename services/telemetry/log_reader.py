"""Log lines of the prediction services: text and JSON payloads, both spellings, each line once.

The customer's services write text lines, with the level in the text and no severity; ours write JSON entries.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Protocol

from google.cloud.logging_v2.resource import Resource

from services.core.clock import night_window, to_rfc3339
from services.core.freshness import FINAL_AFTER, OPEN_WINDOW_TTL_S
from services.core.result import DataSource, Problem
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.read_cache import NEVER_EXPIRES
from services.telemetry.log_pages import MAX_PAGES, read_entries
from services.telemetry.log_phrases import (
    CONSOLIDATION_FILTER,
    DML_FILTER,
    ERRORS_FILTER,
    FAILED_PLAYERS_FILTER,
    NIGHT_FILTER,
    STAGING_WRITES_FILTER,
    split_prefix,
    without_mark,
)

SERVICE_FILTER = 'resource.type="cloud_run_revision"'
SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
ERROR_SEVERITIES = SEVERITIES[SEVERITIES.index("ERROR") :]
SERVICE_OR_JOB_FILTER = 'resource.type=("cloud_run_revision" OR "cloud_run_job")'

MAX_NIGHT_LINES = 10_000
# Whose line it is: of a Cloud Run service or job, a function, a scheduled job, a topic or a subscription.
NAME_LABELS = ("service_name", "job_name", "function_name", "job_id", "topic_id", "subscription_id")

HOUR = timedelta(hours=1)
_TWIN_DISTANCE = timedelta(seconds=1)


@dataclass(frozen=True)
class LogLine:
    """One line, said `repeats` times within a second, of `entries` log entries: one on both streams is two entries."""

    at: datetime
    service: str
    revision: str
    severity: str
    message: str
    insert_id: str
    repeats: int = 1
    entries: int = 1
    stream: str = ""  # stdout or stderr


@dataclass(frozen=True)
class LogLines:
    """The lines of a search, oldest first; `truncated` when there are more than were read, and a line that is not here proves nothing."""

    lines: tuple[LogLine, ...]
    source: DataSource
    truncated: bool = False

    @property
    def problem(self) -> Problem | None:
        """What was not read, in a sentence; None when everything was."""
        if not self.truncated:
            return None
        return Problem(
            "Cloud Logging",
            self.source.read_at,
            "More lines match than a search reads; what the others say is unknown.",
            "Search the log with gcloud, in a shorter window.",
        )


def read_lines(
    clients: Clients,
    condition: str,
    start: datetime,
    end: datetime,
    limit: int = 1000,
    resource_filter: str = SERVICE_FILTER,
    *,
    newest_first: bool = False,
) -> LogLines:
    """Lines matching a Logging filter between two instants, oldest first, without repeats; raises OnCallError.

    Of more than `limit` lines the oldest are read, or the newest with `newest_first`, and the result is `truncated`.

    `condition` may name {worker} and {coordinator}. The window is always part of the filter: without one the client adds its own.
    """
    settings = clients.settings
    expression = condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
    filter_text = (
        f'{resource_filter} AND ({expression}) AND timestamp>="{to_rfc3339(start)}" AND timestamp<"{to_rfc3339(end)}"'
    )
    return read_filter(clients, filter_text, end, limit, newest_first=newest_first)


def read_filter(
    clients: Clients, filter_text: str, end: datetime, limit: int, *, newest_first: bool, max_pages: int = MAX_PAGES
) -> LogLines:
    """Lines matching a whole filter, whose window ends at `end`, as `read_lines` gives them; raises OnCallError."""
    if not clients.cache.reuse_answers:
        return fetch_lines(clients, filter_text, limit, newest_first=newest_first, max_pages=max_pages)
    ttl_s = NEVER_EXPIRES if clients.now() - end > FINAL_AFTER else OPEN_WINDOW_TTL_S
    return clients.cache.cached_log_lines(
        ("log", filter_text, limit, newest_first, max_pages),
        ttl_s,
        lambda: fetch_lines(clients, filter_text, limit, newest_first=newest_first, max_pages=max_pages),
        lambda log_lines: len(log_lines.lines),
    )


def read_night_log(clients: Clients, game_date: date, *conditions: str, run_times: Iterable[datetime] = ()) -> LogLines:
    """The log of a date's runs for the dashboard's panels: failed players, rejected writes, the coordinator's states.

    One read from the day before the night, when a run may be made for tomorrow, to the day after; a second one around the
    `run_times` that are later, which are asked for after the first. Lines of the runs of other dates are among them. Raises
    OnCallError.

    All panels share these reads. Where one meets its bound, the newest lines of each of `conditions`, which are filters that
    NIGHT_FILTER is made of, are read by themselves: a flood of other lines hides none that decides.
    """
    start, end = night_window(game_date)
    end += timedelta(days=1)
    lines = _read_deciding_lines(clients, start - timedelta(days=1), end, conditions)
    if not (later := [at for at in run_times if at >= end]):
        return lines
    since, until = (
        _full_hour(min(later) - HOUR / 2),
        _full_hour(max(later)) + 2 * HOUR,
    )  # full hours: the same search is cached
    more = _read_deciding_lines(clients, max(end, since), until, conditions)
    return replace(lines, lines=(*lines.lines, *more.lines), truncated=lines.truncated or more.truncated)


def _full_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _read_deciding_lines(clients: Clients, start: datetime, end: datetime, conditions: Iterable[str]) -> LogLines:
    night = read_lines(clients, NIGHT_FILTER, start, end, MAX_NIGHT_LINES)
    if not night.truncated:
        return night
    parts = [read_lines(clients, part, start, end, MAX_NIGHT_LINES, newest_first=True) for part in conditions]
    lines = sorted((line for part in parts for line in part.lines), key=lambda line: line.at)
    return LogLines(tuple(lines), parts[0].source, truncated=any(part.truncated for part in parts))


def fetch_lines(
    clients: Clients, filter_text: str, limit: int, *, newest_first: bool, max_pages: int = MAX_PAGES
) -> LogLines:
    """The same from Cloud Logging, whatever was read before; raises OnCallError."""
    order_by = "timestamp desc" if newest_first else "timestamp asc"
    with translate_errors("Cloud Logging"):
        entries, truncated = read_entries(clients, filter_text, limit, order_by, max_pages)
    lines = deduplicate(parse_entry(entry) for entry in (reversed(entries) if newest_first else entries))
    source = DataSource("Cloud Logging", clients.now(), detail=filter_text)
    return LogLines(lines, source, truncated)


class LoggingEntry(Protocol):
    """What is read of an entry that google-cloud-logging lists; its payload is a text or a JSON object."""

    @property
    def payload(self) -> object: ...
    @property
    def severity(self) -> str | None: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def insert_id(self) -> str | None: ...
    @property
    def resource(self) -> Resource | None: ...
    @property
    def log_name(self) -> str | None: ...


def parse_entry(entry: LoggingEntry) -> LogLine:
    """A Logging entry (text or JSON payload) as a line; where it has no severity, the level in its text counts."""
    labels = dict(entry.resource.labels) if entry.resource else {}
    level, message = split_prefix(_extract_text(entry.payload))
    severity = str(entry.severity or "DEFAULT")
    return LogLine(
        at=entry.timestamp,
        service=next(filter(None, map(labels.get, NAME_LABELS)), ""),
        revision=labels.get("revision_name", ""),
        severity=level if severity == "DEFAULT" else severity,
        message=message,
        insert_id=str(entry.insert_id or ""),
        stream=str(entry.log_name or "").rpartition("%2F")[2],
    )


def deduplicate(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """One of the lines that say the same within a second, and how often it was said.

    What a service writes to both of its streams, or prints beside logging it, is one event: the stream with more of it counts.
    """
    groups: list[list[LogLine]] = []
    newest: dict[tuple[str, str], list[LogLine]] = {}
    for line in lines:
        key = (line.service, without_mark(line.message))
        group = newest.get(key)
        if group is None or line.at - group[0].at >= _TWIN_DISTANCE:
            group = newest[key] = []
            groups.append(group)
        group.append(line)
    return tuple(map(_fold, groups))


def _fold(group: list[LogLine]) -> LogLine:
    worst = max(group, key=lambda line: SEVERITIES.index(line.severity) if line.severity in SEVERITIES else 0)
    repeats = max(Counter(line.stream for line in group).values())
    return replace(group[0], severity=worst.severity, repeats=repeats, entries=len(group))


def _extract_text(payload: object) -> str:
    if isinstance(payload, dict):
        return str(payload.get("message") or payload.get("event") or payload)
    return str(payload or "")


@dataclass(frozen=True)
class Preset:
    """A search that the person on call would type; `command` is the same with gcloud, for the same night."""

    name: str
    condition: str
    description: str

    def command(self, clients: Clients, game_date: date) -> str:
        settings, (start, end) = clients.settings, night_window(game_date)
        names = {"worker": settings.worker_service, "coordinator": settings.coordinator_service}
        # Without a time gcloud reads the last 24 hours.
        filter_text = (
            f'{SERVICE_FILTER.format(**names)} AND timestamp>="{to_rfc3339(start)}" AND timestamp<"{to_rfc3339(end)}"'
            f" AND ({self.condition.format(**names)})"
        )
        return (
            f"gcloud logging read {shlex.quote(filter_text)} --limit=50 --project={settings.project}"
            " --format='table(timestamp,severity,textPayload,jsonPayload.message)'"
        )


PRESETS = (  # the worst first; the page opens with the first one
    Preset("Service errors", ERRORS_FILTER, "Severity ERROR or worse, or error text"),
    Preset("DML errors", DML_FILTER, "Writes that BigQuery rejected"),
    Preset("Failed players", FAILED_PLAYERS_FILTER, "A prediction or a write that failed, by player"),
    Preset("Staging writes", STAGING_WRITES_FILTER, "Worker staging writes"),
    Preset("Consolidation", CONSOLIDATION_FILTER, "Coordinator merges"),
)
