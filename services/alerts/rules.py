"""The watchdog's rules as data, the more causal first, and which rule an alert belongs to."""

from __future__ import annotations

from services.alerts.night_rules import NIGHT_RULES
from services.alerts.platform_rules import PLATFORM_RULES
from services.alerts.rule import Rule

RULES = (*NIGHT_RULES, *PLATFORM_RULES)
RULES_BY_NAME = {rule.name: rule for rule in RULES}


def get_rule(name: str) -> Rule:
    """The rule of an alert; for a rule that only an older version knows, a stand-in of that name."""
    retired_text = "This version has no such rule any more."
    return RULES_BY_NAME.get(name) or Rule(
        name=name,
        title=name,
        source="an older version",
        threshold=retired_text,
        description=retired_text,
        hint="Resolve the alert.",
        page="alerts",
        cause=name,
    )
