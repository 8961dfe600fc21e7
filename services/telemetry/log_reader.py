"""Log lines of the prediction services: both payload kinds, both spellings, each line once, severity from its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from services.core.clock import night_window
from services.core.result import Source
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.gcp.read_cache import FOREVER

SERVICES = 'resource.type="cloud_run_revision"'
JOBS_TOO = 'resource.type=("cloud_run_revision" OR "cloud_run_job")'

# The handoff's searches, for both spellings and both kinds of payload.
STAGING_WRITES = 'resource.labels.service_name="{worker}" AND ("Staging write" OR "STAGING WRITE")'
CONSOLIDATION = 'resource.labels.service_name="{coordinator}" AND "consolidation"'
DML = 'resource.labels.service_name="{worker}" AND "DML"'
ERRORS = 'resource.labels.service_name=~"prediction" AND (severity>=ERROR OR "ERROR" OR "CRITICAL")'
FAILED_PLAYERS = (
    'resource.labels.service_name="{worker}" AND ("Error writing to BigQuery for" OR "STAGING WRITE FAILED for"'
    ' OR "PERMANENT failure for" OR "TRANSIENT failure for")'
)

STATUS_WORDS = (
    "Starting prediction batch",
    "prediction requests [batch=",
    "complete! ",
    "STALLED",
    "Consolidation",
    "MERGE returned 0 rows",
    "TIMED OUT",
    "BATCH RESET",
)
STATUS = f'resource.labels.service_name="{{coordinator}}" AND ({" OR ".join(map(json.dumps, STATUS_WORDS))})'
REJECTED = (
    'resource.labels.service_name="{worker}" AND ("Too many DML statements" OR "Error writing to BigQuery for"'
    ' OR "STAGING WRITE FAILED" OR "total number of dml jobs writing to a table" OR "due to concurrent update")'
)
OF_A_NIGHT = f"({FAILED_PLAYERS}) OR ({STATUS}) OR ({REJECTED})"  # asked at once: each read counts against a quota
MOST_OF_A_NIGHT = 10_000
OPEN_FOR_S = 60.0  # how long lines hold while more may come
CLOSED_AFTER = timedelta(hours=1)  # a line may be this late

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
class Lines:
    lines: tuple[LogLine, ...]
    source: Source
    truncated: bool = False


def read_lines(
    cloud: Cloud, condition: str, start: datetime, end: datetime, limit: int = 1000, of: str = SERVICES
) -> Lines:
    """Lines matching a Logging filter between two instants, oldest first, repeats folded; raises OnCallError.

    `condition` may name {worker} and {coordinator}. The window is always part of the filter: without one the client adds its own.
    """
    settings = cloud.settings
    wanted = condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
    told = f'{of} AND ({wanted}) AND timestamp>="{_rfc3339(start)}" AND timestamp<"{_rfc3339(end)}"'
    if cloud.kept is None:
        return _read(cloud, told, limit)
    holds_s = FOREVER if cloud.now() - end > CLOSED_AFTER else OPEN_FOR_S
    return cloud.kept.lines(("log", told, limit), holds_s, lambda: _read(cloud, told, limit), lambda x: len(x.lines))


def read_night(cloud: Cloud, game_date: date) -> Lines:
    """What the desk's panels need of a night's log, all in one read: failed players, refused writes, the coordinator's word."""
    start, end = night_window(game_date)
    return read_lines(cloud, OF_A_NIGHT, start, end + timedelta(days=1), MOST_OF_A_NIGHT)


def _read(cloud: Cloud, told: str, limit: int) -> Lines:
    with reading_from("Cloud Logging"):
        entries = list(
            islice(cloud.logging.list_entries(filter_=told, order_by="timestamp asc", page_size=1000), limit + 1)
        )
    lines = fold(parse(entry) for entry in entries[:limit])
    return Lines(lines, Source("Cloud Logging", cloud.now(), detail=told), truncated=len(entries) > limit)


def parse(entry: Any) -> LogLine:
    """A Logging entry (text or JSON payload) as a line; the level in its text wins over an unset severity."""
    labels = dict(entry.resource.labels) if entry.resource else {}
    text = _text_of(entry.payload)
    told = _PREFIX.match(text)
    severity = str(entry.severity or "DEFAULT")
    if told is not None and severity == "DEFAULT" and told["level"] in _LEVELS:
        severity = told["level"]
    return LogLine(
        at=entry.timestamp,
        service=labels.get("service_name") or labels.get("job_name", ""),
        revision=labels.get("revision_name", ""),
        severity=severity,
        message=told["rest"] if told is not None else text,
        insert_id=str(entry.insert_id or ""),
    )


def fold(lines: Iterable[LogLine]) -> tuple[LogLine, ...]:
    """The same message of the same service and second counts once, with its repeats."""
    kept: dict[tuple[str, datetime, str], LogLine] = {}
    for line in lines:
        key = (line.service, line.at.replace(microsecond=0), line.message)
        first = kept.get(key)
        kept[key] = line if first is None else replace(first, repeats=first.repeats + 1)
    return tuple(kept.values())


def _text_of(payload: Any) -> str:
    if isinstance(payload, dict):
        return str(payload.get("message") or payload.get("event") or payload)
    return str(payload or "")


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Preset:
    """A search that the person on call would type: `command` does the same by hand."""

    name: str
    condition: str
    about: str

    def command(self, cloud: Cloud) -> str:
        settings = cloud.settings
        told = self.condition.format(worker=settings.worker_service, coordinator=settings.coordinator_service)
        return f"gcloud logging read '{SERVICES} AND ({told})' --limit=50 --format='table(timestamp,textPayload)'"


PRESETS = (  # what went wrong first: the first is what the page opens with
    Preset("Errors of the prediction services", ERRORS, "Error or worse, by severity or by the text"),
    Preset("DML errors", DML, "Writes that BigQuery rejected"),
    Preset("Lost players", FAILED_PLAYERS, "A prediction or a write that failed, by player"),
    Preset("Staging writes", STAGING_WRITES, "What the workers staged"),
    Preset("Consolidation", CONSOLIDATION, "What the coordinator merged, in both spellings"),
)
