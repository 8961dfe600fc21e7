"""Searches of Cloud Logging page by page: an empty page is not the end, and each page is a read of the quota."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from google.api_core.page_iterator import HTTPIterator
from google.cloud.logging_v2.resource import Resource

from services.gcp.clients import Clients

PAGE_SIZE, MAX_PAGES = 1_000, 20


@dataclass(frozen=True)
class ListedEntry:
    """An entry as it is read here; the client's own entries ask the machine's metadata server who it is, for each log."""

    payload: object
    severity: str | None
    timestamp: datetime
    insert_id: str | None
    resource: Resource
    log_name: str | None
    request: Mapping[str, Any] = field(default_factory=dict)  # of a request log: httpRequest


class _EntryListing(HTTPIterator):
    """entries.list with its pages, which the client's own generator hides."""

    _HTTP_METHOD = "POST"


def read_entries(
    clients: Clients, filter_text: str, limit: int, order_by: str = "timestamp asc", max_pages: int = MAX_PAGES
) -> tuple[list[ListedEntry], bool]:
    """The first `limit` entries of a search, and whether there may be more.

    It ends at `limit` or after `max_pages` pages. Raises what Google's client raises.
    """
    listing = _EntryListing(  # type: ignore[no-untyped-call]  # api_core has no types here
        clients.logging,
        partial(clients.logging._connection.api_request, timeout=clients.settings.query_timeout_s),
        "/entries:list",
        lambda _, resource: _to_entry(resource),
        items_key="entries",
        extra_params={
            "resourceNames": [f"projects/{clients.settings.project}"],
            "filter": filter_text,
            "orderBy": order_by,
            "pageSize": PAGE_SIZE,
        },
    )
    entries: dict[tuple[object, ...], ListedEntry] = {}
    for page in listing.pages:
        # An entry of the same time, insertId and log is one entry that was sent twice.
        entries |= {(entry.timestamp, entry.insert_id, entry.log_name): entry for entry in page}
        if len(entries) > limit or listing.page_number == max_pages:
            break
        if listing.next_page_token:
            clients.cache.record_log_read()
    may_have_more = len(entries) > limit or listing.next_page_token is not None
    return list(entries.values())[:limit], may_have_more


def _to_entry(resource: Mapping[str, Any]) -> ListedEntry:
    source = resource.get("resource") or {}
    return ListedEntry(
        payload=resource.get("textPayload") or resource.get("jsonPayload") or _describe_event(resource),
        severity=resource.get("severity"),
        timestamp=datetime.fromisoformat(resource["timestamp"]),
        insert_id=resource.get("insertId"),
        resource=Resource(type=source.get("type", ""), labels=source.get("labels") or {}),
        log_name=resource.get("logName"),
        request=resource.get("httpRequest") or {},
    )


def _describe_event(resource: Mapping[str, Any]) -> str:
    """The text of an entry without one: a request that a service answered, or what an audit log records."""
    request, audit = resource.get("httpRequest") or {}, resource.get("protoPayload") or {}
    result = (audit.get("status") or {}).get("message", "")
    parts = (
        request.get("status"),
        request.get("requestMethod"),
        request.get("requestUrl"),
        request.get("latency"),
        audit.get("methodName"),
        audit.get("resourceName"),
        result,
    )
    return " ".join(str(part) for part in parts if part)
