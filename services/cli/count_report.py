"""What `oncall count` prints: the groups of a look at a table, after what it would cost."""

from __future__ import annotations

from services.cli.report import Report, Table
from services.core.result import Health
from services.explore.counts import read_cost, read_counts
from services.explore.look import Look
from services.gcp.clients import Clients


def count_report(clients: Clients, look: Look, cost_only: bool = False) -> Report:
    """The counts of a look, or only what they would cost; raises OverBytesLimit with the number of days that fit."""
    subject, cost = look.subject, read_cost(clients, look)
    title = f"{subject.name.capitalize()} by {', '.join(look.by)}, {look.first} – {look.last}"
    facts = {"cost_bytes": cost.billed_bytes, "limit_bytes": cost.limit_bytes}
    if cost_only:
        health = Health.WARNING if cost.refusal else Health.OK
        return Report(title, health, cost.refusal or f"It reads {cost.text}", label="COST", facts=facts)
    counts = read_counts(clients, cost)
    health = Health.UNKNOWN if counts.truncated else Health.OK
    problems = (counts.problem,) if counts.problem is not None else ()
    table = Table("counts", tuple(map(counts.to_row, counts.groups)), "No row is in this range.")
    return Report(
        title,
        health,
        counts.headline,
        (*look.notes, f"Read: {cost.text}."),
        (table,),
        problems,
        (counts.source,),
        "COUNT",
        facts=facts,
    )
