"""Alerts: what is open on any date, who was notified, who acknowledged it, and what happened when."""

from __future__ import annotations

import streamlit as st

from app.actions import dialog, status_strip
from app.charts import night_timeline
from app.components import filters, tables, text_format, widgets
from app.panels import alert_cards, alert_rules
from app.state import reads, session
from services.alerts.actions import REOPEN
from services.alerts.alert_log import Alerts, AlertState
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.core.result import SEVERITY_ORDER, Health, list_outdated, worst
from services.reports.events import count_by_kind, recent_events
from services.telemetry.scheduler import Schedule

cloud, now = session.cached_clients(), session.now()


def headline(alerts: Alerts) -> tuple[Health, str]:
    unacknowledged = [a for a in alerts.open if a.state(now) is AlertState.OPEN]
    if not alerts.open:
        return Health.OK, "Nothing is open"
    summary = f"{text_format.pluralize(len(alerts.open), 'alert')} open"
    handled = len(alerts.open) - len(unacknowledged)
    return worst(a.severity for a in alerts.open), f"{summary}, {len(unacknowledged)} not taken by anybody" + (
        f", {handled} taken or silent" if handled else ""
    )


def render_resolved(alerts: Alerts) -> None:
    for alert in sorted(
        (a for a in alerts.alerts if a.ended and not a.is_test),
        key=lambda a: a.last_state_change.recorded_at,
        reverse=True,
    )[:10]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            resolved_by = (
                f"{text_format.format_day_time(alert.last_state_change.recorded_at)} by {alert.last_state_change.actor}"
            )
            st.markdown(
                f":gray[resolved {text_format.escape_markdown(resolved_by)}] {text_format.escape_markdown(alert.message)}",
                width="stretch",
            )
            dialog.action_button(REOPEN, key=alert.alert_id, alert_id=alert.alert_id)


def schedule_table(schedule: Schedule) -> None:
    rows = [
        {
            "job": j.name,
            "next": j.next_at,
            "last": j.last_at,
            "trouble": j.problem or "none",
            "schedule": j.cron,
            "about": j.description,
        }
        for j in schedule.jobs
    ]
    tables.data_grid(
        rows, name="schedule", alt="Scheduled jobs by next time", empty="Cloud Scheduler has no job.", height_rows=9
    )


reading, heartbeat_reading = reads.alerts(cloud), reads.last_heartbeat(cloud)
alerts = widgets.value_or_notice(reading, "The alerts")
if alerts is not None:
    widgets.verdict(*headline(alerts), ["of every night"], list_outdated((reading,)))
    last_heartbeat = widgets.value_or_notice(heartbeat_reading, "Whether the watchdog looks")
    if last_heartbeat:
        heartbeat_text = f"The watchdog looked {text_format.format_age(last_heartbeat.at, now)}"
    elif heartbeat_reading.ok:
        heartbeat_text = "The watchdog has not looked for 10 minutes"
    else:
        heartbeat_text = "Whether the watchdog has looked is unknown"
    heartbeat_proven = last_heartbeat and not heartbeat_reading.outdated
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"{widgets.badge(Health.OK if heartbeat_proven else Health.UNKNOWN)} {text_format.escape_markdown(heartbeat_text)}",
            width="stretch",
        )
        dialog.action_button(TEST_NOTIFICATION)
        if cloud.settings.escalate_after_min:
            dialog.action_button(TEST_ESCALATION)
    for alert in sorted(
        alerts.open, key=lambda a: (a.state(now) is not AlertState.OPEN, SEVERITY_ORDER.index(a.severity))
    ):
        alert_cards.render_alert(alert, now)
    render_resolved(alerts)
    game_date, (start, end) = session.game_date(), status_strip.log_window(now)
    batches, deploys = reads.batches(cloud, game_date), reads.deploys(cloud)
    night_timeline.render(game_date, batches, reads.writes(cloud, game_date))
    st.subheader(f"What happened in {status_strip.LOG_WINDOW.days} days", anchor=False)
    events = recent_events(alerts, status_strip.fetch_log().value, batches.value, deploys.value, start, end)
    chosen_kinds = filters.filter_pills("Kind", count_by_kind(events), "alert_kind")
    tables.data_grid(
        [
            {"when": event.at, "kind": event.kind, "what": event.summary, "who": event.actor}
            for event in events
            if not chosen_kinds or event.kind in chosen_kinds
        ],
        name="timeline",
        alt="What happened, newest first",
        empty="Nothing happened.",
    )
    widgets.source_footer((alerts.source,), session.log_link_params("Errors of the prediction services"))
if (schedule := widgets.value_or_notice(reads.schedule(cloud), "The schedule")) is not None:
    with st.expander(f"When the next runs are · {len(schedule.jobs)} jobs, {len(schedule.job_problems)} in trouble"):
        schedule_table(schedule)
alert_rules.render(cloud.settings, heartbeat_reading.value)
