"""Addresses in the Google Cloud console: a BigQuery job or table, a Cloud Run service's revisions, a log query.

The sandbox has no console: there every address is "", and callers show no link.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from services.core.clock import to_rfc3339
from services.core.settings import Settings

CONSOLE = "https://console.cloud.google.com"


def job_url(settings: Settings, job_id: str, location: str) -> str:
    """A BigQuery job; "" where its location is not known, without which the console does not find it."""
    if not location:
        return ""
    return _url(settings, "/bigquery", j=f"bq:{location}:{job_id}", page="queryresults")


def table_url(settings: Settings, table: str) -> str:
    """A BigQuery table of this project, given as dataset.table."""
    dataset, _, name = table.partition(".")
    return _url(settings, "/bigquery", p=settings.project, d=dataset, t=name, page="table")


def revisions_url(settings: Settings, service: str) -> str:
    """The revisions of a Cloud Run service."""
    return _url(settings, f"/run/detail/{quote(settings.region, safe='')}/{quote(service, safe='')}/revisions")


def logs_url(settings: Settings, query: str, start: datetime, end: datetime) -> str:
    """A query in the Logs Explorer, between two instants."""
    # Its parameters are part of the path, separated by semicolons: what separates them is encoded in the query.
    parts = {"query": query, "timeRange": f"{to_rfc3339(start)}/{to_rfc3339(end)}"}
    return _url(settings, "/logs/query" + "".join(f";{name}={quote(value, safe='')}" for name, value in parts.items()))


def _url(settings: Settings, path: str, **query_params: str) -> str:
    if settings.in_sandbox:
        return ""
    return f"{CONSOLE}{path}?{urlencode({**query_params, 'project': settings.project})}"
