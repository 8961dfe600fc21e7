"""The notification channel of this installation, by its settings. A second channel is chosen here."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.alert_log import Alert
from services.alerts.slack import SlackTransport
from services.alerts.transport import Delivery, Transport
from services.core.settings import Settings


class _NoTransport:
    """Used where no channel is set: every delivery fails with that reason."""

    def send(self, _alerts: Sequence[Alert]) -> Delivery:
        return Delivery(False, "No channel is set: SLACK_WEBHOOK_URL is empty")


def channel_configured(settings: Settings) -> bool:
    """Whether these settings name a channel to notify."""
    return bool(settings.slack_webhook_url)


def open_channel(settings: Settings) -> Transport:
    """The transport to send alerts with; without a channel, one whose deliveries fail."""
    return SlackTransport(settings) if channel_configured(settings) else _NoTransport()
