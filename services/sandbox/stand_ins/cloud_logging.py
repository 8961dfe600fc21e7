"""Cloud Logging's stand-in: entries listed by filter, entries written by its API or read from a service's stdout."""

from __future__ import annotations

import bisect
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.core.clock import Clock, to_rfc3339
from services.sandbox.stand_ins import log_filter

# Fields of a JSON line that Cloud Run's agent moves out of jsonPayload, and the LogEntry field each becomes.
# https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
_SPECIAL_FIELDS = {
    "severity": "severity",
    "time": "timestamp",
    "httpRequest": "httpRequest",
    "logging.googleapis.com/insertId": "insertId",
    "logging.googleapis.com/labels": "labels",
    "logging.googleapis.com/operation": "operation",
    "logging.googleapis.com/sourceLocation": "sourceLocation",
    "logging.googleapis.com/spanId": "spanId",
    "logging.googleapis.com/trace": "trace",
    "logging.googleapis.com/trace_sampled": "traceSampled",
}


def entries_from_stdout(text: str) -> Iterator[dict[str, Any]]:
    """What Cloud Run's agent makes of text on a service's stdout: an entry per line, a JSON object as jsonPayload."""
    for line in filter(None, text.split("\n")):
        try:
            payload = json.loads(line)
        except ValueError:
            payload = None
        yield _structured_entry(payload) if isinstance(payload, dict) else {"textPayload": line}


def _structured_entry(payload: Mapping[str, Any]) -> dict[str, Any]:
    special = {_SPECIAL_FIELDS[name]: value for name, value in payload.items() if name in _SPECIAL_FIELDS and value}
    severity = str(special.get("severity", "DEFAULT")).upper()
    special["severity"] = severity if severity in log_filter.SEVERITIES else "DEFAULT"
    return {
        **special,
        "jsonPayload": {name: value for name, value in payload.items() if name not in _SPECIAL_FIELDS},
    }


class LogStore:
    """Every entry of the project, by time."""

    def __init__(self, clock: Clock, project: str) -> None:
        self._clock, self._project = clock, project
        self._entries: list[tuple[str, str, Mapping[str, Any]]] = []

    def add(self, entries: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any] | None = None) -> None:
        """Keep entries; what they lack comes from the request's defaults, the time from the clock."""
        now = to_rfc3339(self._clock.now())
        for raw_entry in entries:
            entry = {**(defaults or {}), **raw_entry}
            entry.setdefault("timestamp", now)
            entry.setdefault("insertId", uuid.uuid4().hex[:16])
            entry.setdefault("receiveTimestamp", now)
            entry.setdefault("severity", "DEFAULT")
            entry.setdefault("logName", f"projects/{self._project}/logs/run.googleapis.com%2Fstdout")
            entry.setdefault("resource", {"type": "global", "labels": {"project_id": self._project}})
            key = to_rfc3339(datetime.fromisoformat(str(entry["timestamp"])))
            bisect.insort(self._entries, (key, str(entry["insertId"]), entry), key=lambda e: e[:2])

    def list(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """entries.list: filtered, ordered, paged, none of the future; raises FilterError for a filter that cannot be read."""
        text = str(body.get("filter") or "")
        matches = log_filter.parse(text)
        start_at, end_at = map(to_rfc3339, log_filter.time_bounds(text))
        first = bisect.bisect_left(self._entries, start_at, key=lambda e: e[0])
        last = bisect.bisect_right(self._entries, min(end_at, to_rfc3339(self._clock.now())), key=lambda e: e[0])
        entries = [entry for _, _, entry in self._entries[first:last] if matches(entry)]
        if str(body.get("orderBy") or "").endswith("desc"):
            entries.reverse()
        start, size = int(body.get("pageToken") or 0), min(int(body.get("pageSize") or 50), 1_000)
        response: dict[str, Any] = {"entries": entries[start : start + size]} if entries[start : start + size] else {}
        if start + size < len(entries):
            response["nextPageToken"] = str(start + size)
        return response
