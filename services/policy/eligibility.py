"""Whether a player in context should be predicted, and why not: minutes, status, production-ready."""

from __future__ import annotations

from services.gcp.query_catalog import Row

MIN_AVERAGE_MINUTES = 15.0  # average of the last week below which a player is not predicted


def check_eligibility(row: Row) -> tuple[bool | None, str]:
    """Whether a context row meets the coordinator's rule, and in words why not."""
    if not row["in_context"]:
        return None, "not in context"
    status = str(row["status"] or "").upper()
    if status in ("OUT", "DOUBTFUL"):
        return False, status
    minutes = row["minutes"]
    if minutes is None or minutes < MIN_AVERAGE_MINUTES:
        minutes_text = "no minutes known" if minutes is None else f"{minutes:.1f} minutes on average"
        return False, f"{minutes_text}, {MIN_AVERAGE_MINUTES:g} needed"
    if not row["ready"]:
        return False, "not production-ready"
    return True, ""
