"""Alerts: what is open on any date, who was notified, who acknowledged it, and what happened when."""

from __future__ import annotations

import streamlit as st

from app.actions import action_feed, dialog
from app.charts import night_timeline
from app.components import filters, tables, text_format, widgets
from app.panels import alert_cards, alert_page, alert_rules
from app.state import reads, session
from services.actions.log_reader import LOG_WINDOW
from services.alerts.alert_log import Alerts, AlertState
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.alerts.heartbeat import Heartbeat
from services.core.result import SEVERITY_ORDER, Health, Result, list_outdated, worst
from services.reports.event import Event
from services.reports.events import count_by_kind, recent_events

cloud, now = session.cached_clients(), session.now()


def headline(alerts: Alerts) -> tuple[Health, str]:
    if not alerts.open:
        return Health.OK, "No open alerts"
    unacknowledged = sum(alert.state(now) is AlertState.OPEN for alert in alerts.open)
    handled = len(alerts.open) - unacknowledged
    handled_text = f", {handled} acknowledged or silenced" if handled else ""
    count_text = text_format.pluralize(len(alerts.open), "open alert")
    return worst(a.severity for a in alerts.open), f"{count_text}, {unacknowledged} unacknowledged{handled_text}"


def render_watchdog(reading: Result[Heartbeat | None]) -> None:
    """When the watchdog last ran, and the buttons that try its channels."""
    last_heartbeat = widgets.value_or_notice(reading, "The watchdog's last check")
    if last_heartbeat:
        text = f"Watchdog last checked {text_format.format_age(last_heartbeat.at, now)}"
    elif reading.ok:
        text = "Watchdog hasn't run for 10 min: alerts may be out of date"
    else:
        text = "Watchdog status unknown"
    proven = last_heartbeat is not None and not reading.outdated
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{widgets.badge(Health.OK if proven else Health.UNKNOWN)} {text_format.escape_markdown(text)}",
            width="stretch",
        )
        dialog.action_button(TEST_NOTIFICATION)
        if cloud.settings.escalate_after_min:
            dialog.action_button(TEST_ESCALATION)


def render_resolved(alerts: Alerts) -> None:
    """The alerts that ended last, each leading to its page."""
    ended = [a for a in alerts.alerts if a.ended and not a.is_test]
    ended.sort(key=lambda alert: alert.last_state_change.recorded_at, reverse=True)
    for alert in ended[:10]:
        change = alert.last_state_change
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            resolved = f"Resolved {text_format.format_day_time(change.recorded_at)} by {change.actor}"
            st.markdown(
                f":gray[{text_format.escape_markdown(resolved)}] {text_format.escape_markdown(alert.message)}",
                width="stretch",
            )
            st.markdown(alert_cards.alert_link(alert), width="content")


def render_history(alerts: Alerts) -> None:
    """Everything that happened in the last days: the timeline of the game date, and a list by kind."""
    game_date, (start, end) = session.game_date(), action_feed.log_window(now)
    batches, deploys = reads.batches(cloud, game_date), reads.deploys(cloud)
    night_timeline.render(game_date, batches, reads.writes(cloud, game_date))
    st.subheader(f"Event history ({LOG_WINDOW.days} days)", anchor=False)
    events = recent_events(alerts, action_feed.fetch_log().value, batches.value, deploys.value, start, end)
    chosen_kinds = filters.filter_pills("Kind", count_by_kind(events), "alert_kind")
    tables.data_grid(
        [event for event in events if not chosen_kinds or event.kind in chosen_kinds],
        name="timeline",
        alt="Event history, newest first",
        empty="No events.",
        to_row=lambda event: {"time": event.at, "kind": event.kind, "event": event.summary, "user": event.actor},
        opens=event_target,
        expands="event",
        event=st.column_config.TextColumn(width=640),
    )


def event_target(event: Event) -> tables.Target:
    """The page of what an event is about."""
    return tables.Target("" if event.page == "alerts" else event.page, {**session.link_params(), **event.params})


def render_list(alerts: Alerts) -> None:
    widgets.verdict(*headline(alerts), ["all dates"], list_outdated((reading,)))
    render_watchdog(heartbeat_reading)
    worst_first = sorted(
        alerts.open, key=lambda a: (a.state(now) is not AlertState.OPEN, SEVERITY_ORDER.index(a.severity))
    )
    for position, alert in enumerate(worst_first):
        alert_cards.render_alert(alert, now, primary=position == 0)
    render_resolved(alerts)
    render_history(alerts)
    widgets.source_footer((alerts.source,), session.log_link_params("Service errors"))


reading, heartbeat_reading = reads.alerts(cloud), reads.last_heartbeat(cloud)
alert_id = st.query_params.get("alert", "")
alerts = widgets.value_or_notice(reading, "Alert log")
if alerts is not None and alert_id:
    chosen = next((alert for alert in alerts.alerts if alert.alert_id == alert_id), None)
    alert_page.render(chosen, now, list_outdated((reading,)))
    widgets.source_footer((alerts.source,))
elif alerts is not None:
    render_list(alerts)
if not alert_id:
    alert_rules.render_schedule(reads.schedule(cloud))
    alert_rules.render(cloud.settings, heartbeat_reading.value)
