"""The verification of several nights: each by its judgement and by the checks of its newest batch."""

from __future__ import annotations

from datetime import date

from services.cli.night_reports import judge
from services.cli.report import Report, Row, Table
from services.core.clock import list_days
from services.core.errors import OnCallError
from services.core.result import Health, worst
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts
from services.runs.night_range import parse_range
from services.runs.verification import read_run_verification


def range_verification_report(clients: Clients, first: date, last: date) -> Report:
    """One row a night, the earliest first. Raises InvalidInput for a range that a re-run would not take either."""
    parse_range({"first": first.isoformat(), "last": last.isoformat()}, clients.now())
    days = list_days(first, last)
    rows = tuple(_night_row(clients, day) for day in days)
    healths = [Health(str(row["health"])) for row in rows]
    proven = sum(health in (Health.OK, Health.NONE_EXPECTED) for health in healths)
    headline = f"{proven} of {pluralize(len(days), 'night')} verified"
    return Report(f"Verification of {first} to {last}", worst(healths), headline, tables=(Table("nights", rows, ""),))


def _night_row(clients: Clients, day: date) -> Row:
    facts, judgement = judge(clients, day)
    health, checks = _batch_checks(clients, facts)
    batch = facts.newest_batch
    return {
        "night": day,
        "health": worst((judgement.health, health)),
        "statement": judgement.headline,
        "batch": batch.batch_id if batch is not None else "none" if facts.batches.value is not None else None,
        "checks passed": checks,
    }


def _batch_checks(clients: Clients, facts: NightFacts) -> tuple[Health, str]:
    """The checks of the newest batch of our ledger; of another coordinator's the judgement is all there is."""
    batch = facts.newest_batch
    if batch is None or batch.record_source != "ledger":
        return Health.NONE_EXPECTED, "not recorded" if facts.batches.value is not None else "unknown"
    try:
        checks = read_run_verification(clients, batch)
    except OnCallError as error:
        return Health.UNKNOWN, f"unknown: {error.message}"
    passed = sum(check.ok is True for check in checks)
    failed = [check.name for check in checks if check.ok is not True]
    health = worst({True: Health.OK, False: Health.CRITICAL, None: Health.UNKNOWN}[check.ok] for check in checks)
    return health, f"{passed} of {len(checks)}" + (f"; not: {', '.join(failed)}" if failed else "")
