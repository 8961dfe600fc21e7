"""Whether a player in context should be predicted, and why not: minutes, status, production-ready.

The one source of the rule's numbers and statuses. SQL applies it with queries/parts/is_eligible.sql, which takes
`eligibility_params()`; tests/integration/pipeline/test_run_request.py holds both to the same answers.
"""

from __future__ import annotations

from typing import TypedDict

from services.gcp.query_catalog import Row

MIN_AVERAGE_MINUTES = 15.0  # average of the last week below which a player is not predicted
INELIGIBLE_STATUSES = ("OUT", "DOUBTFUL")  # in any case


class EligibilityParams(TypedDict):
    """The parameters of queries/parts/is_eligible.sql."""

    minutes_needed: float
    ineligible_statuses: tuple[str, ...]


def eligibility_params(min_minutes: float = MIN_AVERAGE_MINUTES) -> EligibilityParams:
    """The parameters of a query for eligible players; `min_minutes` only where a run was requested with another limit."""
    return {"minutes_needed": float(min_minutes), "ineligible_statuses": INELIGIBLE_STATUSES}


def is_ineligible_status(status: str | None) -> bool:
    """Whether the player is not expected to play."""
    return (status or "").upper() in INELIGIBLE_STATUSES


def check_eligibility(row: Row) -> tuple[bool | None, str]:
    """Whether a context row (`in_context`, `status`, `minutes`, `ready`) meets the rule, and in words why not; None: no such row."""
    if not row["in_context"]:
        return None, "not in context"
    if is_ineligible_status(row["status"]):
        return False, str(row["status"]).upper()
    minutes = row["minutes"]
    if minutes is None or minutes < MIN_AVERAGE_MINUTES:
        minutes_text = "minutes unknown" if minutes is None else f"{minutes:.1f} min avg"
        return False, f"{minutes_text}, {MIN_AVERAGE_MINUTES:g} required"
    if not row["ready"]:
        return False, "not production-ready"
    return True, ""
