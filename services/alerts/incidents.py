"""Findings grouped by what they have in common: one incident per cause and night, led by its most causal rule. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from services.alerts.findings import Finding
from services.alerts.rules import RULES, Rule
from services.core.result import SEVERITY, Health, worst

_ORDER = [rule.name for rule in RULES]


@dataclass(frozen=True)
class Incident:
    """One thing that is wrong, with everything that shows it."""

    cause: str
    night: date | None
    findings: tuple[Finding, ...]  # most causal first

    @property
    def leads(self) -> Finding:
        return self.findings[0]

    @property
    def rule(self) -> Rule:
        return self.leads.rule

    @property
    def severity(self) -> Health:
        return worst(finding.health for finding in self.findings)

    @property
    def sentence(self) -> str:
        return f"{self.rule.title}: {self.leads.sentence}"


def group(findings: Iterable[Finding]) -> tuple[Incident, ...]:
    """The incidents of one look, worst first."""
    by_cause: dict[tuple[str, date | None], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.speaks:
            by_cause[finding.cause, finding.night].append(finding)
    made = [
        Incident(cause, night, tuple(sorted(found, key=lambda f: _ORDER.index(f.rule.name))))
        for (cause, night), found in by_cause.items()
    ]
    return tuple(sorted(made, key=lambda i: (SEVERITY.index(i.severity), _ORDER.index(i.rule.name))))


def undecided(findings: Iterable[Finding]) -> frozenset[tuple[str, date | None]]:
    """Causes of which some rule cannot know: an alert of theirs must not be closed now."""
    found = {(f.cause, f.night) for f in findings if f.health is Health.UNKNOWN}
    blind_coverage = {
        n
        for _, n in (
            (f.rule.name, f.night) for f in findings if f.rule.name == "coverage" and f.health is Health.UNKNOWN
        )
    }
    return frozenset(found | {(cause, night) for night in blind_coverage for cause in ("writes", "run", "rows")})
