"""Reports about names: odds names without a player in context, aliases and their problems, identities that may be one."""

from __future__ import annotations

from datetime import date, timedelta

from services.aliases.identities.duplicates import find_duplicates
from services.aliases.unresolved import read_names
from services.aliases.validation import Severity, find_violations
from services.cli.report import Report, Table
from services.core.errors import InvalidInput
from services.core.result import Health
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.names.registry import read_registry

MAX_NIGHTS = 190  # as on the page: half a season


def names_report(clients: Clients, last: date, nights: int) -> Report:
    """Odds names of the nights up to `last` that are not in context: whom they mean, and on how many nights that cost predictions."""
    if not 1 <= nights <= MAX_NIGHTS:
        raise InvalidInput(f"{nights} nights cannot be read at once.", f"Ask for 1 to {MAX_NIGHTS}.")
    first = last - timedelta(days=nights - 1)
    names = read_names(clients, first, last)
    rows = tuple(
        {
            "odds name": name.name,
            "lookup": name.lookup,
            "nights": len(name.dates),
            "nights lost": name.nights_lost,
            "alias to": name.alias_canonical or "",
            "suggested": name.suggestions[0].lookup if name.suggestions else "",
            "score": name.suggestions[0].score if name.suggestions else "",
            "group": str(name.group),
        }
        for name in names.unresolved
    )
    with_alias = sum(bool(name.alias_canonical) for name in names.unresolved)
    headline = (
        f"{pluralize(len(rows), 'odds name')} not in context: {with_alias} with an alias, {len(rows) - with_alias} without"
        if rows
        else "Every odds name is in context"
    )
    health = Health.WARNING if any(name.nights_lost for name in names.unresolved) else Health.OK
    title = f"Names, {first} to {last}" if nights > 1 else f"Names, night of {last}"
    return Report(title, health, headline, (), (Table("names", rows, ""),) if rows else (), (), names.sources)


def aliases_report(clients: Clients, text: str) -> Report:
    """Every alias, or those with `text` in a name, and what is wrong with them."""
    registry = read_registry(clients)
    rows = tuple(
        {
            "alias": alias.alias,
            "canonical": alias.canonical,
            "active": alias.active,
            "kind": alias.kind or "",
            "by": alias.created_by,
            "changed": alias.processed_at,
            "notes": alias.notes or "",
        }
        for alias in registry.aliases
        if text.lower() in f"{alias.alias} {alias.canonical} {alias.alias_display}".lower()
    )
    violations = find_violations(registry)
    errors = [violation for violation in violations if violation.severity is Severity.ERROR]
    health = Health.CRITICAL if errors else Health.WARNING if violations else Health.OK
    active = sum(alias.active for alias in registry.aliases)
    return Report(
        "Aliases",
        health,
        f"{active:,} of {pluralize(len(registry.aliases), 'alias', 'aliases')} active, {pluralize(len(errors), 'error')},"
        f" {pluralize(len(violations) - len(errors), 'warning')}",
        (),
        (
            Table("aliases", rows, "No alias matches."),
            Table(
                "problems",
                tuple({"alias": v.alias, "severity": str(v.severity), "problem": v.message} for v in violations),
                "No alias has a problem.",
            ),
        ),
        (),
        registry.sources,
    )


def identities_report(clients: Clients) -> Report:
    """Pairs of registered identities that may be one player, with the evidence for and against."""
    registry = read_registry(clients)
    candidates = find_duplicates(registry)
    rows = tuple(
        {
            "keep": candidate.keep,
            "merge": candidate.merge,
            "likely": candidate.is_likely,
            "evidence for": "; ".join(candidate.evidence_for),
            "evidence against": "; ".join(candidate.evidence_against),
        }
        for candidate in candidates
    )
    likely = sum(candidate.is_likely for candidate in candidates)
    health = Health.WARNING if likely else Health.OK
    headline = f"{pluralize(likely, 'likely duplicate')}, {pluralize(len(rows) - likely, 'other candidate')}"
    table = Table("identities", rows, "No two identities look like one player.")
    return Report("Duplicate identities", health, headline, (), (table,), (), registry.sources)
