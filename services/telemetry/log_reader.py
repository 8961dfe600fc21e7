"""Log lines of the prediction services: text and JSON payloads, both spellings, each line once.

The customer's services write text lines, with the level in the text and no severity; ours write JSON entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Protocol

from google.cloud.logging_v2.resource import Resource

from services.core.clock import night_window, to_rfc3339
from services.core.freshness import FINAL_AFTER, OPEN_WINDOW_TTL_S
from services.core.result import DataSource, Problem
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.read_cache import NEVER_EXPIRES

SERVICE_FILTER = 'resource.type="cloud_run_revision"'
SERVICE_OR_JOB_FILTER = 'resource.type=("cloud_run_revision" OR "cloud_run_job")'

# Where `parse_entry` finds a message. A phrase without a field would search every field, and so match our own source
# files, functions and stack traces too.
MESSAGE_FIELDS = ("textPayload", "jsonPayload.message", "jsonPayload.event")


def message_contains(*phrases: str) -> str:
    """A Logging filter, in parentheses, for entries whose message contains one of the phrases in any case."""
    alternatives = " OR ".join(map(json.dumps, phrases))
    return "(" + " OR ".join(f"{field}:({alternatives})" for field in MESSAGE_FIELDS) + ")"


_WORKER, _COORDINATOR = 'resource.labels.service_name="{worker}"', 'resource.labels.service_name="{coordinator}"'

# The handoff's searches, for both spellings and both kinds of payload.
STAGING_WRITES_FILTER = f"{_WORKER} AND {message_contains('Staging write')}"
CONSOLIDATION_FILTER = f"{_COORDINATOR} AND {message_contains('consolidation')}"
DML_FILTER = f"{_WORKER} AND {message_contains('DML')}"
# A text line may carry its level in its words alone; a JSON line has its severity, and "critical" in it is only a word.
ERRORS_FILTER = (
    'resource.labels.service_name=~"prediction" AND (severity>=ERROR OR textPayload:("ERROR" OR "CRITICAL"))'
)
FAILED_PLAYERS_FILTER = f"{_WORKER} AND " + message_contains(
    "Error writing to BigQuery for",
    "STAGING WRITE FAILED for",
    "PERMANENT failure for",
    "TRANSIENT failure for",
)

STATUS_PHRASES = (
    "Starting prediction batch",
    "prediction requests [batch=",
    "complete! ",
    "STALLED",
    "Consolidation",
    "MERGE returned 0 rows",
    "TIMED OUT",
    "BATCH RESET",
)
STATUS_FILTER = f"{_COORDINATOR} AND {message_contains(*STATUS_PHRASES)}"
REJECTED_WRITES_FILTER = f"{_WORKER} AND " + message_contains(
    "Too many DML statements",
    "Error writing to BigQuery for",
    "STAGING WRITE FAILED",
    "total number of dml jobs writing to a table",
    "due to concurrent update",
)
# One read for all three: each read counts against a quota.
NIGHT_FILTER = f"({FAILED_PLAYERS_FILTER}) OR ({STATUS_FILTER}) OR ({REJECTED_WRITES_FILTER})"
MAX_NIGHT_LINES = 10_000

_PREFIX = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d+)? - (?P<logger>\S+) - (?P<level>[A-Z]+) - (?P<rest>.*)$", re.DOTALL
)
_LEVELS = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"}


@dataclass(frozen=True)
class LogLine:
    """One line. `repeats` counts the identical lines of the same second that it stands for."""

    at: datetime
    service: str
    revision: str
    severity: str
    message: str
    insert_id: str
    repeats: int = 1


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
            f"More lines match than the {sum(line.repeats for line in self.lines):,} that were read; what the others"
            " say is unknown.",
            "Search the log by hand, in a shorter window.",
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
    if not clients.cache.reuse_answers:
        return _fetch_lines(clients, filter_text, limit, newest_first)
    ttl_s = NEVER_EXPIRES if clients.now() - end > FINAL_AFTER else OPEN_WINDOW_TTL_S
    return clients.cache.cached_log_lines(
        ("log", filter_text, limit, newest_first),
        ttl_s,
        lambda: _fetch_lines(clients, filter_text, limit, newest_first),
        lambda log_lines: len(log_lines.lines),
    )


def read_night_log(clients: Clients, game_date: date, condition: str) -> LogLines:
    """A night's log with every line that matches `condition`, one of the filters that NIGHT_FILTER is made of.

    All panels share one read. Where that meets its bound, the newest lines of `condition` are read by themselves, so that a flood
    of other lines hides none. Raises OnCallError.
    """
    start, end = night_window(game_date)
    night = read_lines(clients, NIGHT_FILTER, start, end + timedelta(days=1), MAX_NIGHT_LINES)
    if not night.truncated:
        return night
    return read_lines(clients, condition, start, end + timedelta(days=1), MAX_NIGHT_LINES, newest_first=True)


def _fetch_lines(clients: Clients, filter_text: str, limit: int, newest_first: bool) -> LogLines:
    order_by = "timestamp desc" if newest_first else "timestamp asc"
    with translate_errors("Cloud Logging"):
        iterator = clients.logging.list_entries(filter_=filter_text, order_by=order_by, page_size=1000)
        entries = list(islice(iterator, limit + 1))
    read_entries = entries[:limit]
    lines = deduplicate(parse_entry(entry) for entry in (reversed(read_entries) if newest_first else read_entries))
    source = DataSource("Cloud Logging", clients.now(), detail=filter_text)
    return LogLines(lines, source, truncated=len(entries) > limit)


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


def parse_entry(entry: LoggingEntry) -> LogLine:
    """A Logging entry (text or JSON payload) as a line; where it has no severity, the level in its text counts."""
    labels = dict(entry.resource.labels) if entry.resource else {}
    text = _extract_text(entry.payload)
    match = _PREFIX.match(text)
    severity = str(entry.severity or "DEFAULT")
    if match is not None and severity == "DEFAULT" and match["level"] in _LEVELS:
        severity = match["level"]
    return LogLine(
        at=entry.timestamp,
        service=labels.get("service_name") or labels.get("job_name", ""),
        revision=labels.get("revision_name", ""),
        severity=severity,
        message=match["rest"] if match is not None else text,
        insert_id=str(entry.insert_id or ""),
    )


def deduplicate(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """Keep one of the lines with the same message, service and second, with the number of its repeats."""
    unique_lines: dict[tuple[str, datetime, str], LogLine] = {}
    for line in lines:
        key = (line.service, line.at.replace(microsecond=0), line.message)
        first = unique_lines.get(key)
        unique_lines[key] = line if first is None else replace(first, repeats=first.repeats + 1)
    return tuple(unique_lines.values())


def _extract_text(payload: object) -> str:
    if isinstance(payload, dict):
        return str(payload.get("message") or payload.get("event") or payload)
    return str(payload or "")


@dataclass(frozen=True)
class Preset:
    """A search that the person on call would type; `command` is the same with gcloud."""

    name: str
    condition: str
    description: str

    def command(self, clients: Clients) -> str:
        settings = clients.settings
        filter_text = self.condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
        return (
            f"gcloud logging read '{SERVICE_FILTER} AND ({filter_text})' --limit=50"
            " --format='table(timestamp,severity,textPayload,jsonPayload.message)'"
        )


PRESETS = (  # the worst first; the page opens with the first one
    Preset("Errors of the prediction services", ERRORS_FILTER, "Error or worse, by severity or by the text"),
    Preset("DML errors", DML_FILTER, "Writes that BigQuery rejected"),
    Preset("Lost players", FAILED_PLAYERS_FILTER, "A prediction or a write that failed, by player"),
    Preset("Staging writes", STAGING_WRITES_FILTER, "What the workers staged"),
    Preset("Consolidation", CONSOLIDATION_FILTER, "What the coordinator merged, in both spellings"),
)
