"""What `oncall count` prints: the groups of a look at a table, after what it would cost."""

from __future__ import annotations

from services.cli.report import Report, Row, Table
from services.core.result import Health
from services.explore.counts import Counts, Group, read_cost, read_counts, show_value
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
    counts = read_counts(clients, look)
    health = Health.UNKNOWN if counts.truncated else Health.OK
    problems = (counts.problem,) if counts.problem is not None else ()
    table = Table("counts", tuple(_to_row(counts, group) for group in counts.groups), "No row is in this range.")
    details = (
        subject.note,
        f"Hours: when a row was {subject.hour_of}." if "hour" in look.by else "",
        f"Read: {cost.text}.",
    )
    return Report(
        title,
        health,
        counts.headline,
        tuple(filter(None, details)),
        (table,),
        problems,
        (counts.source,),
        "COUNT",
        facts=facts,
    )


def _to_row(counts: Counts, group: Group) -> Row:
    values = {name: show_value(name, value) for name, value in group.values.items()}
    return {**values, **{name: group.measures[column] for column, name in counts.look.subject.measures.items()}}
