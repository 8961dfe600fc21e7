"""Rule results grouped into incidents: one per cause and night, led by its most causal rule. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from services.alerts.findings import RuleResult
from services.alerts.rule import Rule
from services.alerts.rules import RULES
from services.core.result import SEVERITY_ORDER, Health, worst

_RULE_ORDER = [rule.name for rule in RULES]


@dataclass(frozen=True)
class Incident:
    """One thing that is wrong, with everything that shows it."""

    cause: str
    game_date: date | None
    results: tuple[RuleResult, ...]  # most causal first

    @property
    def leading_result(self) -> RuleResult:
        return self.results[0]

    @property
    def rule(self) -> Rule:
        return self.leading_result.rule

    @property
    def severity(self) -> Health:
        return worst(result.health for result in self.results)

    @property
    def since(self) -> datetime | None:
        """When the earliest of its causes began, as far as a rule knows."""
        return min((result.since for result in self.results if result.since is not None), default=None)

    @property
    def message(self) -> str:
        return f"{self.rule.title}: {self.leading_result.message}"


def group_by_cause(results: Iterable[RuleResult]) -> tuple[Incident, ...]:
    """The incidents of one check, worst first."""
    by_cause: dict[tuple[str, date | None], list[RuleResult]] = defaultdict(list)
    for result in results:
        if result.firing:
            by_cause[result.cause, result.game_date].append(result)
    incidents = [
        Incident(cause, game_date, tuple(sorted(cause_results, key=lambda result: _RULE_ORDER.index(result.rule.name))))
        for (cause, game_date), cause_results in by_cause.items()
    ]
    return tuple(sorted(incidents, key=lambda i: (SEVERITY_ORDER.index(i.severity), _RULE_ORDER.index(i.rule.name))))


def causes_without_data(results: Iterable[RuleResult]) -> frozenset[tuple[str, date | None]]:
    """Causes and nights with a rule that has no data: their alerts must not be resolved now."""
    unknown = [result for result in results if result.health is Health.UNKNOWN]
    keys = {(result.cause, result.game_date) for result in unknown}
    for result in unknown:
        if result.rule.name == "coverage":  # its incident may be under any of the causes that coverage is a symptom of
            keys |= {(cause, result.game_date) for cause in ("writes", "run", "rows")}
    return frozenset(keys)
