"""Log lines of the prediction services: both payload kinds, both spellings, each line once, severity from its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from services.core.clock import night_window, to_rfc3339
from services.core.freshness import FINAL_AFTER, OPEN_WINDOW_TTL_S
from services.core.result import DataSource
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.read_cache import NEVER_EXPIRES

SERVICE_FILTER = 'resource.type="cloud_run_revision"'
SERVICE_OR_JOB_FILTER = 'resource.type=("cloud_run_revision" OR "cloud_run_job")'

# The handoff's searches, for both spellings and both kinds of payload.
STAGING_WRITES_FILTER = 'resource.labels.service_name="{worker}" AND ("Staging write" OR "STAGING WRITE")'
CONSOLIDATION_FILTER = 'resource.labels.service_name="{coordinator}" AND "consolidation"'
DML_FILTER = 'resource.labels.service_name="{worker}" AND "DML"'
ERRORS_FILTER = 'resource.labels.service_name=~"prediction" AND (severity>=ERROR OR "ERROR" OR "CRITICAL")'
FAILED_PLAYERS_FILTER = (
    'resource.labels.service_name="{worker}" AND ("Error writing to BigQuery for" OR "STAGING WRITE FAILED for"'
    ' OR "PERMANENT failure for" OR "TRANSIENT failure for")'
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
STATUS_FILTER = f'resource.labels.service_name="{{coordinator}}" AND ({" OR ".join(map(json.dumps, STATUS_PHRASES))})'
REJECTED_WRITES_FILTER = (
    'resource.labels.service_name="{worker}" AND ("Too many DML statements" OR "Error writing to BigQuery for"'
    ' OR "STAGING WRITE FAILED" OR "total number of dml jobs writing to a table" OR "due to concurrent update")'
)
NIGHT_FILTER = f"({FAILED_PLAYERS_FILTER}) OR ({STATUS_FILTER}) OR ({REJECTED_WRITES_FILTER})"  # asked at once: each read counts against a quota
MAX_NIGHT_LINES = 10_000

_PREFIX = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d+)? - (?P<logger>\S+) - (?P<level>[A-Z]+) - (?P<rest>.*)$", re.DOTALL
)
_LEVELS = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"}


@dataclass(frozen=True)
class LogLine:
    """One line. `repeats` counts identical lines of the same second that were folded into it."""

    at: datetime
    service: str
    revision: str
    severity: str
    message: str
    insert_id: str
    repeats: int = 1


@dataclass(frozen=True)
class LogLines:
    lines: tuple[LogLine, ...]
    source: DataSource
    truncated: bool = False


def read_lines(
    clients: Clients,
    condition: str,
    start: datetime,
    end: datetime,
    limit: int = 1000,
    resource_filter: str = SERVICE_FILTER,
) -> LogLines:
    """Lines matching a Logging filter between two instants, oldest first, repeats folded; raises OnCallError.

    `condition` may name {worker} and {coordinator}. The window is always part of the filter: without one the client adds its own.
    """
    settings = clients.settings
    expression = condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
    filter_text = (
        f'{resource_filter} AND ({expression}) AND timestamp>="{to_rfc3339(start)}" AND timestamp<"{to_rfc3339(end)}"'
    )
    if not clients.cache.reuse_answers:
        return _fetch_lines(clients, filter_text, limit)
    ttl_s = NEVER_EXPIRES if clients.now() - end > FINAL_AFTER else OPEN_WINDOW_TTL_S
    return clients.cache.cached_log_lines(
        ("log", filter_text, limit),
        ttl_s,
        lambda: _fetch_lines(clients, filter_text, limit),
        lambda log_lines: len(log_lines.lines),
    )


def read_night_log(clients: Clients, game_date: date) -> LogLines:
    """What the desk's panels need of a night's log, all in one read: failed players, refused writes, the coordinator's word."""
    start, end = night_window(game_date)
    return read_lines(clients, NIGHT_FILTER, start, end + timedelta(days=1), MAX_NIGHT_LINES)


def _fetch_lines(clients: Clients, filter_text: str, limit: int) -> LogLines:
    with translate_errors("Cloud Logging"):
        entries = list(
            islice(
                clients.logging.list_entries(filter_=filter_text, order_by="timestamp asc", page_size=1000), limit + 1
            )
        )
    lines = deduplicate(parse_entry(entry) for entry in entries[:limit])
    return LogLines(
        lines, DataSource("Cloud Logging", clients.now(), detail=filter_text), truncated=len(entries) > limit
    )


def parse_entry(entry: Any) -> LogLine:
    """A Logging entry (text or JSON payload) as a line; the level in its text wins over an unset severity."""
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
    """The same message of the same service and second counts once, with its repeats."""
    unique_lines: dict[tuple[str, datetime, str], LogLine] = {}
    for line in lines:
        key = (line.service, line.at.replace(microsecond=0), line.message)
        first = unique_lines.get(key)
        unique_lines[key] = line if first is None else replace(first, repeats=first.repeats + 1)
    return tuple(unique_lines.values())


def _extract_text(payload: Any) -> str:
    if isinstance(payload, dict):
        return str(payload.get("message") or payload.get("event") or payload)
    return str(payload or "")


@dataclass(frozen=True)
class Preset:
    """A search that the person on call would type: `command` does the same by hand."""

    name: str
    condition: str
    description: str

    def command(self, clients: Clients) -> str:
        settings = clients.settings
        filter_text = self.condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
        return f"gcloud logging read '{SERVICE_FILTER} AND ({filter_text})' --limit=50 --format='table(timestamp,textPayload)'"


PRESETS = (  # what went wrong first: the first is what the page opens with
    Preset("Errors of the prediction services", ERRORS_FILTER, "Error or worse, by severity or by the text"),
    Preset("DML errors", DML_FILTER, "Writes that BigQuery rejected"),
    Preset("Lost players", FAILED_PLAYERS_FILTER, "A prediction or a write that failed, by player"),
    Preset("Staging writes", STAGING_WRITES_FILTER, "What the workers staged"),
    Preset("Consolidation", CONSOLIDATION_FILTER, "What the coordinator merged, in both spellings"),
)
