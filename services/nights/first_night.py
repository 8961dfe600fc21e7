"""The calendar: which nights are stored at all, so that a date nobody knows is called that and not an empty night."""

from __future__ import annotations

from datetime import date

from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud


def read_first_night(cloud: Cloud) -> date | None:
    """The first game date with players in context; None when nothing is stored yet."""
    answer = catalog.run(cloud, "calendar.first_night")
    return answer.rows[0]["first_night"] if answer.rows else None
