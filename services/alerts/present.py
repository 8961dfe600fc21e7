"""What fires now: the rules evaluated on a fresh read of every night that concerns a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from services.alerts.alert_log import Alerts
from services.alerts.channels import NO_PAGER, channel_configured
from services.alerts.deliveries import ESCALATION, NOTIFICATION
from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import (
    LOOKBACK_NIGHTS,
    ChannelStatus,
    CheckCache,
    Snapshot,
    fetch_open_dates,
    read_snapshot,
)
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident, causes_without_data, group_by_cause
from services.alerts.pager import pager_configured
from services.core.clock import to_game_date
from services.core.settings import Settings
from services.gcp.clients import Clients


@dataclass(frozen=True)
class Evaluation:
    """The rules evaluated once: what was read, their results, the incidents, and the causes and nights that are unknown."""

    at: datetime
    nights: frozenset[date]
    snapshot: Snapshot
    results: tuple[RuleResult, ...]
    incidents: tuple[Incident, ...]
    without_data: frozenset[tuple[str, date | None]]

    def find(self, cause: str, game_date: date | None) -> Incident | None:
        """The incident of a cause and night; None where none of its rules fires."""
        return next((i for i in self.incidents if (i.cause, i.game_date) == (cause, game_date)), None)


def evaluate_now(clients: Clients, alerts: Alerts, cache: CheckCache | None = None, *also: date) -> Evaluation:
    """Read and evaluate what concerns these alerts, and the nights of `also`; raises nothing: what cannot be read is without data."""
    cache = cache or CheckCache()
    open_dates = fetch_open_dates(clients, cache)
    nights = nights_to_check(alerts, (*(open_dates.value or ()), *also), clients.now())
    snapshot = read_snapshot(clients, nights, channel_status(clients.settings, alerts), cache, open_dates)
    now = clients.now()
    results = evaluate_rules(snapshot, clients.settings, now)
    return Evaluation(now, frozenset(nights), snapshot, results, group_by_cause(results), causes_without_data(results))


def nights_to_check(alerts: Alerts, open_dates: Iterable[date], now: datetime) -> tuple[date, ...]:
    """Tonight, every date with an open batch, every earlier night with an open alert, LOOKBACK_NIGHTS ago at most; newest first."""
    tonight = to_game_date(now)
    open_nights = {a.game_date for a in alerts.open if a.game_date and (tonight - a.game_date).days <= LOOKBACK_NIGHTS}
    return tuple(sorted({tonight, *open_nights, *open_dates}, reverse=True))


def channel_status(settings: Settings, alerts: Alerts) -> ChannelStatus:
    """Whether the last message to each channel arrived, by the recorded events of all watchdogs."""
    second_problem = ESCALATION.last_problem(alerts.alerts)
    if settings.escalate_after_min and not pager_configured(settings):
        second_problem = NO_PAGER
    return ChannelStatus(channel_configured(settings), NOTIFICATION.last_problem(alerts.alerts), second_problem)
