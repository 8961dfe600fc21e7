"""One alert: what is wrong, who has it, what fixes it, whom it notified, and everything that happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.components import tables, text_format, widgets
from app.components.facts import fact_list
from app.panels import alert_cards, incident_download, notes_panel
from app.state import session
from services.alerts.alert_log import WATCHDOG, Alert, EventType
from services.alerts.deliveries import CLAIM_EVENTS, delivery_records
from services.alerts.rules import get_rule
from services.core.clock import format_day, to_game_date
from services.core.result import Health, Problem
from services.notes.note import About

_RESULTS = {True: "delivered", False: "failed", None: "not confirmed"}


def render(alert: Alert | None, now: datetime, outdated: Sequence[Problem]) -> None:
    """The page of an alert; None: the address names one that is not kept."""
    st.markdown(f":material/arrow_back: [All alerts]({widgets.page_href('alerts')})")
    if alert is None:
        widgets.verdict(Health.NONE_EXPECTED, "Alert not found", ["It may have ended more than 14 days ago."])
        return
    rule = get_rule(alert.rule)
    answer_column, button_column = widgets.answer_row()
    with answer_column:
        widgets.verdict(_health(alert), alert.message, [alert.alert_id], outdated)
    with button_column:
        alert_cards.alert_buttons(alert, now, primary=True)
    fact_list(
        {
            "State": alert_cards.state_text(alert, now),
            "Since": text_format.format_day_time(alert.since),
            "Game date": format_day(alert.game_date) if alert.game_date else "all dates",
            "Notification": alert_cards.notification_text(alert),
        }
    )
    alert_cards.render_related(alert)
    fires_when = rule.format_threshold(session.cached_clients().settings)
    st.markdown(
        f"{text_format.escape_markdown(rule.description)} :gray[Fires when: {text_format.escape_markdown(fires_when)}.]"
    )
    alert_cards.render_remedy(alert)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        alert_cards.evidence_links(alert)
        if alert.game_date is not None:
            incident_download.button(alert.game_date)
    if command := next((result["command"] for result in alert.rule_results if result.get("command")), ""):
        st.code(command, language="bash", wrap_lines=True)
    notes_panel.render(alert.game_date or to_game_date(alert.since), About.ALERT, alert.alert_id)
    st.subheader("Notifications", anchor=False)
    tables.text_table(notification_rows(alert), alt="Notifications, newest first", empty="No notification sent.")
    st.subheader("Event history", anchor=False)
    tables.text_table(event_rows(alert), alt="Events, newest first", empty="No events.")


def _health(alert: Alert) -> Health:
    if not alert.ended:
        return alert.severity
    return Health.OK if alert.last_state_change.actor == WATCHDOG else Health.NONE_EXPECTED


def notification_rows(alert: Alert) -> list[dict[str, str]]:
    """Each message and page about it, the newest first: its channel, time, result and the channel's answer."""
    return [
        {
            "time": text_format.format_day_time(record.at),
            "channel": record.channel,
            "result": _RESULTS[record.ok],
            "detail": record.detail,
        }
        for record in reversed(delivery_records(alert))
    ]


def event_rows(alert: Alert) -> list[dict[str, str]]:
    """Everything that happened to it, the newest first; a message that was only claimed is among the notifications."""
    return [
        {
            "time": text_format.format_day_time(event.recorded_at),
            "event": EventType.label(event.event),
            "user": event.actor,
            "details": str(event.facts.get("delivery") or event.reason or event.message),
        }
        for event in reversed(alert.events)
        if event.event not in CLAIM_EVENTS
    ]
