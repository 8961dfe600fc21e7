"""The notification channels of this installation, by its settings: the first, and the one that alerts are escalated to."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.alert_log import Alert
from services.alerts.pager import Page, Pager, PagerTransport, pager_configured
from services.alerts.slack import SlackTransport
from services.alerts.transport import Delivery, Transport
from services.core.settings import Settings

NO_PAGER = "No second channel is set: neither ESCALATION_URL nor the ESCALATION_KEY of PagerDuty or Opsgenie"


class _NoTransport:
    """Used where no channel is set: every delivery fails with that reason."""

    def send(self, _alerts: Sequence[Alert]) -> Delivery:
        return Delivery(False, "No channel is set: SLACK_WEBHOOK_URL is empty")


class _NoPager:
    """Used where no second channel is set: every delivery fails with that reason."""

    name = "second channel"

    def send(self, _page: Page) -> Delivery:
        return Delivery(False, NO_PAGER)


def channel_configured(settings: Settings) -> bool:
    """Whether these settings name a channel to notify."""
    return bool(settings.slack_webhook_url)


def open_channel(settings: Settings) -> Transport:
    """The transport to send alerts with; without a channel, one whose deliveries fail."""
    return SlackTransport(settings) if channel_configured(settings) else _NoTransport()


def open_pager(settings: Settings) -> PagerTransport:
    """The second channel; without one, one whose deliveries fail."""
    return Pager(settings) if pager_configured(settings) else _NoPager()
