"""The first stored night: an earlier date is unknown, not an empty night."""

from __future__ import annotations

from datetime import date

from services.gcp import query_catalog
from services.gcp.clients import Clients


def read_first_night(clients: Clients) -> date | None:
    """The first game date with players in context; None when nothing is stored yet."""
    result = query_catalog.run_query(clients, "nights.first_night")
    return result.rows[0]["first_night"] if result.rows else None
