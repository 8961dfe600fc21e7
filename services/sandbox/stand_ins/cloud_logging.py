"""Cloud Logging's stand-in: entries listed by filter, entries written by its API or read from a service's stdout."""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from google.cloud.logging_v2.types import ListLogEntriesRequest, LogEntry, WriteLogEntriesRequest

from services.core.clock import Clock, to_rfc3339
from services.sandbox.stand_ins import log_filter
from services.sandbox.stand_ins.request_messages import RequestRefused, parse_message

MAX_PAGE_SIZE, SCAN_LIMIT = 1_000, 1_000
RETENTION, MAX_AHEAD = timedelta(days=30), timedelta(hours=24)

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
    try:
        fields = parse_message(special, LogEntry)
    except RequestRefused:  # a special field of another type is an ordinary one
        return {"severity": special["severity"], "jsonPayload": dict(payload)}
    ordinary = {name: value for name, value in payload.items() if name not in _SPECIAL_FIELDS}
    return {"severity": special["severity"], **fields, "jsonPayload": ordinary}


@dataclass(frozen=True)
class _StoredEntry:
    """An entry, its place in time, and the second from which searches find it."""

    key: tuple[str, str, str]  # timestamp (RFC 3339), insertId, logName: equal keys are one entry
    readable_at_s: float
    entry: Mapping[str, Any]


class LogStore:
    """Every entry of the project, by time.

    What is written is readable after `ingestion_delay_s`. One page searches at most `scan_limit` entries: like Google, it
    returns what it has found by then, which may be nothing, and a token to go on with. Both can be set.
    """

    def __init__(
        self, clock: Clock, project: str, ingestion_delay_s: float = 1.0, scan_limit: int = SCAN_LIMIT
    ) -> None:
        self._clock, self._project = clock, project
        self.ingestion_delay_s, self.scan_limit = ingestion_delay_s, scan_limit
        self._entries: list[_StoredEntry] = []

    def add(
        self, entries: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any] | None = None, delay_s: float = 0.0
    ) -> None:
        """Keep entries, readable after `delay_s` and not before their own time.

        What they lack comes from the request's defaults, the time from the clock.
        Of entries with the same time, insertId and log only the first is kept, as Google's searches show them.
        """
        now_s, now = self._clock.now().timestamp(), to_rfc3339(self._clock.now())
        for raw_entry in entries:
            entry = {**(defaults or {}), **raw_entry}
            entry.setdefault("timestamp", now)
            entry.setdefault("insertId", uuid.uuid4().hex[:16])
            entry.setdefault("receiveTimestamp", now)
            entry.setdefault("severity", "DEFAULT")
            entry.setdefault("logName", f"projects/{self._project}/logs/run.googleapis.com%2Fstdout")
            entry.setdefault("resource", {"type": "global", "labels": {"project_id": self._project}})
            at = datetime.fromisoformat(str(entry["timestamp"]))
            readable_at_s = max(at.timestamp(), now_s + delay_s if delay_s else 0)
            stored = _StoredEntry((to_rfc3339(at), str(entry["insertId"]), entry["logName"]), readable_at_s, entry)
            place = bisect.bisect_left(self._entries, stored.key, key=attrgetter("key"))
            if self._entries[place : place + 1] and self._entries[place].key == stored.key:
                continue
            self._entries.insert(place, stored)

    def write(self, body: object) -> None:
        """entries.write; raises RequestRefused for entries that are none.

        Entries older than the retention or more than a day ahead are accepted and dropped, as Google does.
        """
        request = parse_message(body, WriteLogEntriesRequest)  # canonical: a severity may have been sent as its number
        defaults: dict[str, Any] = {
            name: request[name] for name in ("logName", "resource", "labels") if name in request
        }
        entries = request.get("entries", ())
        if any(not {"logName", "resource"} <= {*entry, *defaults} for entry in entries):
            raise RequestRefused(400, "Every log entry needs a logName and a resource.")
        now = self._clock.now()
        kept = []
        for entry in entries:
            at = datetime.fromisoformat(entry.get("timestamp") or to_rfc3339(now))
            if now - RETENTION <= at <= now + MAX_AHEAD and not request.get("dryRun"):
                kept.append({name: value for name, value in entry.items() if name != "receiveTimestamp"})
        self.add(kept, defaults, self.ingestion_delay_s)

    def list(self, body: object) -> dict[str, Any]:
        """entries.list: one page, oldest first unless ordered otherwise, of the entries that are readable by now.

        Raises FilterError for a filter that cannot be read, RequestRefused for any other fault in the request.
        """
        request = parse_message(body, ListLogEntriesRequest)
        order, size = request.get("orderBy", "timestamp asc"), request.get("pageSize", 50)
        if order not in ("timestamp asc", "timestamp desc", "timestamp"):
            raise RequestRefused(400, f"Invalid order_by: {order!r}; it is 'timestamp asc' or 'timestamp desc'.")
        if not 0 < size <= MAX_PAGE_SIZE:
            raise RequestRefused(400, f"page_size must be between 1 and {MAX_PAGE_SIZE}.")
        if not request.get("resourceNames"):
            raise RequestRefused(400, "At least one resource name is needed in resource_names.")
        text, descending = request.get("filter", ""), order.endswith("desc")
        matches = log_filter.parse(text)
        candidates = self._in_window(text, descending, _read_token(request))
        found, scanned, now_s = [], 0, self._clock.now().timestamp()
        for stored in candidates[: self.scan_limit]:
            scanned += 1
            if stored.readable_at_s <= now_s and matches(stored.entry):
                found.append(stored.entry)
            if len(found) == size:
                break
        response: dict[str, Any] = {"entries": found} if found else {}
        if scanned < len(candidates) or len(found) == size:
            response["nextPageToken"] = _to_token(request, candidates[scanned - 1].key)
        return response

    def _in_window(self, text: str, descending: bool, after: tuple[str, ...] | None) -> Sequence[_StoredEntry]:
        """The entries between the filter's instants in the order asked for, from behind a page's last one on."""
        start, end = map(to_rfc3339, log_filter.time_bounds(text))
        first = bisect.bisect_left(self._entries, start, key=lambda stored: stored.key[0])
        last = bisect.bisect_right(self._entries, end, key=lambda stored: stored.key[0])
        if after is not None and descending:
            last = min(last, bisect.bisect_left(self._entries, after, key=attrgetter("key")))
        if after is not None and not descending:
            first = max(first, bisect.bisect_right(self._entries, after, key=attrgetter("key")))
        return self._entries[first:last][:: -1 if descending else 1]


def _to_token(request: Mapping[str, Any], key: tuple[str, ...]) -> str:
    """A page token: where the page ended, bound to the request's other arguments."""
    return base64.urlsafe_b64encode(json.dumps([_arguments(request), key]).encode()).decode()


def _read_token(request: Mapping[str, Any]) -> tuple[str, ...] | None:
    if not request.get("pageToken"):
        return None
    try:
        arguments, key = json.loads(base64.urlsafe_b64decode(request["pageToken"]))
    except ValueError:
        raise RequestRefused(400, "page_token is not valid.") from None
    if arguments != _arguments(request):
        # https://github.com/googleapis/nodejs-logging/issues/1292
        raise RequestRefused(400, "page_token doesn't match arguments from the request")
    return tuple(key)


def _arguments(request: Mapping[str, Any]) -> str:
    """A hash of what has to stay the same from page to page."""
    fixed = [request.get(name) for name in ("filter", "orderBy", "resourceNames")]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:16]
