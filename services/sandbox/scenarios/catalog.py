"""The scenarios that `make run` can show: their data, the moment they start at, and the settings of their deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.sandbox.scenarios.customer import seed as customer
from services.sandbox.scenarios.december import build_seed
from services.sandbox.scenarios.season import load_season
from services.sandbox.server import SCENARIO_START, Sandbox, load_seed


@dataclass(frozen=True)
class Scenario:
    """One scenario. `settings` are environment variables of the services that run beside it."""

    load: Callable[[Sandbox], None]
    starts_at: datetime = SCENARIO_START
    settings: Mapping[str, str] = field(default_factory=dict)


SCENARIOS: Mapping[str, Scenario] = {
    "december": Scenario(lambda sandbox: load_seed(sandbox, build_seed())),
    "season": Scenario(load_season),
    "customer": Scenario(
        lambda sandbox: load_seed(sandbox, customer.build_customer_seed()), customer.CUSTOMER_START, customer.SETTINGS
    ),
}


def get_scenario(name: str) -> Scenario:
    """The scenario of this name (the SCENARIO variable); exits with one sentence for an unknown name."""
    if name not in SCENARIOS:
        *others, last = SCENARIOS
        raise SystemExit(f"SCENARIO={name!r} is not known: {', '.join(others)} or {last}.")
    return SCENARIOS[name]
